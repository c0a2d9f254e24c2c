"""Where a long run keeps what it has so far: a folder beside its result, which takes the result's place at the end."""

import hashlib
import shutil
from pathlib import Path

from spamlstm.errors import UserError

_IDENTITY = "run"


def refuse(out: Path, *, holds: str) -> None:
    """A UserError if something stands at `out` that is not an earlier result, known by the file `holds` in it.

    It would be replaced in the end, and nobody's mail or work may be.
    """
    if out.exists() and not (out / holds).is_file() and not (out.is_dir() and not any(out.iterdir())):
        raise UserError(f"{out} is there already and has no {holds} in it, so it stays; name another --out")


def begin(out: Path, *, holds: str, identity: str) -> Path:
    """The folder `OUT.partial`, with what an earlier run of the same `identity` left in it; another's is thrown away.

    Refuses an `out` that may not be replaced.
    """
    refuse(out, holds=holds)
    beside = out.absolute().with_name(out.absolute().name + ".partial")
    mine = hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()
    if _written_by(beside) != mine:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        (beside / _IDENTITY).write_text(mine)
    return beside


def fresh(beside: Path, name: str) -> Path:
    """An empty folder in the workplace."""
    path = beside / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    return path


def finish(result: Path, out: Path, *, beside: Path) -> None:
    """`result` in the place of `out`; the old one is gone only when the new one stands, the workplace after that."""
    old = out.absolute().with_name(out.absolute().name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        out.rename(old)
    result.rename(out)
    shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(beside)


def _written_by(beside: Path) -> str:
    try:
        return (beside / _IDENTITY).read_text()
    except OSError:
        return ""
