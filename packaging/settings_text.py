"""The settings of the configuration file with their descriptions, read from the comments of the default file."""

import dataclasses
import functools
import re
from dataclasses import dataclass, field
from typing import Any, get_args, get_type_hints

from spamlstm.config import Config
from spamlstm.config.writing import default_text, to_toml

_HEADER = re.compile(r"(?:# )?(\[\w+\]|\[\[\w+\]\])")
_SETTING = re.compile(r"(?:# *)?(\w+) = (.+?)(?:\s+# (.*))?")
_COMMENT = re.compile(r"\s*# *(.*)")


@dataclass(slots=True)
class Setting:
    """One setting with its description. `default` is TOML, or words if the setting has no default.

    `value` is an example if it differs from `default`. If `default` is empty, it is unknown.
    """

    name: str
    value: str
    text: str
    default: str


@dataclass(slots=True)
class Table:
    """One table of the file, such as `[[maildir]]`, and the description of the table."""

    header: str
    text: str
    settings: list[Setting] = field(default_factory=list)


def read_tables(text: str | None = None) -> list[Table]:
    """Return the tables of a commented file, by default the default file, with all settings.

    Sections and settings in comments count. Raises ValueError at a line of an unknown form.
    """
    tables: list[Table] = []
    before = ""  # the comments that describe the next table or setting
    for line in (default_text() if text is None else text).splitlines():
        last = tables[-1].settings[-1] if tables and tables[-1].settings else None
        if header := _HEADER.fullmatch(line):
            tables.append(Table(header[1], before))
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


def _setting(header: str, name: str, value: str, comment: str, *, before: str) -> Setting:
    return Setting(name, value, _join(before, comment), _defaults().get((header, name), ""))


@functools.cache
def _defaults() -> dict[tuple[str, str], str]:
    """Return the default of each setting as TOML, or in words if the setting has no default."""
    header, found = "", {}
    for line in to_toml(_smallest_config()).splitlines():
        if _HEADER.fullmatch(line):
            header = line
        elif line:
            name, _, value = re.sub(r"^# (\w+):", r"\1 =", line).partition(" = ")
            found[header, name] = "none, because this setting is required" if value == '""' else value
    return found


def _smallest_config() -> Config:
    """Return a configuration with one section of each kind, in which the required settings are empty."""
    sections: dict[str, Any] = {}
    for name, kind in get_type_hints(Config).items():
        for section in get_args(kind):
            if isinstance(section, type) and dataclasses.is_dataclass(section):
                required = [one.name for one in dataclasses.fields(section) if one.default is dataclasses.MISSING]
                sections[name] = (section(**dict.fromkeys(required, "")),)
    return Config(**sections)


def _join(*texts: str) -> str:
    return " ".join(text.strip() for text in texts if text)
