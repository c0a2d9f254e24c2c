"""The tables of a configuration file: one function for each table, which returns its values.

A table is an entry of `_TABLES`, and a setting is a key in the `readers` of its table. The checks of single values are
in `settings`.
"""

from typing import Any

from spamlstm.config import settings
from spamlstm.config.account_settings import ACCOUNT_READERS, check_account_keys, check_login, refuse_doubled
from spamlstm.config.addresses import UNIX, doubled_addresses, parse_address
from spamlstm.config.maildirs import absolute, covers, has_magic
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

_RENAMED: dict[tuple[str | int, ...], str] = {
    ("learning", "moves"): "learn_from_moves",
    ("learning", "layer"): "labels",
    ("learning", "ham_filed"): "max_false_positive_rate",
    ("learning", "silent"): "ignore_folders",
}
"""The setting names from before version 0.1.0, each with its current name."""

ARRAYS = {"maildir": "maildirs", "imap": "accounts"}
"""The tables that may occur several times, each with its field of `Config`."""


def config_from(table: dict[str, Any], at: Location) -> Config:
    """Return the configuration in the top-level table of a file. Problems are reported to `at`."""
    values = _values(table, at, {name: reader for name, (reader, _) in _TABLES.items()})
    config = Config(**{ARRAYS.get(name, name): one for name, one in values.items()})
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
        at.below("listen").report("must be a Unix socket, because 'spamlstm filter' connects to no other address")
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
    """Return the usable sections of an array of tables with their locations.

    Raises UnusableError if the value has another form.
    """
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
    # In TOML, a setting belongs to the table above it. Settings before all tables, or after the Maildirs, are a common
    # mistake.
    homes = [
        f"[[{name}]]" if name in ARRAYS else f"[{name}]"
        for name, (_, values) in _TABLES.items()
        if key in values.__dataclass_fields__
    ]
    if homes and at.path[0] in (key, "maildir"):
        return f"is not a setting here; it belongs below {' or '.join(homes)}"
    return f"is not a setting; {settings.suggestion(key, known)}"


_TABLES: dict[str, tuple[Reader, Any]] = {
    "maildir": (_maildirs, MaildirConfig),
    "imap": (_accounts, ImapConfig),
    "daemon": (_daemon, DaemonConfig),
    "policy": (_policy, PolicyConfig),
    "learning": (_learning, LearningConfig),
    "metrics": (_metrics, MetricsConfig),
    "filter": (_filter, FilterConfig),
    "http": (_http, HttpConfig),
    "milter": (_milter, MilterConfig),
    "spamd": (_spamd, SpamdConfig),
}
"""The tables of the file, each with its reader and the class of its settings."""
