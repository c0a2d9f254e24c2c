"""Check and convert the settings of an `[[imap]]` section, by readers as in `spamlstm.config.settings`."""

import shlex
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from spamlstm.config.addresses import is_loopback
from spamlstm.config.settings import (
    Location,
    Reader,
    UnusableError,
    check_actions,
    check_boolean,
    check_ham_actions,
    check_ignore_folders,
    check_junk,
    number_from_to,
    one_of,
    shown,
)
from spamlstm.config.values import AUTO, Action, AuthMethod, ImapConfig, TlsMode

CHECK_SECONDS = (0.1, 300)
"""The allowed range of `check_seconds`. All folders are visited after 300 s or a little later in any case.

At less than 0.1 s, the server would do more work, and the answers take about as long as the pauses.
"""


def check_login_name(value: Any, _at: Location) -> str:
    """Return a name to log in with, which may have spaces. Raises UnusableError if the value is not printable."""
    if not isinstance(value, str) or not value.isprintable() or not value or len(value) > 255:
        raise UnusableError("must be a name of 1 to 255 characters, without control characters, in quotes")
    return value


def check_word(value: Any, at: Location) -> str:
    """Return a name of a host or account. Raises UnusableError if the value is not one printable word."""
    if " " in check_login_name(value, at):
        raise UnusableError("must be a name without spaces, in quotes")
    return str(value)


def check_host(value: Any, at: Location) -> str:
    """Return a name or IP address. Raises UnusableError if the value is not one, for example if it has a port."""
    host = check_word(value, at)
    if "/" in host or "@" in host or host.startswith("[") or host.count(":") == 1:
        raise UnusableError('must be a name, such as "imap.example.org"; the port is a setting of its own')
    return host


def check_port(value: Any, _at: Location) -> int:
    """Return a TCP port. Raises UnusableError if the value is not a port."""
    if type(value) is not int or not 0 < value < 65536:
        raise UnusableError("must be a port from 1 to 65535")
    return value


def check_command(value: Any, _at: Location) -> tuple[str, ...]:
    """Return a command and its arguments, given as a list or as one string without shell syntax.

    Raises UnusableError if the value is not a command.
    """
    try:
        words = shlex.split(value) if isinstance(value, str) else value
    except ValueError:
        words = []
    is_list = isinstance(words, list) and all(isinstance(one, str) and "\0" not in one for one in words)
    if not is_list or not words or not words[0].strip():
        raise UnusableError('must be a command, such as ["pass", "show", "mail"] or "secret-tool lookup user ann"')
    return tuple(words)


def check_tls(value: Any, _at: Location) -> TlsMode:
    """Return the value of `tls`. Raises UnusableError if the word is unknown."""
    return one_of(TlsMode, value)


def check_auth(value: Any, _at: Location) -> AuthMethod:
    """Return the value of `auth`. Raises UnusableError if the word is unknown."""
    return one_of(AuthMethod, value)


def check_classified_folders(value: Any, at: Location) -> tuple[str, ...]:
    """Return the folders whose mail is classified.

    Raises UnusableError if the list is empty or names a folder twice.
    """
    found = check_ignore_folders(value, at)
    if not found or len(set(map(str, found))) < len(found):
        raise UnusableError('must name at least one folder, and none twice, such as ["INBOX"]')
    return found


def check_sent(value: Any, _at: Location) -> str:
    """Return the name of a Sent folder. Raises UnusableError if the value is not one."""
    if not isinstance(value, str) or not value.isprintable() or not value or len(value) > 1000:
        raise UnusableError(f'must be "{AUTO}" or the name of a folder, such as "Sent"')
    return value


def check_check_seconds(value: Any, at: Location) -> float:
    """Return the time between two questions for new mail in seconds. Raises UnusableError if it is out of range."""
    return number_from_to(value, at, CHECK_SECONDS, " seconds, such as 0.2 for a server of your own")


def check_account_actions(value: Any, at: Location) -> tuple[Action, ...] | None:
    """Return the actions for mail of an IMAP account like `check_actions`.

    Raises UnusableError if the actions contain `tag`.
    """
    found = check_actions(value, at)
    if found is not None and Action.TAG in found:
        raise UnusableError(
            "'tag' is not possible, because messages on an IMAP server cannot be changed; use 'keyword'"
        )
    return found


def check_account_ham_actions(value: Any, at: Location) -> tuple[Action, ...] | None:
    """Return the actions for ham like `check_account_actions`. Raises UnusableError if the actions contain `file`."""
    check_account_actions(value, at)
    return check_ham_actions(value, at)


ACCOUNT_READERS: dict[str, Reader] = {
    "host": check_host,
    "user": check_login_name,
    "name": check_word,
    "port": check_port,
    "tls": check_tls,
    "auth": check_auth,
    "password_command": check_command,
    "token_command": check_command,
    "folders": check_classified_folders,
    "junk": check_junk,
    "sent": check_sent,
    "check_seconds": check_check_seconds,
    "spam": check_account_actions,
    "unsure": check_account_actions,
    "ham": check_account_ham_actions,
    "dry_run": check_boolean,
}
"""The reader of each setting."""


def check_account_keys(value: Any, at: Location) -> None:
    """Check that a section has a host and a user and no password. Raises UnusableError if host or user is missing."""
    if "password" in value:
        at.below("password").report("a password does not belong in this file; use password_command")
    if not {"host", "user"} <= set(value):
        raise UnusableError('needs a host and a user, such as host = "imap.example.org" and user = "ann@example.org"')


def check_login(account: ImapConfig, value: Any, at: Location) -> None:
    """Check that the account can log in, and only by an encrypted connection. `value` is the table of its section.

    Raises UnusableError if the command for the password or the token is missing.
    """
    if account.tls is TlsMode.NONE and not is_loopback(account.host):
        at.below("tls").report('"none" would send the password over the network; it is only for a server on localhost')
    command = "password_command" if account.auth is AuthMethod.PLAIN else "token_command"
    other = "token_command" if account.auth is AuthMethod.PLAIN else "password_command"
    if command in value and other in value:
        at.below(other).report(f'has no effect with auth = "{account.auth}"; remove it, or change auth')
    if _is_named(account.junk, account.folders):
        at.below("folders").report("contains the junk folder; mail in it is not classified, so remove it from folders")
    if command not in value:
        raise UnusableError(f'needs {command} for auth = "{account.auth}"')


def _is_named(name: str, names: Iterable[str]) -> bool:
    return name != AUTO and name in names


def refuse_doubled(accounts: Iterable[tuple[ImapConfig, Location]]) -> None:
    """Report each section that has the name of an earlier section or is for the same account.

    Case does not matter in the name of a host.
    """
    names: set[str] = set()
    for account, where in accounts:
        own = {account.label, replace(account, host=account.host.lower()).key}
        if names & own:
            where.report(
                f"an earlier section is called {shown(account.label)} too, or is for the same account; remove one of"
                ' them, or give each account a name = "..."'
            )
        names |= own
