"""Where the configuration file lies, and the state folder."""

import os
from pathlib import Path

from spamlstm.config.values import LabelScope

SYSTEM = Path("/etc/spamlstm/config.toml")
SYSTEM_STATE = Path("/var/lib/spamlstm")
"""What systemd makes for the system-wide unit, which knows it as $STATE_DIRECTORY."""
LABELS = "labels.sqlite"
"""In the state folder: what the user said of mail. Named here as every start looks for it."""


PERSONAL = "maildirs"
"""Below it one folder for each Maildir that has labels of its own, named by `personal_dir`."""


def personal_dir(state: Path, maildir: str) -> Path:
    """Where the labels of one Maildir lie that shares none, by its path as the configuration means it. Not created."""
    import hashlib  # 3 ms, which most starts need not pay

    return state / PERSONAL / hashlib.blake2b(os.fsencode(maildir), digest_size=16).hexdigest()


def labels_dir(state: Path, layer: LabelScope, maildir: str) -> Path:
    """Where the labels lie that count for mail of this Maildir: in the state folder, unless each has its own."""
    return state if layer is LabelScope.SHARED else personal_dir(state, maildir)


def user_file() -> Path:
    """Where platformdirs puts it: $XDG_CONFIG_HOME/spamlstm/config.toml, ~/.config without that variable."""
    return _xdg("XDG_CONFIG_HOME", "~/.config") / "config.toml"


def models_dir() -> Path:
    """Where a user's own models live: $XDG_DATA_HOME/spamlstm/models."""
    return _xdg("XDG_DATA_HOME", "~/.local/share") / "models"


def _xdg(variable: str, default: str) -> Path:
    """Our folder in one of the XDG base folders.

    Written out here because every start asks, and loading platformdirs takes longer than the answer.
    """
    named = os.environ.get(variable, "")
    # The XDG specification says that a relative path is to be ignored.
    home = named if named.startswith("/") else os.path.expanduser(default)  # noqa: PTH111  no RuntimeError here
    return Path(home, "spamlstm")


def config_files() -> tuple[Path, ...]:
    """The files that are looked for, in this order; the first that exists is the configuration, alone."""
    return (user_file(), SYSTEM)


def find_config_file(named: Path | None = None) -> Path | None:
    """The file to read: the one named, whether it exists or not, else the first of `places` that does, else None."""
    if named is not None:
        return named
    return next((place for place in config_files() if os.path.exists(place)), None)  # noqa: PTH110  raises for no place


def state_dir() -> Path:
    """The folder for what is remembered: what systemd made for the unit, else $XDG_STATE_HOME/spamlstm. Not created."""
    # systemd lists them with colons; a unit of ours has one.
    given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(given) if given else _xdg("XDG_STATE_HOME", "~/.local/state")
