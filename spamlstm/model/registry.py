"""The registry of installed models: the model in use, the previous model, and how to change the model in use.

| in `models_dir()` | content |
|---|---|
| `NAME/` | a bundle installed by the user; it is complete because it is renamed into place |
| `current` | a link to the model in use, `NAME`; `default`, or no link, means the shipped model |
| `previous` | a link to the previous model, for `rollback` |

A link is created under another name and renamed into place, so there is a model in use at any moment, even after the
process is killed.
"""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from spamlstm.config.locations import models_dir
from spamlstm.errors import DataError, NoInputError, OutputError, reason_of
from spamlstm.files import make_private, sync_folder
from spamlstm.model import bundle as bundles
from spamlstm.model.bundle import MANIFEST, SCORING_FILES, WIDE, Bundle

ENVIRONMENT = "SPAMLSTM_MODEL"
DEFAULT = "default"
CURRENT, PREVIOUS = "current", "previous"
_RESERVED = (DEFAULT, CURRENT, PREVIOUS)

_PACKAGE = Path(__file__).resolve().parents[1]
# The shipped model is inside the package in a wheel, and in the folder `models` beside the package in a checkout.
_SHIPPED = (_PACKAGE / "_models" / DEFAULT, _PACKAGE.parent / "models" / DEFAULT)


def find_bundle(path: Path | None) -> Path:
    """Return the folder of the bundle to use: `path`, otherwise $SPAMLSTM_MODEL, otherwise the model in use.

    `load_bundle` checks whether the folder is a bundle. The link `current` is resolved once, because the files of two
    models would be mixed if the link changed during loading. Raises NoInputError if no model is installed, or if
    $SPAMLSTM_MODEL is not a folder.
    """
    if path is not None:
        return path
    if named := os.environ.get(ENVIRONMENT):
        if not Path(named).is_dir():
            raise NoInputError(f"${ENVIRONMENT} names {named}, which is not a folder; name the folder of a model there")
        return Path(named)
    found = folder(current())
    if not found.is_dir():
        raise NoInputError("this spamlstm was installed without a model; name a model folder with --model")
    return found


def stamp(path: Path | None = None) -> object:
    """Return a value that changes when `find_bundle(path)` returns another bundle or its content changes.

    Return None if there is no bundle. The function only looks up a few file names, so a daemon can call it each second
    to detect that another model must be loaded. All files for scoring count, because a bundle may be copied over
    another one file by file, and the first attempt to load it may then find only some of them.
    """
    try:
        found = find_bundle(path)
    except NoInputError:
        return None
    except DataError as error:  # loading it raises this error again
        return str(error)
    manifest, *others = (_version_of(found / name) for name in (MANIFEST, *SCORING_FILES, WIDE))
    return manifest and (str(found), manifest, *others)


def current() -> str:
    """Return the name of the model in use, or of the shipped model if the selected model no longer exists."""
    name = _target(CURRENT)
    return name if name and (models_dir() / name).is_dir() else DEFAULT


def lost_selection(path: Path | None) -> str:
    """Return a sentence that says why `find_bundle(path)` returns the shipped model although another was selected.

    Return an empty string if the shipped model was selected, or another model is used.
    """
    if path is not None or os.environ.get(ENVIRONMENT):
        return ""
    link = models_dir() / CURRENT
    try:
        name = link.readlink().name
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        why = "is not a link" if error.errno == errno.EINVAL else f"cannot be read ({reason_of(error)})"
        why = f"{link} {why}"
    else:
        if name == DEFAULT or (models_dir() / name).is_dir():
            return ""
        why = f"the selected model {name} is missing from {models_dir()}"
    how = "restore the selected model, or select one with 'spamlstm model use NAME'"
    return f"{why}, so the shipped model is used; {how}"


def previous() -> str | None:
    """Return the name of the previous model, or None."""
    return _target(PREVIOUS)


def names() -> Iterator[str]:
    """Yield the name of the shipped model, then the names of the user's models in alphabetical order."""
    yield DEFAULT
    own = models_dir()
    if own.is_dir():
        yield from sorted(entry.name for entry in own.iterdir() if _is_name(entry.name) and _is_folder(entry))


def folder(name: str) -> Path:
    """Return the folder of the installed model `name`.

    Raises NoInputError if there is no model with that name. Raises DataError if `name` is a link, because its target
    could change during loading.
    """
    if name == DEFAULT:
        return next((place for place in _SHIPPED if place.is_dir()), _SHIPPED[0])
    if _is_name(name) and (models_dir() / name).is_symlink():
        raise DataError(f"{models_dir() / name} is a link, and a model must be a folder; put the folder itself there")
    if name not in names():
        raise NoInputError(f"no model is called {name}; the installed models are: {', '.join(names())}")
    return models_dir() / name


def use(name: str) -> Bundle:
    """Put an installed model in use. The replaced model becomes the previous model, for `rollback`.

    The model is verified and self-tested first. Raises a UserError if a check fails or the links cannot be written; the
    model in use is then unchanged.
    """
    bundle = checked(folder(name))
    before = current()
    # In this order, the old model stays in use if the process is killed between the two steps.
    if name != before:
        _link(PREVIOUS, before)
    if name != _target(CURRENT):  # the link may name a model that is missing
        _link(CURRENT, name)
    return bundle


def rollback() -> Bundle:
    """Put the previous model in use. A second call undoes the first.

    Raises NoInputError if there is no previous model.
    """
    before = previous()
    if before is None or before == current():
        raise NoInputError(f"no model was in use before {current()}; choose one with 'spamlstm model use NAME'")
    return use(before)


def checked(path: Path) -> Bundle:
    """Return the bundle in the folder `path` after a check of all its files, its token ids and its self-test.

    Raises NoInputError or DataError if a check fails.
    """
    from spamlstm.model.encoder import Encoder
    from spamlstm.model.network import Network  # imports numpy and ONNX Runtime, not needed to list models

    bundle = bundles.load_bundle(path)
    bundles.verify(bundle)
    Encoder(bundle).check_ids()
    Network(bundle).self_test()
    return bundle


def _version_of(file: Path) -> tuple[int, int, int] | None:
    """Return a value that changes when a file is replaced or written, or None if there is no file."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns


def _target(link: str) -> str | None:
    try:
        return (models_dir() / link).readlink().name
    except OSError:
        return None


def _link(link: str, name: str) -> None:
    own = models_dir()
    if _is_folder(own / link):
        raise DataError(f"{own / link} is a folder, and must be a link; move it away")
    try:
        make_private(own)
        temporary = own / f".{link}.{os.getpid()}"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(name)
        temporary.replace(own / link)
        sync_folder(own)
    except OSError as error:
        raise OutputError(
            f"the folder of models {own} cannot be written ({reason_of(error)}); {current()} stays in use"
        ) from error


def _is_name(name: str) -> bool:
    """Return whether a user's model may have this name: printable, one path component, not reserved."""
    return name.isprintable() and "/" not in name and name[:1] not in ("", ".") and name not in _RESERVED


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
