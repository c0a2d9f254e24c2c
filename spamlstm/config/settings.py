"""Check and convert the value of one setting.

A reader takes a value that tomllib read and the location of the value in the file. It returns the converted value or
raises ValueError with a sentence. Problems in parts of the value are reported at the locations of the parts; the reader
then returns None.
"""

import difflib
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from spamlstm.config import sender_list
from spamlstm.config.addresses import parse_address
from spamlstm.config.maildirs import absolute
from spamlstm.config.values import AUTO, Action, CatchUp, LabelScope

NONE = "none"
"""The word that means no action in a list of actions."""

SCAN_SECONDS = (30, 60)
"""The allowed range of `scan_seconds`. A scan finds mail for which a notification was lost.

More than 60 s would delay that mail. Less than 30 s would take more processor time without a benefit.
"""

POINTS = (5, 99)
"""The allowed range of limits for points. Less would concern mail that is not spam; no message has 100 points."""

MOST_FALSE_POSITIVE_RATE = 0.1
"""The upper limit of `max_false_positive_rate`. A larger value is probably a percentage instead of a share."""

PER_MAILDIR = LabelScope.PER_MAILDIR

_Word = TypeVar("_Word", bound=StrEnum)


class UnusableError(ValueError):
    """An error for an unusable value. The message continues a sentence that begins with the key of the value."""


@dataclass(frozen=True, slots=True)
class Location:
    """The path of keys to a value in the file.

    `problems` is shared by all locations of a file and collects the problems found so far as (key, sentence).
    """

    path: tuple[str | int, ...] = ()
    problems: list[tuple[str, str]] = field(default_factory=list)

    def below(self, key: str | int) -> "Location":
        """Return the location of a key of this table, or of an entry of this list given its index from 0."""
        return Location((*self.path, key), self.problems)

    @property
    def key(self) -> str:
        """Return the path as text, such as `maildir[2].junk`. Entries of a list are counted from 1."""
        parts = (f"[{key + 1}]" if isinstance(key, int) else f".{_quoted(key)}" for key in self.path)
        return "".join(parts).removeprefix(".")

    def report(self, sentence: str) -> None:
        """Add a problem with the value at this location."""
        self.problems.append((self.key, sentence))


Reader = Callable[[Any, Location], Any]


def check_path(value: Any, _at: Location) -> str:
    """Return the path of a Maildir, which may contain wildcards. Raises UnusableError if the path is invalid."""
    if not isinstance(value, str) or not value.startswith(("/", "~")) or "\0" in value:
        raise UnusableError('must be a path that begins with / or ~, such as "~/Maildir" or "/var/vmail/*/*/Maildir"')
    if "**" in value:
        raise UnusableError("contains '**', which would search whole trees; write one * for each level of folders")
    if value.startswith("~") and not absolute(value).startswith("/"):
        raise UnusableError(f"there is no user with the home folder {shown(value.split('/')[0])}")
    return _nameable(value)


def check_textfile(value: Any, _at: Location) -> str:
    """Return the path of a metrics file for node_exporter. Raises UnusableError if the path is invalid."""
    usable = isinstance(value, str) and absolute(value).startswith("/") and "\0" not in value
    if not usable or not value.endswith(".prom"):
        raise UnusableError(
            "must be the path of a file that ends in .prom, such as"
            ' "/var/lib/prometheus/node-exporter/spamlstm.prom" (node_exporter reads only such files)'
        )
    return _nameable(str(value))


def check_listen(value: Any, _at: Location) -> str:
    """Return a loopback address with a port. Raises UnusableError if the value is another address."""
    host, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if host not in ("127.0.0.1", "[::1]") or not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise UnusableError(
            'must be a loopback address with a port, such as "127.0.0.1:9469" or "[::1]:9469"; for access from other'
            " machines use a proxy that authenticates"
        )
    return str(value)


def check_address(value: Any, _at: Location) -> str:
    """Return the address of a listener as the user wrote it. Raises UnusableError if the value is not an address."""
    if isinstance(value, str) and value.startswith("/"):
        raise UnusableError(f'needs "unix:" before the path of a Unix socket: "unix:{value}"')
    try:
        parse_address(value if isinstance(value, str) else "")
    except ValueError as error:
        raise UnusableError(
            'must be the path of a Unix socket or an IP address with a port, such as "unix:/run/spamlstm/spamd.sock",'
            ' "127.0.0.1:783" or "[::1]:783"'
        ) from error
    return _nameable(str(value))


def check_group(value: Any, _at: Location) -> str:
    """Return the name of a group. Raises UnusableError if the value cannot be the name of a group."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", value):
        raise UnusableError('must be the name of a group, such as "mail"')
    return value


def check_password_file(value: Any, _at: Location) -> str:
    """Return the path of a file with a password. Raises UnusableError if the path is invalid."""
    if not isinstance(value, str) or not absolute(value).startswith("/") or "\0" in value:
        raise UnusableError('must be the path of a file that begins with / or ~, such as "/etc/spamlstm/http.password"')
    return _nameable(value)


def check_user_maildir(value: Any, at: Location) -> str:
    """Return the path of a Maildir with placeholders for the user. Raises UnusableError if the path is invalid."""
    # The home folder of a user is known only when the user is.
    home = isinstance(value, str) and value.startswith("~{user}/")
    path = str(value) if home and check_path(str(value)[7:], at) else check_path(value, at)
    unknown = set(re.findall(r"\{[^{}]*\}|[{}]", path)) - {"{user}", "{local}", "{domain}"}
    if unknown or "{" not in path:
        raise UnusableError(
            'must contain {user}, or {local} and {domain}, and no other braces: "/var/vmail/{domain}/{local}/Maildir"'
        )
    return path


def check_junk(value: Any, _at: Location) -> str:
    """Return the name of a junk folder. Raises UnusableError if the name is invalid."""
    parts = value.split("/") if isinstance(value, str) else [""]
    if not all(parts) or not str(value).isprintable() or {".", ".."} & set(parts):
        raise UnusableError(f'must be "{AUTO}" or the name of a folder, such as "Junk"')
    if str(value).strip(".").lower() in ("inbox", "new", "cur", "tmp"):
        raise UnusableError(
            f'{shown(value)} cannot be the junk folder; write "{AUTO}" or the name of a folder, such as "Junk"'
        )
    return str(value)


def check_actions(value: Any, at: Location) -> tuple[Action, ...] | None:
    """Return the actions of a list in the order of `Action`, or None if a part of the list has a problem.

    Raises UnusableError if the list as a whole is invalid.
    """
    known = (*Action, NONE)
    if not isinstance(value, list):
        raise UnusableError(f'must be a list of actions, such as ["tag", "file"]; {_known(known)}')
    wrong = [index for index, one in enumerate(value) if not isinstance(one, str) or one not in known]
    for index in wrong:
        at.below(index).report(_no_action(value[index], known))
    if wrong:
        return None
    if len(set(value)) < len(value):
        raise UnusableError("contains an action twice")
    if NONE in value and len(value) > 1:
        raise UnusableError(f"'{NONE}' contradicts the other actions; write either this word or actions")
    return tuple(action for action in Action if action in value)


def _no_action(value: Any, known: tuple[str, ...]) -> str:
    if not isinstance(value, str):
        return f"an action is a word in quotes; {_known(known)}"
    return f"{shown(value)} is not an action; {suggestion(value, known)}"


def check_ham_actions(value: Any, at: Location) -> tuple[Action, ...] | None:
    """Return the actions for ham like `check_actions`. Raises UnusableError if the actions contain `file`."""
    found = check_actions(value, at)
    if found is not None and Action.FILE in found:
        raise UnusableError("'file' would move ham to the junk folder; only 'tag' and 'keyword' are allowed for ham")
    return found


def check_senders(value: Any, at: Location) -> tuple[str, ...]:
    """Return the entries of an allow or deny list and report invalid entries.

    Raises UnusableError if the value is not a list of strings.
    """
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise UnusableError('must be a list of strings, such as ["friend@example.org", "@example.net"]')
    for index, entry in enumerate(value):
        try:
            sender_list.parse_sender(entry)
        except ValueError as error:
            at.below(index).report(str(error))
    return tuple(value)


def check_ignore_folders(value: Any, at: Location) -> tuple[str, ...]:
    """Return a list of folder names and report invalid names. Raises UnusableError if the value is not a list."""
    if not isinstance(value, list):
        raise UnusableError('must be a list of names of folders, such as ["Receipts", "Lists/announce"]')
    for index, one in enumerate(value):
        if not isinstance(one, str) or not all(one.split("/")) or not one.isprintable():
            at.below(index).report('must be the name of a folder, such as "Lists/announce"')
    return tuple(value)


def check_number(value: Any, _at: Location) -> float:
    """Return a number as a float. Raises UnusableError if the value is not a number or is too large."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnusableError("must be a number")
    try:
        return float(value)
    except OverflowError as error:
        raise UnusableError("is too large a number") from error


def number_from_to(value: Any, at: Location, limits: tuple[float, float], more: str = "") -> float:
    """Return a number as a float. Raises UnusableError, ending with `more`, if it is not between two limits."""
    low, high = limits
    number = check_number(value, at)
    if not low <= number <= high:
        raise UnusableError(f"must be from {low} to {high}{more}")
    return number


def check_points(value: Any, at: Location) -> float:
    """Return a number of points, as in `X-Spam-Status`. Raises UnusableError if mail that is not spam may have more."""
    return number_from_to(value, at, POINTS, f"; spam has {POINTS[0]} points or more in X-Spam-Status")


def check_scan_seconds(value: Any, at: Location) -> float:
    """Return the time between two scans in seconds. Raises UnusableError if the value is out of range."""
    return number_from_to(value, at, SCAN_SECONDS)


def check_max_false_positive_rate(value: Any, at: Location) -> float:
    """Return a share of ham. Raises UnusableError if the share is negative or too large."""
    share = check_number(value, at)
    if not 0 <= share <= MOST_FALSE_POSITIVE_RATE:
        raise UnusableError(
            f"must be a share from 0 to {MOST_FALSE_POSITIVE_RATE}, such as 0.001 for one in a thousand"
        )
    return share


def check_boolean(value: Any, _at: Location) -> bool:
    """Return a Boolean. Raises UnusableError if the value is not true or false."""
    if not isinstance(value, bool):
        raise UnusableError("must be true or false, without quotes")
    return value


def check_catch_up(value: Any, _at: Location) -> CatchUp:
    """Return the value of `catch_up`. Raises UnusableError if the word is unknown."""
    return one_of(CatchUp, value)


def check_label_scope(value: Any, _at: Location) -> LabelScope:
    """Return the value of `labels`. Raises UnusableError if the word is unknown or renamed."""
    if value == "maildir":
        raise UnusableError(f'"maildir" is now called "{PER_MAILDIR}"')
    return one_of(LabelScope, value)


def one_of(words: type[_Word], value: Any) -> _Word:
    """Return the member of an enumeration with this value. Raises UnusableError if there is none."""
    if not isinstance(value, str) or value not in tuple(words):
        raise UnusableError("must be one of " + ", ".join(f'"{one}"' for one in words))
    return words(value)


def suggestion(word: str, known: tuple[str, ...]) -> str:
    """Return a question with the known word that is most similar to `word`, or the list of known words."""
    near = difflib.get_close_matches(word.lower(), known, 1)
    return f"did you mean '{near[0]}'?" if near else _known(known)


def _known(known: tuple[str, ...]) -> str:
    return "use one of: " + ", ".join(known)


def _nameable(path: str) -> str:
    """Return the path. Raises UnusableError if no file has it, as the encoding of the locale lacks a character."""
    try:
        os.fsencode(path)
    except UnicodeEncodeError as error:
        raise UnusableError(
            f"has the character {error.object[error.start]!a}, which the encoding of the locale ({error.encoding})"
            " lacks; set LC_ALL=C.UTF-8"
        ) from error
    return path


def shown(text: str) -> str:
    """Return `text` quoted on one line, shortened to at most 60 characters."""
    return repr(text if len(text) <= 60 else text[:59] + "…")


def _quoted(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)
