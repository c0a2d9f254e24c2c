"""Which models are installed, which is meant, and how another takes its place.

| in `models_dir()` | what it is |
|---|---|
| `NAME/` | a bundle of the user's own, whole: it came by one rename |
| `current` | a link to the one in use, `NAME`; `default`, or no link at all, means the one that ships |
| `previous` | a link to the one that was in use before, for `rollback` |

A link is made beside its place and renamed into it, so that at any moment, also after a kill, there is a model in use.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from spamlstm.config.locations import models_dir
from spamlstm.errors import DataError, NoInputError
from spamlstm.files import make_private, sync_folder
from spamlstm.model import bundle as bundles
from spamlstm.model.bundle import MANIFEST, Bundle

ENVIRONMENT = "SPAMLSTM_MODEL"
DEFAULT = "default"
CURRENT, PREVIOUS = "current", "previous"
_RESERVED = (DEFAULT, CURRENT, PREVIOUS)

_PACKAGE = Path(__file__).resolve().parents[1]
# In a wheel the shipped model lies inside the package, in a checkout beside it.
_SHIPPED = (_PACKAGE / "_models" / DEFAULT, _PACKAGE.parent / "models" / DEFAULT)


def find_bundle(path: Path | None) -> Path:
    """The bundle's folder: the one named, else the one $SPAMLSTM_MODEL names, else the user's own, else the shipped.

    A path that is named is taken as it is; whether it is a bundle is for `bundle.load` to say. The user's own is
    never given as `current`: a link that is swapped while a bundle is loaded would mix two.
    """
    if path is not None:
        return path
    if named := os.environ.get(ENVIRONMENT):
        return Path(named)
    found = folder(current())
    if not found.is_dir():
        raise NoInputError("no model is installed with this spamlstm; name the folder of one with --model")
    return found


def stamp(path: Path | None = None) -> object:
    """Something that is equal as long as `find_bundle(path)` means the same bundle with the same content; None if none.

    It looks at three names: cheap enough for a daemon that asks with each message whether it has to load another.
    """
    try:
        found = find_bundle(path)
        status = (found / MANIFEST).stat()
    except (NoInputError, OSError):
        return None
    return str(found), status.st_dev, status.st_ino, status.st_mtime_ns


def current() -> str:
    """The name of the model in use; one that is gone gives way to the one that ships."""
    name = _target(CURRENT)
    return name if name and (models_dir() / name).is_dir() else DEFAULT


def previous() -> str | None:
    """The name of the one that was in use before, if there was one."""
    return _target(PREVIOUS)


def names() -> Iterator[str]:
    """The shipped model, then the user's own by name."""
    yield DEFAULT
    own = models_dir()
    if own.is_dir():
        yield from sorted(entry.name for entry in own.iterdir() if _is_name(entry.name) and _is_folder(entry))


def folder(name: str) -> Path:
    """The folder of an installed model. NoInputError, with the names there are, if none is called so.

    A DataError if there is a link of that name: where that leads may change between two looks.
    """
    if name == DEFAULT:
        return next((place for place in _SHIPPED if place.is_dir()), _SHIPPED[0])
    if _is_name(name) and (models_dir() / name).is_symlink():
        raise DataError(f"{models_dir() / name} is a link, and a model is a folder; put the folder itself there")
    if name not in names():
        raise NoInputError(f"no model is called {name}; there is {', '.join(names())}")
    return models_dir() / name


def use(name: str) -> Bundle:
    """From now on this installed model is the one in use; the one before is kept for `rollback`.

    It is checked whole first, and must give its reference answers. A UserError says what is wrong, and nothing changed.
    """
    bundle = checked(folder(name))
    before = current()
    if name != before:
        # In this order: a kill between the two leaves the old one in use, and no way back to what it replaced.
        _link(PREVIOUS, before)
        _link(CURRENT, name)
    return bundle


def rollback() -> Bundle:
    """Use the model that was in use before; called again, it takes itself back. DataError if there was none."""
    before = previous()
    if before is None or before == current():
        raise DataError(f"{current()} is in use, and none was before it; 'spamlstm model use NAME' takes another")
    return use(before)


def checked(path: Path) -> Bundle:
    """The bundle in a folder, each file of it as its hash says, and its reference answers found again here."""
    from spamlstm.model.encoder import Encoder
    from spamlstm.model.network import Network  # numpy and ONNX Runtime, for those who only look

    bundle = bundles.load_bundle(path)
    bundles.verify(bundle)
    Encoder(bundle).check_ids()
    Network(bundle).self_test()
    return bundle


def _target(link: str) -> str | None:
    try:
        return (models_dir() / link).readlink().name
    except OSError:
        return None


def _link(link: str, name: str) -> None:
    own = models_dir()
    make_private(own)
    beside = own / f".{link}.{os.getpid()}"
    beside.unlink(missing_ok=True)
    beside.symlink_to(name)
    beside.replace(own / link)
    sync_folder(own)


def _is_name(name: str) -> bool:
    """Whether a model of the user's own may be called so: by one printable name of a folder, and none of ours."""
    return name.isprintable() and "/" not in name and name[:1] not in ("", ".") and name not in _RESERVED


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
