"""Which installed model is meant."""

import os
from pathlib import Path

from spamlstm.errors import NoInputError
from spamlstm.model.bundle import MANIFEST

ENVIRONMENT = "SPAMLSTM_MODEL"

_PACKAGE = Path(__file__).resolve().parents[1]
# In a wheel the shipped model lies inside the package, in a checkout beside it.
_SHIPPED = (_PACKAGE / "_models" / "default", _PACKAGE.parent / "models" / "default")


def find_bundle(path: Path | None) -> Path:
    """The bundle's folder: the one named, else the one $SPAMLSTM_MODEL names, else the user's own, else the shipped.

    A path that is named is taken as it is; whether it is a bundle is for `bundle.load` to say.
    """
    if path is not None:
        return path
    if named := os.environ.get(ENVIRONMENT):
        return Path(named)
    for candidate in (user_models() / "current", *_SHIPPED):
        if candidate.is_dir():
            return candidate
    raise NoInputError("no model is installed with this spamlstm; name the folder of one with --model")


def stamp(path: Path | None = None) -> object:
    """Something that is equal as long as `find_bundle(path)` means the same bundle with the same content; two calls
    of the system. None if there is none now. For a daemon that looks now and then whether it has to load another.
    """
    try:
        found = find_bundle(path)
        status = (found / MANIFEST).stat()
    except (NoInputError, OSError):
        return None
    return str(found), status.st_dev, status.st_ino, status.st_mtime_ns


def user_models() -> Path:
    """Where a user's own models live: $XDG_DATA_HOME/spamlstm/models."""
    data = os.environ.get("XDG_DATA_HOME", "")
    # The XDG specification says that a relative path is to be ignored.
    home = Path(data) if data.startswith("/") else Path("~/.local/share").expanduser()
    return home / "spamlstm" / "models"
