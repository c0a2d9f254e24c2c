"""The folder in which a long run keeps its intermediate results: OUT.partial, beside the result at OUT."""

import hashlib
import shutil
from pathlib import Path

from spamlstm.errors import UserError

_IDENTITY = "run"


def check_replaceable(out: Path, *, holds: str) -> None:
    """Raise UserError if `out` exists and is neither an empty folder nor an earlier result.

    An earlier result is a folder with the file `holds` in it. Anything else could be mail or work of the user, and the
    end of the run would replace it.
    """
    if out.exists() and not (out / holds).is_file() and not (out.is_dir() and not any(out.iterdir())):
        raise UserError(f"{out} already exists and has no {holds} in it, so it is not replaced; name another --out")


def open_run_folder(out: Path, *, holds: str, identity: str) -> Path:
    """Return the folder `OUT.partial`, with what an interrupted run of the same `identity` left in it.

    The files of any other run are deleted. Raises UserError if `out` may not be replaced (see `check_replaceable`).
    """
    check_replaceable(out, holds=holds)
    folder = out.absolute().with_name(out.absolute().name + ".partial")
    digest = hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()
    if _identity_of(folder) != digest:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / _IDENTITY).write_text(digest)
    return folder


def empty_folder(folder: Path, name: str) -> Path:
    """Return an empty folder inside a run folder."""
    path = folder / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    return path


def publish(result: Path, out: Path, *, folder: Path) -> None:
    """Move `result` to `out`. The old `out` is deleted after that, and the run folder last."""
    old = out.absolute().with_name(out.absolute().name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        out.rename(old)
    result.rename(out)
    shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(folder)


def _identity_of(folder: Path) -> str:
    try:
        return (folder / _IDENTITY).read_text()
    except OSError:
        return ""
