"""Read a configuration file. All problems of a file are reported together."""

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spamlstm.config import settings
from spamlstm.config.account_settings import ACCOUNT_READERS, check_account_keys, check_login, refuse_doubled
from spamlstm.config.addresses import UNIX, doubled_addresses, parse_address
from spamlstm.config.maildirs import absolute, covers, has_magic
from spamlstm.config.ownership import check_configuration, why_unreadable
from spamlstm.config.settings import Location, Reader, UnusableError
from spamlstm.config.values import (
    Config,
    Costs,
    DaemonConfig,
    FilterConfig,
    HttpConfig,
    ImapConfig,
    LearningConfig,
    MaildirConfig,
    MetricsConfig,
    MilterConfig,
    PolicyConfig,
    SpamdConfig,
    Thresholds,
)
from spamlstm.errors import ConfigError, reason_of
from spamlstm.files import open_any

MOST_BYTES = 4 << 20
"""The maximum size of a configuration, which is twice the size of an allow list of 100,000 addresses."""

_RENAMED: dict[tuple[str | int, ...], str] = {
    ("learning", "moves"): "learn_from_moves",
    ("learning", "layer"): "labels",
    ("learning", "ham_filed"): "max_false_positive_rate",
    ("learning", "silent"): "ignore_folders",
}
"""The setting names from before version 0.1.0, each with its current name."""


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
        return f"it does not exist; to write it, run: spamlstm config init --path {path}"
    reason = reason_of(error) if isinstance(error, OSError) else str(error)
    return why_unreadable(path) or reason if isinstance(error, PermissionError) else reason


def read_config(raw: bytes) -> tuple[Config, list[Problem]]:
    """Return the configuration in the bytes of a file and the list of all problems.

    If there are problems, the configuration is incomplete. Invalid contents do not raise.
    """
    try:
        text = raw.decode("utf-8")
        table = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return Config(), [Problem("this is not valid TOML: it must be UTF-8", line=line)]
    except RecursionError:
        return Config(), [Problem("this is not valid TOML: it is nested too deeply", line=1)]
    except ValueError as error:  # TOMLDecodeError, or a number of more than 4,300 digits
        return Config(), [_syntax(str(error), text)]
    top = Location()
    config = _config(table, top)
    return config, [Problem(sentence, key) for key, sentence in top.problems]


def _syntax(message: str, text: str) -> Problem:
    """Return the problem for a message of tomllib that ends with `(at line 3, column 5)` or `(at end of document)`."""
    position = re.search(r" ?\(at (?:line (\d+), column \d+|end of document)\)$", message)
    line = int(position[1]) if position and position[1] else text.count("\n") + 1 if position else 1
    sentence = message[: position.start()] if position else message
    if sentence == "Invalid value":
        sentence += '; a text needs quotes, such as path = "~/Maildir"'
    return Problem(f"this is not valid TOML: {sentence}", line=line)


def _config(table: dict[str, Any], at: Location) -> Config:
    readers: dict[str, Reader] = {
        "policy": _policy,
        "maildir": _maildirs,
        "daemon": _daemon,
        "metrics": _metrics,
        "learning": _learning,
        "filter": _filter,
        "http": _http,
        "milter": _milter,
        "spamd": _spamd,
        "imap": _accounts,
    }
    values = _values(table, at, readers)
    if "maildir" in values:
        values["maildirs"] = values.pop("maildir")
    if "imap" in values:
        values["accounts"] = values.pop("imap")
    config = Config(**values)
    listens = {name: one.listen or "" for name, one in config.listeners().items()}
    listens |= {"metrics": config.metrics.listen} if config.metrics.listen else {}
    for name, earlier in doubled_addresses(listens):
        at.below(name).below("listen").report(f"is also the address of [{earlier}]; give each its own address")
    return config


def _policy(value: Any, at: Location) -> PolicyConfig:
    readers: dict[str, Reader] = {
        "allow": settings.check_senders,
        "deny": settings.check_senders,
        "thresholds": _thresholds,
        "costs": _costs,
    }
    return PolicyConfig(**_values(value, at, readers))


def _thresholds(value: Any, at: Location) -> Thresholds | None:
    numbers = _numbers(value, at, ("ham", "spam"))
    return Thresholds(**numbers) if numbers else None


def _costs(value: Any, at: Location) -> Costs | None:
    numbers = _numbers(value, at, ("false_positive", "false_negative", "unsure"))
    return Costs(**numbers) if numbers else None


def _numbers(value: Any, at: Location, names: tuple[str, ...]) -> dict[str, float]:
    """Return the numbers in a table that must contain all `names`, or an empty dict if a number is missing or wrong."""
    numbers = _values(value, at, dict.fromkeys(names, settings.check_number))
    for name in names:
        if name not in value:
            at.below(name).report("is required and must be a number")
    return numbers if len(numbers) == len(names) else {}


def _daemon(value: Any, at: Location) -> DaemonConfig:
    readers: dict[str, Reader] = {
        "scan_seconds": settings.check_scan_seconds,
        "catch_up": settings.check_catch_up,
        "dry_run": settings.check_boolean,
    }
    return DaemonConfig(**_values(value, at, readers))


def _metrics(value: Any, at: Location) -> MetricsConfig:
    return MetricsConfig(**_values(value, at, {"textfile": settings.check_textfile, "listen": settings.check_listen}))


def _learning(value: Any, at: Location) -> LearningConfig:
    readers: dict[str, Reader] = {
        "learn_from_moves": settings.check_boolean,
        "labels": settings.check_label_scope,
        "max_false_positive_rate": settings.check_max_false_positive_rate,
        "ignore_folders": settings.check_ignore_folders,
        "user_maildir": settings.check_user_maildir,
    }
    return LearningConfig(**_values(value, at, readers))


def _filter(value: Any, at: Location) -> FilterConfig:
    config = FilterConfig(**_listener(value, at, {}))
    if config.listen is not None and not config.listen.startswith(UNIX):
        at.below("listen").report("must be a Unix socket, because `spamlstm filter` connects to no other address")
    return config


def _http(value: Any, at: Location) -> HttpConfig:
    return HttpConfig(**_listener(value, at, {"password_file": settings.check_password_file}))


def _milter(value: Any, at: Location) -> MilterConfig:
    readers: dict[str, Reader] = {"quarantine_above": settings.check_points, "reject_above": settings.check_points}
    milter = MilterConfig(**_listener(value, at, readers))
    quarantine, reject = milter.quarantine_above, milter.reject_above
    if quarantine is not None and reject is not None and quarantine >= reject:
        at.below("quarantine_above").report("must be below reject_above, because mail above both limits is rejected")
    return milter


def _spamd(value: Any, at: Location) -> SpamdConfig:
    return SpamdConfig(**_listener(value, at, {"allow_tell": settings.check_boolean}))


def _listener(value: Any, at: Location, readers: dict[str, Reader]) -> dict[str, Any]:
    """Return the values of a listener's table. `readers` has the readers of the settings of this listener only.

    An address that other machines can reach is reported, unless `allow_remote` is true.
    """
    common: dict[str, Reader] = {
        "listen": settings.check_address,
        "group": settings.check_group,
        "allow_remote": settings.check_boolean,
    }
    values = _values(value, at, {**common, **readers})
    if any(values.values()) and "listen" not in value:
        at.below("listen").report("is missing, and without an address the other settings of this table have no effect")
    address = parse_address(values["listen"]) if "listen" in values else None
    if address is not None and not address.is_local and not values.get("allow_remote"):
        at.below("listen").report(
            "is an address that other machines can reach, and the protocol has neither passwords nor encryption; use a"
            " loopback address or a Unix socket, or permit it with allow_remote = true"
        )
    return values


def _sections(reader: Reader, value: Any, at: Location, *, form: str) -> list[tuple[Any, Location]]:
    """Return the usable sections of an array of tables with their locations. UnusableError if it has another form."""
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise UnusableError(f"must be written as {form}")
    located = [(_read(reader, one, at.below(index)), at.below(index)) for index, one in enumerate(value)]
    return [(section, where) for section, where in located if section is not None]


def _maildirs(value: Any, at: Location) -> tuple[MaildirConfig, ...]:
    sections = _sections(_maildir, value, at, form="[[maildir]] in double brackets, once for each section")
    _refuse_unreachable(sections)
    return tuple(section for section, _ in sections)


def _maildir(value: Any, at: Location) -> MaildirConfig | None:
    readers: dict[str, Reader] = {
        "path": settings.check_path,
        "junk": settings.check_junk,
        "spam": settings.check_actions,
        "unsure": settings.check_actions,
        "ham": settings.check_ham_actions,
        "dry_run": settings.check_boolean,
    }
    values = _values(value, at, readers)
    if "path" not in value:
        raise UnusableError('needs a path, such as path = "~/Maildir"')
    return MaildirConfig(**values) if "path" in values else None


def _accounts(value: Any, at: Location) -> tuple[ImapConfig, ...]:
    accounts = _sections(_account, value, at, form="[[imap]] in double brackets, once for each account")
    refuse_doubled(accounts)
    return tuple(account for account, _ in accounts)


def _account(value: Any, at: Location) -> ImapConfig | None:
    values = _values({key: one for key, one in value.items() if key != "password"}, at, ACCOUNT_READERS)
    check_account_keys(value, at)
    if not {"host", "user"} <= values.keys():
        return None
    account = ImapConfig(**values)
    check_login(account, value, at)
    return account


def _refuse_unreachable(sections: list[tuple[MaildirConfig, Location]]) -> None:
    """Report each section that never applies because an earlier section matches the same paths."""
    earlier: dict[str, Location] = {}
    for section, where in sections:
        path = absolute(section.path)
        # Only sections with wildcards can cover another path, and only few of thousands of sections have wildcards.
        covering = next(
            (other for pattern, other in earlier.items() if has_magic(pattern) and covers(pattern, path)), None
        )
        if path in earlier:
            where.below("path").report(f"{settings.shown(section.path)} is also the path of {earlier[path].key}")
        elif covering is not None:
            where.below("path").report(
                f"{covering.key} matches this path too and applies first; move this section before it"
            )
        else:
            earlier[path] = where


def _values(value: Any, at: Location, readers: dict[str, Reader]) -> dict[str, Any]:
    """Return the values of a table by key. A key with a problem is reported and omitted.

    Raises UnusableError if `value` is not a table.
    """
    if not isinstance(value, dict):
        raise UnusableError("must be a table")
    values = {}
    for key, one in value.items():
        where = at.below(key)
        if key not in readers:
            where.report(_unknown(where, key, one, tuple(readers)))
        elif (read := _read(readers[key], one, where)) is not None:
            values[key] = read
    return values


def _read(reader: Reader, value: Any, at: Location) -> Any:
    try:
        return reader(value, at)
    except ValueError as error:
        return at.report(str(error))


def _unknown(at: Location, key: str, value: Any, known: tuple[str, ...]) -> str:
    if renamed := _RENAMED.get(at.path):
        also = (
            f', and its value "maildir" is now "{settings.PER_MAILDIR}"' if (key, value) == ("layer", "maildir") else ""
        )
        return f"'{key}' is now called '{renamed}'{also}"
    return f"is not a setting; {settings.suggestion(key, known)}"
