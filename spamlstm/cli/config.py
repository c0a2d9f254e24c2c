"""`spamlstm config`: write, check and show the configuration."""

import os
import shutil
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import assert_never

from spamlstm.cli.selection import WORK
from spamlstm.cli.terminal import print_lines, print_summary, thresholds_in_words
from spamlstm.config import (
    Action,
    AuthMethod,
    Config,
    HttpConfig,
    ImapConfig,
    LabelScope,
    ListenerConfig,
    MaildirConfig,
    MetricsConfig,
    MilterConfig,
    SpamdConfig,
    TlsMode,
    load_config,
)
from spamlstm.config.addresses import UNIX, UnixAddress, parse_address
from spamlstm.config.locations import config_files, find_config_file, user_file
from spamlstm.config.maildirs import absolute, expand_maildirs, folder_identity, has_magic
from spamlstm.config.ownership import group_number, may_enter, why_closed
from spamlstm.config.passwords import read_password
from spamlstm.config.reading import ProblemsError
from spamlstm.config.values import AUTO
from spamlstm.config.writing import to_toml, write_default
from spamlstm.daemon.imap.accounts import check_imap_installed
from spamlstm.daemon.listeners.sockets import other_file
from spamlstm.errors import ConfigError, ExitStatus, UserError, reason_of
from spamlstm.maildir.folders import decoded
from spamlstm.maildir.junk_folder import existing_junk_folders, junk_folder
from spamlstm.maildir.opened import OpenMaildir
from spamlstm.maildir.paths import is_maildir, why_not_maildir
from spamlstm.model.bundle import load_bundle
from spamlstm.model.policy import Policy
from spamlstm.model.registry import find_bundle
from spamlstm.wording import counted, in_shell
from spamlstm.xdg import with_home

_ENCRYPTION = {TlsMode.TLS: "TLS", TlsMode.STARTTLS: "STARTTLS", TlsMode.NONE: "not encrypted"}
_MADE_BY_SYSTEMD = ("/run/", "/var/run/", "/var/lib/")
"""The folders in which systemd may create the folder of a socket when the daemon starts."""
_LISTED = 10
"""The maximum number of Maildirs listed for a section. Further Maildirs are only counted."""


class _Kind(Enum):
    """What a line of the report means for the result of the check."""

    FACT = "fact"
    OBSTACLE = "obstacle"
    """The line is about a part of the configuration that the daemon cannot use."""
    MISSING = "missing"
    """The line is about a Maildir that does not exist yet. The daemon uses it as soon as it exists."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the report of `check_config`."""

    text: str
    kind: _Kind = _Kind.FACT


def init_config(path: Path | None, *, group: str | None) -> None:
    """Write the commented default configuration to `path`, by default to the user's configuration file.

    The members of `group` can read the file, if they may enter its folder; otherwise prints how to permit that. Raises
    UserError if the file exists or there is no such group.
    """
    target = path or user_file()
    write_default(target, group=group)
    option = f" --config {in_shell(target)}" if path else ""
    print_summary(f"{target} written; adapt it to your needs, then run: spamlstm config check{option}")
    if group is not None and (why := why_closed(target.absolute().parent, group)):
        print_summary(why)


def check_config(named: Path | None) -> int:
    """Print all problems of the configuration, or what it makes the daemon do. Return the exit status.

    A part that the daemon cannot use, such as a listener whose group does not exist, is a problem. A Maildir that does
    not exist yet is not. Raises ConfigError if there is no configuration file or it cannot be read.
    """
    path = find_config_file(named)
    if path is None:
        raise ConfigError(f"{_nothing_found()}; to write a file, run: spamlstm config init")
    try:
        config = load_config(path)
    except ProblemsError as error:
        print_lines(*error.lines())
        return ExitStatus.CONFIG
    sections = list(_sections(config))
    listeners = [line for name, one in config.listeners().items() for line in _listener(name, one)]
    accounts = [line for one in config.accounts for line in _account(config, one)]
    metrics = list(_metrics(config.metrics))
    kinds = Counter(line.kind for line in (*sections, *listeners, *accounts, *metrics))
    watches = "Watched Maildirs:" if config.maildirs else "No Maildirs are watched, as there is no [[maildir]] section."
    if not (config.maildirs or config.listeners() or config.accounts):
        watches += f" For 'spamlstm run', name a Maildir, or add {WORK}."
    _print_part(f"{path} {_result(kinds[_Kind.OBSTACLE], kinds[_Kind.MISSING])}. {watches}", sections)
    if listeners:
        _print_part("Listeners:", listeners)
    if accounts:
        _print_part("IMAP accounts:", accounts)
    if metrics:
        _print_part("Metrics:", metrics)
    return ExitStatus.CONFIG if kinds[_Kind.OBSTACLE] else ExitStatus.OK


def _print_part(heading: str, lines: Iterable[_Line]) -> None:
    print_lines(heading, *(line.text for line in lines))


def _result(obstacles: int, missing: int) -> str:
    """Return the words that sum up the numbers of obstacles and of missing Maildirs."""
    absent = f"{counted(missing, 'Maildir')} {'does' if missing == 1 else 'do'} not exist yet"
    if obstacles:
        problems = f"has {counted(obstacles, 'problem')}, see 'cannot' and 'not used' below"
        return f"{problems}; {absent}" if missing else problems
    return f"has no problems, but {absent}" if missing else "has no problems"


def _listener(name: str, listener: ListenerConfig) -> Iterator[_Line]:
    group = f", for members of the group {listener.group}" if listener.group else ""
    if group and not str(listener.listen).startswith(UNIX):
        group = (
            f", for all users of this machine, because the group {listener.group} has an effect on a Unix socket only"
        )
    remote = "" if parse_address(listener.listen or "").is_local else ", for other machines too, without a password"
    tell = ", clients can label mail" if isinstance(listener, SpamdConfig) and listener.allow_tell else ""
    if isinstance(listener, HttpConfig) and listener.password_file:
        tell = ", clients with the password can label mail"
    limits = "".join(_limits(listener)) if isinstance(listener, MilterConfig) else ""
    yield _Line(f"  {name}: {listener.listen}{group}{remote}{tell}{limits}")
    yield from (_Line(f"    cannot listen: {why}", _Kind.OBSTACLE) for why in _obstacles(listener))


def _obstacles(listener: ListenerConfig) -> Iterator[str]:
    """Yield the reasons for which the daemon cannot open a listener."""
    address = parse_address(listener.listen or "")
    if isinstance(address, UnixAddress):
        if not address.path.startswith(_MADE_BY_SYSTEMD):
            yield from _missing_folder(Path(address.path))
        if other := other_file(address.path):
            yield other
    if listener.group:
        try:
            group_number(listener.group)
        except UserError as error:
            yield str(error)
    if isinstance(listener, HttpConfig) and listener.password_file:
        try:
            read_password(listener.password_file)
        except UserError as error:
            yield str(error)


def _missing_folder(file: Path) -> Iterator[str]:
    """Yield a sentence if the folder of a file that the daemon creates does not exist."""
    if not file.parent.is_dir():
        yield f"the folder {file.parent} does not exist; create it, or name another folder"


def _metrics(metrics: MetricsConfig) -> Iterator[_Line]:
    if metrics.listen:
        yield _Line(f"  http://{metrics.listen}/metrics")
    if metrics.textfile:
        file = Path(absolute(metrics.textfile))
        yield _Line(f"  {file}")
        why = f"{file} is a folder; name a file" if file.is_dir() else "".join(_missing_folder(file))
        if why:
            yield _Line(f"    cannot write: {why}", _Kind.OBSTACLE)


def _limits(milter: MilterConfig) -> Iterator[str]:
    if milter.quarantine_above is not None:
        yield f", spam above {milter.quarantine_above:g} points is quarantined"
    if milter.reject_above is not None:
        yield f", spam above {milter.reject_above:g} points is rejected"


def _account(config: Config, account: ImapConfig) -> Iterator[_Line]:
    where = f"{account.user} at {account.host} port {account.tcp_port}, {_ENCRYPTION[account.tls]}"
    yield _Line(f"  {account.label}: {where}; new mail in {', '.join(account.folders)}; {_actions(config, account)}")
    try:
        check_imap_installed()
    except UserError as error:
        yield _Line(f"    not used: {error}", _Kind.OBSTACLE)
    setting = "password_command" if account.auth is AuthMethod.PLAIN else "token_command"
    command = account.password_command or account.token_command or ("",)
    # The program is not named, because some users write the password itself here.
    if shutil.which(with_home(command[0])) is None:
        why = f"the program of {setting} is not found; install it, or write its full path"
        yield _Line(f"    not used: {why}", _Kind.OBSTACLE)


def show_config(named: Path | None) -> None:
    """Print the effective configuration with all defaults as valid TOML."""
    path = find_config_file(named)
    origin = f"from {path}" if path else f"{_nothing_found()}; these are the defaults"
    config = load_config(path) if path else Config()
    print_lines(f"# {origin}", f"# thresholds in force: {_thresholds(config)}", "")
    sys.stdout.write(to_toml(config))


def _thresholds(config: Config) -> str:
    try:
        bundle = load_bundle(find_bundle(None), hashes=False)
        policy = Policy.of(config.policy, thresholds=bundle.thresholds)
    except UserError as error:
        return f"unknown, as the model cannot be used: {error}"
    also = "" if policy.chosen else "; scores of mail like your labelled mail are adjusted to max_false_positive_rate"
    return thresholds_in_words(policy.thresholds_json()) + also


def _nothing_found() -> str:
    files = config_files()
    searched = f"there is no configuration file (searched: {', '.join(map(str, files))})"
    folders = (file.parent for file in files if os.path.isdir(file.parent))  # noqa: PTH112  os.path.isdir never raises
    return "; you may not enter ".join((searched, *(str(folder) for folder in folders if not may_enter(folder))))


def _sections(config: Config) -> Iterator[_Line]:
    usable: dict[int, list[Path]] = defaultdict(list)
    refused: dict[int, list[str]] = defaultdict(list)
    expanded = expand_maildirs(config.maildirs)
    for path, section in expanded.items():
        why = _refusal(path)
        if why:
            refused[id(section)].append(why)
        elif is_maildir(str(path)):
            usable[id(section)].append(path)
    for section in config.maildirs:
        found = usable[id(section)]
        count = counted(len(found), "Maildir") if found else "no Maildir exists"
        yield _Line(f"  {section.path}: {count}; {_actions(config, section)}")
        lines = [_maildir(path, section, dry=config.is_dry(section)) for path in found]
        yield from lines[:_LISTED]
        yield from (line for line in lines[_LISTED:] if line.kind is _Kind.OBSTACLE)
        if len(found) > _LISTED:
            yield _Line(f"    and {len(found) - _LISTED} more")
        yield from (_Line(f"    not used: {why}", _Kind.OBSTACLE) for why in refused[id(section)])
        if not found and not refused[id(section)] and not has_magic(section.path):
            yield _unused(absolute(section.path), expanded)
    if config.learning.labels is LabelScope.SHARED and sum(map(len, usable.values())) > 1:
        yield _Line('  All labels apply to all Maildirs. For several users, set [learning] labels = "per-maildir".')


def _unused(name: str, expanded: Iterable[Path]) -> _Line:
    """Return the line about the path of a section to which no folder belongs."""
    identity = folder_identity(name)
    other = next((path for path in expanded if identity and folder_identity(str(path)) == identity), Path(name))
    if str(other) == name:
        return _Line(f"    not watched yet: {why_not_maildir(name)}", _Kind.MISSING)
    why = f"{name} is the same folder as {other}; remove one of the two sections"
    return _Line(f"    not used: {why}", _Kind.OBSTACLE)


def _refusal(path: Path) -> str:
    """Return the reason for which the daemon refuses a Maildir, or an empty string if the daemon accepts it."""
    try:
        with OpenMaildir.open(str(path)):
            return ""
    except OSError as error:
        return f"{path} ({reason_of(error)})"
    except UserError as error:
        return str(error)


def _maildir(path: Path, section: MaildirConfig, *, dry: bool) -> _Line:
    """Return the line about a Maildir, with the folder to which its spam is filed."""
    if is_maildir(str(path.parent)):
        why = f"it is a folder of the Maildir {path.parent}, whose inbox alone is filtered; name that Maildir instead"
        return _Line(f"    {path}: cannot be used as a Maildir, as {why}", _Kind.OBSTACLE)
    try:
        if not dry and (*section.spam, *section.unsure, *section.ham) and (why := _why_unchangeable(path)):
            return _Line(f"    {path}: mail cannot be tagged or moved ({why})", _Kind.OBSTACLE)
        if Action.FILE not in (*section.spam, *section.unsure):
            return _Line(f"    {path}")
        with OpenMaildir.open(str(path)) as mailbox:
            folder = junk_folder(mailbox, section.junk)
            if not folder.exists():
                return _Line(f"    {path}: junk folder {_shown(folder.name)} (will be created)")
            others = [_shown(name) for name in existing_junk_folders(mailbox) if name != folder.name]
            unused = f"; not used: {', '.join(others)}" if others else ""
            return _Line(f"    {path}: junk folder {_shown(folder.name)} (exists{unused})")
    except OSError as error:
        why = reason_of(error)
    except UserError as error:
        why = str(error)
    return _Line(f"    {path}: spam cannot be filed ({why})", _Kind.OBSTACLE)


def _why_unchangeable(path: Path) -> str:
    """Return why this user cannot change the mail in the inbox of a Maildir, or an empty string.

    Raises OSError if the Maildir is removed in the meantime.
    """
    if all(os.access(path / name, os.W_OK | os.X_OK) for name in ("new", "cur", "tmp")):
        return ""
    return "read-only file system" if os.statvfs(path).f_flag & os.ST_RDONLY else "permission denied"


def _shown(name: str) -> str:
    """Return the name of a folder on disk, with the readable name if the name on disk is encoded."""
    readable = decoded(name)
    return name if readable == name else f"{name} ({readable.removeprefix('.')})"


def _actions(config: Config, section: MaildirConfig | ImapConfig) -> str:
    verdicts = {"spam": section.spam, "unsure": section.unsure, "ham": section.ham}
    words = {name: ", ".join(_action(one, section) for one in actions) for name, actions in verdicts.items()}
    return "; ".join(f"{name}: {done or 'nothing'}" for name, done in words.items()) + (
        "; dry run: only reported" if config.is_dry(section) else ""
    )


def _action(action: Action, section: MaildirConfig | ImapConfig) -> str:
    match action:
        case Action.TAG:
            return "tag"
        case Action.KEYWORD:
            return "set the junk keyword"
        case Action.FILE:
            return f"file to {'the junk folder' if section.junk == AUTO else section.junk}"
        case _:
            assert_never(action)
