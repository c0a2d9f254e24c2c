"""The settings of the configuration file with their descriptions, read from the comments of the default file."""

import re
from dataclasses import dataclass, field

from spamlstm.config import Config, MaildirConfig
from spamlstm.config.writing import default_text, to_toml

_HEADER = re.compile(r"\[\[?(\w+)\]\]?")
_SETTING = re.compile(r"(# )?(\w+) = (.+?)(?:\s+# (.*))?")
_COMMENT = re.compile(r"\s*# *(.*)")


@dataclass(slots=True)
class Setting:
    """One setting with its description. `example` is empty if the default file shows the default."""

    name: str
    text: str
    example: str
    default: str


@dataclass(slots=True)
class Table:
    """One table of the file, such as `[[maildir]]`, and the description of the table."""

    header: str
    text: str
    settings: list[Setting] = field(default_factory=list)


def read_tables() -> list[Table]:
    """Return the tables of the default file with all settings. Raises ValueError at a line of an unknown form."""
    tables: list[Table] = []
    before = ""  # the comments that describe the next table or setting
    for line in default_text().splitlines():
        last = tables[-1].settings[-1] if tables and tables[-1].settings else None
        if _HEADER.fullmatch(line):
            tables.append(Table(line, before))
            before = ""
        elif tables and (setting := _SETTING.fullmatch(line)):
            if last is None:
                tables[-1].text, before = _join(tables[-1].text, before), ""
            tables[-1].settings.append(_setting(tables[-1].header, *setting.groups(""), before=before))
            before = ""
        elif last is not None and line.startswith(" ") and (comment := _COMMENT.fullmatch(line)):
            last.text = _join(last.text, comment[1])
        elif comment := _COMMENT.fullmatch(line):
            before = _join(before, comment[1])
        elif line:
            raise ValueError(f"this line of the default configuration has an unknown form: {line}")
        elif not tables:
            before = ""  # the comment at the top of the file
    return tables


def _setting(header: str, optional: str, name: str, value: str, comment: str, *, before: str) -> Setting:
    default = _defaults().get((header, name), "") if optional else "none, because this setting is required"
    return Setting(name, _join(before, comment), "" if value == default else value, default)


def _defaults() -> dict[tuple[str, str], str]:
    """Return the default of each setting as TOML, or in words if the setting has no default."""
    header, found = "", {}
    for line in to_toml(Config(maildirs=(MaildirConfig(""),))).splitlines():
        if _HEADER.fullmatch(line):
            header = line
        elif line:
            name, _, value = re.sub(r"^# (\w+):", r"\1 =", line).partition(" = ")
            found[header, name] = value
    return found


def _join(*texts: str) -> str:
    return " ".join(text.strip() for text in texts if text)
