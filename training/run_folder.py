"""The folder in which a long run keeps its intermediate results: OUT.partial, beside the result at OUT."""

import hashlib
import shutil
from pathlib import Path

from spamlstm.errors import UserError

_IDENTITY = "run"
_REPLACED = "replaced"
"""In the run folder: the earlier result, from the moment it makes room for the new one."""


def check_replaceable(out: Path, *, holds: str) -> None:
    """Raise UserError if the result cannot be moved to `out` at the end, or if files of the user would be lost.

    `out` may be missing, an empty folder, or an earlier result, which is a folder with the file `holds` in it. Anything
    else could be mail or work of the user. The same is true of a folder `OUT.partial` that no run created.
    """
    if out.exists() and not (out / holds).is_file() and not _is_empty(out):
        raise UserError(f"{out} already exists and has no {holds} in it, so it is not replaced; name another --out")
    place = out.resolve()
    if place.is_mount() or Path.cwd().is_relative_to(place):
        what = "a mount point" if place.is_mount() else "the current folder or contains it"
        raise UserError(f"{out} is {what}, which cannot be replaced; name a folder in it as --out")
    folder = _run_folder(out)
    if folder.exists() and not (folder / _IDENTITY).is_file() and not _is_empty(folder):
        raise UserError(f"{folder} already exists and is not of an interrupted run; move it away or name another --out")


def open_run_folder(out: Path, *, holds: str, identity: str) -> Path:
    """Return the folder `OUT.partial`, with what an interrupted run of the same `identity` left in it.

    The files of any other run are deleted. Raises UserError if `out` may not be replaced (see `check_replaceable`).
    """
    check_replaceable(out, holds=holds)
    folder = _run_folder(out)
    if (folder / _REPLACED).exists() and not out.exists():
        (folder / _REPLACED).rename(out.resolve())  # the run was killed just before the new result was in place
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
    """Move `result` to `out`. The old `out` is deleted after that, with the run folder."""
    if out.exists():
        shutil.rmtree(folder / _REPLACED, ignore_errors=True)
        out.resolve().rename(folder / _REPLACED)
    result.rename(out.resolve())
    shutil.rmtree(folder)


def _run_folder(out: Path) -> Path:
    # Resolved, because the folder at the end of a link is the one to replace.
    place = out.resolve()
    return place.with_name(f"{place.name}.partial")


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _identity_of(folder: Path) -> str:
    try:
        return (folder / _IDENTITY).read_text()
    except OSError:
        return ""
