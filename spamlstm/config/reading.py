"""Reading a configuration file: the whole of it is looked at, and whatever is wrong is reported together."""

import difflib
import json
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from spamlstm.config import sender_list
from spamlstm.config.lines import Place, find_lines
from spamlstm.config.maildirs import absolute, covers, has_magic
from spamlstm.config.ownership import check_configuration
from spamlstm.config.values import (
    AUTO,
    Action,
    CatchUp,
    Config,
    Costs,
    DaemonConfig,
    LabelScope,
    LearningConfig,
    MaildirConfig,
    MetricsConfig,
    PolicyConfig,
    Thresholds,
)
from spamlstm.errors import ConfigError
from spamlstm.files import open_any

NONE = "none"
"""How a list of actions says in a word that nothing is done."""

SCAN_SECONDS = (30, 60)
"""Notifications get lost, so a scan finds what they missed: rarer is too late, more often costs and finds nothing."""

MOST_FALSE_POSITIVE_RATE = 0.1
"""Who lets a filter take more of his ham than a tenth has mistaken a percentage for a share."""

MOST_BYTES = 4 << 20
"""An allow list of 100,000 addresses is half of that."""

# Tables that are planned; someone may have read of them before their version came.
_LATER = ("spamd",)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something wrong in a file: at which line, with which key ("" is the file itself), and a sentence."""

    line: int
    key: str
    sentence: str

    def __str__(self) -> str:
        """One line, but for the file's name."""
        return f"{self.line}: {self.key}: {self.sentence}" if self.key else f"{self.line}: {self.sentence}"


class ProblemsError(ConfigError):
    """All that is wrong in one file, in the order of its lines; as text one `file:line: key: sentence` a line."""

    def __init__(self, path: Path, problems: list[Problem]) -> None:
        self.path = path
        self.problems = tuple(sorted(problems))
        super().__init__(f"the configuration {path} cannot be used:\n" + "\n".join(self.lines()))

    def lines(self) -> list[str]:
        """The problems, each as one line that an editor can jump to."""
        return [f"{self.path}:{problem}" for problem in self.problems]


def load_file(path: Path) -> Config:
    """The configuration in a file; a ConfigError if it cannot be read or others could change it.

    A ProblemsError for what is wrong in it.
    """
    try:
        with open_any(path) as stream:
            check_configuration(path, os.fstat(stream.fileno()))
            raw = stream.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        why = error.strerror if isinstance(error, OSError) else None
        raise ConfigError(f"the configuration {path} cannot be read: {why or error}") from error
    if len(raw) > MOST_BYTES:
        raise ConfigError(f"the configuration {path} is larger than {MOST_BYTES:,} bytes: it is something else")
    config, problems = read_config(raw)
    if problems:
        raise ProblemsError(path, problems)
    return config


def read_config(raw: bytes) -> tuple[Config, list[Problem]]:
    """What the bytes of a file say, and all that is wrong in it; never raises. With problems the Config is partial."""
    try:
        text = raw.decode("utf-8")
        table = tomllib.loads(text)
        lines = find_lines(text)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return Config(), [Problem(line, "", "this is not valid TOML: it must be UTF-8")]
    except RecursionError:
        return Config(), [Problem(1, "", "this is not valid TOML: it is nested too deeply")]
    except ValueError as error:  # TOMLDecodeError, and a number of more than 4,300 digits
        return Config(), [_syntax(str(error), text)]
    problems: list[Problem] = []
    return _config(table, _At((), lines, problems)), problems


def _syntax(message: str, text: str) -> Problem:
    """The message of tomllib ends with `(at line 3, column 5)` or `(at end of document)`."""
    told = re.search(r" ?\(at (?:line (\d+), column \d+|end of document)\)$", message)
    line = int(told[1]) if told and told[1] else text.count("\n") + 1 if told else 1
    return Problem(line, "", f"this is not valid TOML: {message[: told.start()] if told else message}")


@dataclass(frozen=True, slots=True)
class _At:
    """A place in the file, where problems can be noted."""

    place: Place
    lines: dict[Place, int]
    problems: list[Problem]

    def below(self, key: str | int) -> "_At":
        return _At((*self.place, key), self.lines, self.problems)

    @property
    def key(self) -> str:
        """The keys, parted by dots; which of a list it is, the line tells."""
        return ".".join(_bare(key) for key in self.place if isinstance(key, str))

    @property
    def line(self) -> int:
        """The line of the place, or of the nearest one above it that has one."""
        return next((self.lines[up] for up in _upwards(self.place) if up in self.lines), 1)

    def problem(self, sentence: str) -> None:
        self.problems.append(Problem(self.line, self.key, sentence))


def _upwards(place: Place) -> list[Place]:
    return [place[:depth] for depth in range(len(place), 0, -1)]


def _bare(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)


class _UnusableError(ValueError):
    """A value that cannot be used, in a sentence that goes on from its key."""


_Value = TypeVar("_Value")
_Word = TypeVar("_Word", bound=StrEnum)
# What reads one value. One that cannot be used is a ValueError with a sentence; or None, if its parts were noted.
_Reader = Callable[[Any, _At], Any]


def _config(table: dict[str, Any], at: _At) -> Config:
    readers: dict[str, _Reader] = {
        "policy": _policy,
        "maildir": _maildirs,
        "daemon": _daemon,
        "metrics": _metrics,
        "learning": _learning,
    }
    return Config(**_fields(table, at, readers, {"maildir": "maildirs"}))


def _policy(value: Any, at: _At) -> PolicyConfig:
    readers: dict[str, _Reader] = {"allow": _senders, "deny": _senders, "thresholds": _thresholds, "costs": _costs}
    return PolicyConfig(**_fields(value, at, readers))


def _daemon(value: Any, at: _At) -> DaemonConfig:
    readers: dict[str, _Reader] = {"scan_seconds": _scan_seconds, "catch_up": _catch_up, "dry_run": _boolean}
    return DaemonConfig(**_fields(value, at, readers))


def _metrics(value: Any, at: _At) -> MetricsConfig:
    return MetricsConfig(**_fields(value, at, {"textfile": _textfile, "listen": _listen}))


def _learning(value: Any, at: _At) -> LearningConfig:
    readers: dict[str, _Reader] = {
        "learn_from_moves": _boolean,
        "labels": _label_scope,
        "max_false_positive_rate": _max_false_positive_rate,
        "ignore_folders": _ignore_folders,
    }
    return LearningConfig(**_fields(value, at, readers))


def _maildirs(value: Any, at: _At) -> tuple[MaildirConfig, ...]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise _UnusableError("must be written [[maildir]], in double brackets, once for each")
    read = [(one, at.below(index)) for index, one in enumerate(value)]
    found = [(section, place) for one, place in read if (section := _noted(_maildir, one, place)) is not None]
    _refuse_unreached(found)
    return tuple(section for section, _ in found)


def _maildir(value: Any, at: _At) -> MaildirConfig | None:
    readers: dict[str, _Reader] = {
        "path": _path,
        "junk": _junk,
        "spam": _actions,
        "unsure": _actions,
        "ham": _ham_actions,
        "dry_run": _boolean,
    }
    fields = _fields(value, at, readers)
    if "path" not in value:
        raise _UnusableError('needs a path, such as path = "~/Maildir"')
    return MaildirConfig(**fields) if "path" in fields else None


def _refuse_unreached(found: list[tuple[MaildirConfig, _At]]) -> None:
    """The first section that matches a Maildir holds for it: one behind it for the same path would do nothing."""
    lines: dict[str, int] = {}
    for section, maildir in found:
        path, at = absolute(section.path), maildir.below("path")
        # Of thousands of sections few have globs, and only those can cover another.
        covering = next((line for glob, line in lines.items() if has_magic(glob) and covers(glob, path)), None)
        if path in lines:
            at.problem(f"{_shown(section.path)} is there twice: line {lines[path]} has it already")
        elif covering is not None:
            at.problem(f"the path of line {covering} covers this one; put this section before that one")
        else:
            lines[path] = at.line


def _fields(
    value: Any, at: _At, readers: Mapping[str, _Reader], names: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What the keys of a table say, by name of field; a key that is wrong is noted and left out."""
    if not isinstance(value, dict):
        raise _UnusableError("must be a table")
    fields = {}
    for key, one in value.items():
        if key not in readers:
            _unknown(at.below(key), key, tuple(readers))
        elif (said := _noted(readers[key], one, at.below(key))) is not None:
            fields[(names or {}).get(key, key)] = said
    return fields


def _noted(reader: _Reader, value: Any, at: _At) -> Any:
    try:
        return reader(value, at)
    except ValueError as error:
        return at.problem(str(error))


def _unknown(at: _At, key: str, known: tuple[str, ...]) -> None:
    if at.place in [(name,) for name in _LATER]:
        return at.problem("is not supported by this version")
    return at.problem(f"is not a setting; {_near(key, known)}")


def _near(word: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(word.lower(), known, 1)
    return f"did you mean '{near[0]}'?" if near else _known(known)


def _known(known: tuple[str, ...]) -> str:
    return "known are: " + ", ".join(known)


def _path(value: Any, _at: _At) -> str:
    if not isinstance(value, str) or not value.startswith(("/", "~")) or "\0" in value:
        raise _UnusableError('must be a path that begins with / or ~, such as "~/Maildir" or "/var/vmail/*/*/Maildir"')
    if "**" in value:
        raise _UnusableError("has '**' in it, which would walk whole trees; write one * for each level of folders")
    if value.startswith("~") and not absolute(value).startswith("/"):
        raise _UnusableError(f"there is no user whose home {_shown(value.split('/')[0])} could be")
    return value


def _textfile(value: Any, _at: _At) -> str:
    if (
        not isinstance(value, str)
        or not absolute(value).startswith("/")
        or "\0" in value
        or not value.endswith(".prom")
    ):
        raise _UnusableError(
            "must be the path of a file that ends in .prom, such as"
            ' "/var/lib/prometheus/node-exporter/spamlstm.prom" (node_exporter reads no other)'
        )
    return value


def _listen(value: Any, _at: _At) -> str:
    host, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if host not in ("127.0.0.1", "[::1]") or not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise _UnusableError(
            'must be an address of this very machine with a port, "127.0.0.1:9469" or "[::1]:9469"; from elsewhere it'
            " is reached through a proxy that asks who is there"
        )
    return str(value)


def _junk(value: Any, _at: _At) -> str:
    parts = value.split("/") if isinstance(value, str) else [""]
    if not all(parts) or not str(value).isprintable() or {".", ".."} & set(parts):
        raise _UnusableError(f'must be "{AUTO}" or the name of a folder, such as "Junk"')
    if str(value).strip(".").lower() in ("inbox", "new", "cur", "tmp"):
        raise _UnusableError(
            f'{_shown(value)} is no place for junk; write "{AUTO}" or a folder\'s name, such as "Junk"'
        )
    return str(value)


def _actions(value: Any, at: _At) -> tuple[Action, ...] | None:
    known = (*Action, NONE)
    if not isinstance(value, list):
        raise _UnusableError(f'must be a list of actions, such as ["tag", "file"]; {_known(known)}')
    wrong = [index for index, one in enumerate(value) if not isinstance(one, str) or one not in known]
    for index in wrong:
        at.below(index).problem(_no_action(value[index], known))
    if wrong:
        return None
    if len(set(value)) < len(value):
        raise _UnusableError("has an action twice")
    if NONE in value and len(value) > 1:
        raise _UnusableError(f"'{NONE}' beside other actions contradicts them; leave out one or the other")
    return tuple(action for action in Action if action in value)


def _no_action(value: Any, known: tuple[str, ...]) -> str:
    if not isinstance(value, str):
        return f"an action is a word in quotes; {_known(known)}"
    return f"{_shown(value)} is not an action; {_near(value, known)}"


def _ham_actions(value: Any, at: _At) -> tuple[Action, ...] | None:
    actions = _actions(value, at)
    if actions is not None and Action.FILE in actions:
        raise _UnusableError("'file' would move ham to the junk folder; ham can have 'tag' and 'keyword'")
    return actions


def _senders(value: Any, at: _At) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise _UnusableError('must be a list of strings, such as ["friend@example.org", "@example.net"]')
    for index, entry in enumerate(value):
        try:
            sender_list.parse_sender(entry)
        except ValueError as error:
            at.below(index).problem(str(error))
    return tuple(value)


def _thresholds(value: Any, at: _At) -> Thresholds | None:
    return _numbers(value, at, Thresholds, ("ham", "spam"))


def _costs(value: Any, at: _At) -> Costs | None:
    return _numbers(value, at, Costs, ("false_positive", "false_negative", "unsure"))


def _numbers(value: Any, at: _At, kind: Callable[..., _Value], names: tuple[str, ...]) -> _Value | None:
    fields = _fields(value, at, dict.fromkeys(names, _number))
    for name in names:
        if name not in value:
            at.below(name).problem("must be there and be a number")
    if len(fields) < len(names):
        return None
    return kind(**fields)


def _number(value: Any, _at: _At) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _UnusableError("must be a number")
    try:
        return float(value)
    except OverflowError as error:
        raise _UnusableError("is too large a number") from error


def _scan_seconds(value: Any, _at: _At) -> float:
    low, high = SCAN_SECONDS
    seconds = _number(value, _at)
    if not low <= seconds <= high:
        raise _UnusableError(f"must be from {low} to {high}")
    return seconds


def _boolean(value: Any, _at: _At) -> bool:
    if not isinstance(value, bool):
        raise _UnusableError("must be true or false, without quotes")
    return value


def _catch_up(value: Any, _at: _At) -> CatchUp:
    return _one_of(CatchUp, value)


def _label_scope(value: Any, _at: _At) -> LabelScope:
    return _one_of(LabelScope, value)


def _one_of(words: type[_Word], value: Any) -> _Word:
    if not isinstance(value, str) or value not in tuple(words):
        raise _UnusableError("must be one of " + ", ".join(f'"{one}"' for one in words))
    return words(value)


def _max_false_positive_rate(value: Any, _at: _At) -> float:
    share = _number(value, _at)
    if not 0 <= share <= MOST_FALSE_POSITIVE_RATE:
        raise _UnusableError(
            f"must be a share from 0 to {MOST_FALSE_POSITIVE_RATE}, such as 0.001 for one of a thousand"
        )
    return share


def _ignore_folders(value: Any, at: _At) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _UnusableError('must be a list of names of folders, such as ["Receipts", "Lists/announce"]')
    for index, one in enumerate(value):
        if not isinstance(one, str) or not all(one.split("/")) or not one.isprintable():
            at.below(index).problem('must be the name of a folder, such as "Lists/announce"')
    return tuple(value)


def _shown(text: str) -> str:
    """What the user wrote, as it can stand in a sentence: in one line, and not for pages."""
    return repr(text if len(text) <= 60 else text[:59] + "…")
