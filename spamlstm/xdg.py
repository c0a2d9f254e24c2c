"""The base directories of the XDG specification, and the state folder.

The module imports nothing else, because the client of `spamlstm filter` must start within milliseconds.
"""

import os

_NO_HOME = "/nonexistent"
"""The home folder of users without a home folder, as on Debian."""

FILTER_SOCKET = "filter.sock"
"""The socket in the state folder on which a running daemon serves `spamlstm filter`."""


def with_home(path: str) -> str:
    """Return `path` with ~ and ~user resolved. They are unchanged if there is no such user.

    A $HOME that is empty or relative is treated as not set, as systemd does: ~ is the home folder in the user database.
    """
    if path.partition("/")[0] != "~" or os.environ.get("HOME", "").startswith("/"):
        return os.path.expanduser(path)  # noqa: PTH111  pathlib raises RuntimeError for an unknown user
    import pwd  # only needed without $HOME

    try:
        home = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return path
    return home.rstrip("/") + path[1:] or "/"


def xdg_folder(variable: str, default: str) -> str:
    """Return the path of spamlstm's folder in an XDG base directory.

    `variable` is the environment variable that names the base directory, `default` is used if it is not set.
    """
    named = os.environ.get(variable, "")
    # The XDG specification requires that a relative path is ignored.
    base = named if named.startswith("/") else with_home(default)
    # A user without a home folder (no $HOME and no entry in the user database) has no files of their own. The current
    # folder must not be used in its place.
    return f"{base if base.startswith('/') else _NO_HOME}/spamlstm"


def state_path() -> str:
    """Return the path of the state folder, which may not exist.

    The folder is systemd's $STATE_DIRECTORY if this variable is set, otherwise $XDG_STATE_HOME/spamlstm.
    """
    # systemd separates several directories with colons. The units of spamlstm have one directory.
    return os.environ.get("STATE_DIRECTORY", "").partition(":")[0] or xdg_folder("XDG_STATE_HOME", "~/.local/state")
