"""Default paths: configuration, state, labels and models.

Written out instead of importing platformdirs: every start asks for them, and the import takes longer than the answer.
"""

import os
from pathlib import Path

from spamlstm.config.values import LabelScope

SYSTEM = Path("/etc/spamlstm/config.toml")
SYSTEM_STATE = Path("/var/lib/spamlstm")
"""The directory that systemd makes for the system unit, and passes on in $STATE_DIRECTORY."""
LABELS = "labels.sqlite"
"""The label store in the state folder. Named here because every start looks for it."""
PERSONAL = "maildirs"
"""The folder with the label stores of single Maildirs, each in a folder named by `personal_dir`."""


def personal_dir(state: Path, maildir: str) -> Path:
    """Return the folder for the labels of one Maildir, by the path of the Maildir. The folder may not exist."""
    import hashlib  # 3 ms, which most starts save

    return state / PERSONAL / hashlib.blake2b(os.fsencode(maildir), digest_size=16).hexdigest()


def labels_dir(state: Path, scope: LabelScope, maildir: str) -> Path:
    """Return the folder of the labels that apply to a Maildir: the state folder, or one for this Maildir."""
    return state if scope is LabelScope.SHARED else personal_dir(state, maildir)


def user_file() -> Path:
    """Return the user's configuration file: $XDG_CONFIG_HOME/spamlstm/config.toml, by default in ~/.config."""
    return _xdg("XDG_CONFIG_HOME", "~/.config") / "config.toml"


def models_dir() -> Path:
    """Return the folder of the user's models: $XDG_DATA_HOME/spamlstm/models, by default in ~/.local/share."""
    return _xdg("XDG_DATA_HOME", "~/.local/share") / "models"


def _xdg(variable: str, default: str) -> Path:
    """Return our folder in an XDG base directory."""
    named = os.environ.get(variable, "")
    # The XDG specification says that programs ignore a relative path.
    base = named if named.startswith("/") else os.path.expanduser(default)  # noqa: PTH111  no RuntimeError here
    return Path(base, "spamlstm")


def config_files() -> tuple[Path, ...]:
    """Return the default configuration files, in the order of the search; the first that exists is used."""
    return (user_file(), SYSTEM)


def find_config_file(named: Path | None = None) -> Path | None:
    """Return the named file, whether it exists or not, else the first default file that exists, else None."""
    if named is not None:
        return named
    return next((file for file in config_files() if os.path.exists(file)), None)  # noqa: PTH110  never raises


def state_dir() -> Path:
    """Return the state folder: systemd's $STATE_DIRECTORY, else $XDG_STATE_HOME/spamlstm. It may not exist."""
    # systemd separates several with colons; our units have one.
    given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(given) if given else _xdg("XDG_STATE_HOME", "~/.local/state")
