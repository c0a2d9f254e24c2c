"""Read a configuration file. All problems of a file are reported together."""

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from spamlstm.config.ownership import check_configuration, why_unreadable
from spamlstm.config.settings import Location
from spamlstm.config.tables import ARRAYS, config_from
from spamlstm.config.values import Config
from spamlstm.errors import ConfigError, reason_of
from spamlstm.files import open_any
from spamlstm.wording import in_shell

MOST_BYTES = 4 << 20
"""The maximum size of a configuration, which is twice the size of an allow list of 100,000 addresses."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem in a file: a sentence with the key of the setting, or with the line if the file is not valid TOML."""

    sentence: str
    key: str = ""
    line: int | None = None

    def __str__(self) -> str:
        """Return the text that follows the file name: `: policy.alow: is not a setting` or `:3: not valid TOML`."""
        return f":{self.line}: {self.sentence}" if self.line else f": {self.key}: {self.sentence}"


class ProblemsError(ConfigError):
    """All problems of one file, in their order in the file."""

    def __init__(self, path: Path, problems: list[Problem]) -> None:
        self.path = path
        self.problems = tuple(problems)
        super().__init__(f"the configuration {path} cannot be used:\n" + "\n".join(self.lines()))

    def lines(self) -> list[str]:
        """Return one line for each problem, with the name of the file and the key or line number."""
        return [f"{self.path}{problem}" for problem in self.problems]


def load_file(path: Path) -> Config:
    """Return the configuration in a file.

    Raises ConfigError if the file cannot be read or another user can change the file. Raises ProblemsError if the text
    of the file has problems.
    """
    try:
        with open_any(path) as stream:
            check_configuration(path, os.fstat(stream.fileno()))
            raw = stream.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError for a name with a null byte
        raise ConfigError(f"the configuration {path} cannot be read: {_why(error, path)}") from error
    if len(raw) > MOST_BYTES:
        raise ConfigError(f"{path} is larger than {MOST_BYTES:,} bytes, so it cannot be a configuration")
    config, problems = read_config(raw)
    if problems:
        raise ProblemsError(path, problems)
    return config


def _why(error: OSError | ValueError, path: Path) -> str:
    """Return why the file cannot be read, and what helps."""
    if isinstance(error, FileNotFoundError):
        return f"it does not exist; to write it, run: spamlstm config init --path {in_shell(path)}"
    reason = reason_of(error) if isinstance(error, OSError) else str(error)
    return why_unreadable(path) or reason if isinstance(error, PermissionError) else reason


def read_config(raw: bytes) -> tuple[Config, list[Problem]]:
    """Return the configuration in the bytes of a file and the list of all problems.

    If there are problems, the configuration is incomplete. Invalid contents do not raise.
    """
    try:
        text = raw.decode("utf-8-sig")  # editors of Windows write a byte order mark
        table = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return Config(), [Problem("this is not valid TOML: it must be UTF-8", line=line)]
    except RecursionError:
        return Config(), [Problem("this is not valid TOML: it is nested too deeply", line=1)]
    except ValueError as error:  # TOMLDecodeError, or a number of more than 4,300 digits
        return Config(), [_syntax(str(error), text)]
    top = Location()
    config = config_from(table, top)
    return config, [Problem(sentence, key) for key, sentence in top.problems]


def _syntax(message: str, text: str) -> Problem:
    """Return the problem for a message of tomllib that ends with `(at line 3, column 5)` or `(at end of document)`."""
    position = re.search(r" ?\(at (?:line (\d+), column \d+|end of document)\)$", message)
    line = int(position[1]) if position and position[1] else text.count("\n") + 1 if position else 1
    sentence = message[: position.start()] if position else message
    if sentence == "Invalid value":
        sentence += '; a text needs quotes, such as path = "~/Maildir"'
    elif sentence.startswith("Cannot declare (") and sentence.endswith(") twice"):
        # `config init` writes all tables, so a table that is added from the guide is the second one.
        name = ".".join(one or other for one, other in re.findall(r"""'([^']*)'|"([^"]*)\"""", sentence))
        sentence = f"there are two tables [{name}]; {_heading(name)}"
    elif sentence == "Cannot overwrite a value":
        # A table in double brackets below one in single brackets has this error too.
        array = re.match(r"\s*\[\[\s*(\w+)", text.split("\n")[line - 1])
        what = _heading(array[1]) if array else "remove one of the two"
        sentence = f"this name occurs twice; {what}"
    return Problem(f"this is not valid TOML: {sentence}", line=line)


def _heading(name: str) -> str:
    """Return how a table that occurs twice is written."""
    if name in ARRAYS:
        return f"write [[{name}]] in double brackets, once for each section"
    return "write all settings of the table below one heading"
