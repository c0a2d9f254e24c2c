"""The default paths of configuration, state, labels and models.

The paths are computed here because every start needs them and the import of platformdirs would take longer.
"""

import os
from pathlib import Path

from spamlstm.config.real_path import real_path
from spamlstm.config.values import LabelScope
from spamlstm.xdg import state_path, xdg_folder

SYSTEM = Path("/etc/spamlstm/config.toml")
SYSTEM_STATE = Path("/var/lib/spamlstm")
"""The directory that systemd creates for the system unit and passes on in $STATE_DIRECTORY."""
LABELS = "labels.sqlite"
"""The file of the label store in the state folder. The name is defined here because every start looks for the file."""
PERSONAL = "maildirs"
"""The folder with the label stores of single Maildirs. `personal_dir` returns the folder of each store."""


def personal_dir(state: Path, maildir: str) -> Path:
    """Return the folder for the labels of one Maildir, given a path of the Maildir. The folder may not exist.

    A Maildir has one folder, whatever links lead to it. Labels that an earlier version stored by the path of a link
    are found by this path, as long as the Maildir has no others.
    """
    real = real_path(maildir)
    folder = _dir_named(state, real)
    if real == maildir or (folder / LABELS).exists():
        return folder
    former = _dir_named(state, maildir)
    return former if (former / LABELS).exists() else folder


def _dir_named(state: Path, maildir: str) -> Path:
    import hashlib  # this import takes 3 ms, and most starts do not need it

    return state / PERSONAL / hashlib.blake2b(os.fsencode(maildir), digest_size=16).hexdigest()


def labels_dir(state: Path, scope: LabelScope, maildir: str) -> Path:
    """Return the folder of the labels that apply to a Maildir: the state folder, or a folder for this Maildir."""
    return state if scope is LabelScope.SHARED else personal_dir(state, maildir)


def user_file() -> Path:
    """Return the user's configuration file, $XDG_CONFIG_HOME/spamlstm/config.toml (by default in ~/.config)."""
    return Path(xdg_folder("XDG_CONFIG_HOME", "~/.config"), "config.toml")


def models_dir() -> Path:
    """Return the folder of the user's models, $XDG_DATA_HOME/spamlstm/models (by default in ~/.local/share)."""
    return Path(xdg_folder("XDG_DATA_HOME", "~/.local/share"), "models")


def config_files() -> tuple[Path, ...]:
    """Return the default configuration files in the order of the search. The first existing file is used."""
    return (user_file(), SYSTEM)


def find_config_file(named: Path | None = None) -> Path | None:
    """Return the file `named`, or the first existing default file, or None. The file `named` may not exist."""
    if named is not None:
        return named
    return next((file for file in config_files() if os.path.exists(file)), None)  # noqa: PTH110  os.path.exists never raises


def state_dir() -> Path:
    """Return the state folder, which may not exist.

    The folder is systemd's $STATE_DIRECTORY if this variable is set, otherwise $XDG_STATE_HOME/spamlstm.
    """
    return Path(state_path())
