"""Write configurations as TOML: the initial commented file for a new user, and the effective configuration.

tomli-w is not used because it does not write comments and does not escape characters that could control a terminal.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from spamlstm.config.locations import config_files
from spamlstm.config.ownership import group_number
from spamlstm.config.values import Config
from spamlstm.errors import OutputError, UserError, reason_of
from spamlstm.files import CREATE, make_private

_UNSET = {
    "thresholds": "from the costs, or else the thresholds of the model in use (spamlstm model show)",
    "costs": "the costs of the model in use",
    "textfile": "none",
    "listen": "none",
    "dry_run": "as in [daemon]",
    "quarantine_above": "none",
    "reject_above": "none",
    "group": "the group of the daemon's user",
    "password_file": "none",
    "user_maildir": "none",
    "name": "the host",
    "port": '993, or 143 without tls = "tls"',
    "password_command": "none",
    "token_command": "none",
    "check_seconds": "only if the server has no IDLE, each minute",
}
"""The value that is used if an optional setting is not given."""


def default_text() -> str:
    """Return a configuration for ~/Maildir with every setting, its default and its meaning in comments."""
    return resources.files("spamlstm.config").joinpath("default.toml").read_text("utf-8")


def write_default(path: Path, *, group: str | None = None) -> None:
    """Write `default_text` to a new file of mode 0600. After a failure the file is removed.

    A missing folder is created if it is the folder of a default file. The members of `group` can read the file, and
    enter the new folders. An existing file is not changed. Raises UserError if the file exists, if another folder is
    missing, if there is no such group, or if this user cannot give files to the group.
    """
    number = None if group is None else group_number(group, advice="name the group of the user who runs the daemon")
    new = [folder for folder in path.parents if not folder.exists()]
    if path.absolute().parent in [file.parent for file in config_files()]:
        make_private(path.parent)
    elif not path.parent.is_dir():
        what = "is not a folder" if path.parent.exists() else "does not exist"
        raise UserError(f"{path.parent} {what}, so {path} is not written; create the folder, or correct --path")
    try:
        file = os.open(path, CREATE, 0o600)
    except FileExistsError as error:
        raise UserError(f"{path} already exists and is not changed; use --path FILE to write another file") from error
    try:
        with open(file, "w", encoding="utf-8") as out:  # noqa: PTH123  it is a descriptor
            out.write(default_text())
            if number is not None:
                _open_to(number, file=file, folders=new)
    except PermissionError as error:
        path.unlink()
        raise UserError(f"you cannot give {path} to the group {group}; run the command as root") from error
    except OSError as error:
        path.unlink()
        raise OutputError(f"{path} cannot be written: {reason_of(error)}") from error
    except BaseException:
        path.unlink()
        raise


def _open_to(group: int, *, file: int, folders: list[Path]) -> None:
    """Let the group `group` read an open file, and enter `folders`."""
    os.fchown(file, -1, group)
    os.fchmod(file, 0o640)
    for folder in folders:
        os.chown(folder, -1, group)
        folder.chmod(0o750)


def to_toml(config: Config) -> str:
    """Return all settings of `config` with defaults as TOML. Reading the TOML yields an equal Config."""
    names = ("daemon", "policy", "learning", "metrics", "filter", "http", "milter", "spamd")
    tables = [(f"[{name}]", getattr(config, name)) for name in names]
    tables += [("[[maildir]]", section) for section in config.maildirs]
    tables += [("[[imap]]", section) for section in config.accounts]
    return "\n".join("".join(f"{line}\n" for line in (header, *_settings(table))) for header, table in tables)


def _settings(table: Any) -> Iterator[str]:
    for field in fields(table):
        value = getattr(table, field.name)
        yield f"# {field.name}: {_UNSET[field.name]}" if value is None else f"{field.name} = {_value(value)}"


def _value(value: Any) -> str:
    if is_dataclass(value):
        return "{ " + ", ".join(_settings(value)) + " }"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return _string(value) if isinstance(value, str) else _number(value)


def _string(value: str) -> str:
    # A JSON string is also a valid TOML string. Characters that could control a terminal are escaped.
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in json.dumps(value, ensure_ascii=False))


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(value)
