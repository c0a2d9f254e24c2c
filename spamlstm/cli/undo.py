"""`spamlstm undo`: move filed mail back and remove the added headers. An act is a journaled change of one message."""

import itertools
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from spamlstm.cli.journal import open_journal
from spamlstm.cli.selection import existing_state
from spamlstm.cli.terminal import (
    complain,
    is_terminal,
    local_time,
    log_to_stderr,
    print_json,
    print_rows,
    report,
    settings,
)
from spamlstm.cli.undo_accounts import has_records, undo_on_accounts
from spamlstm.config import Action, Config, load_found_config
from spamlstm.corpus.paths import MOST_BYTES
from spamlstm.daemon.imap.account_state import AccountAct
from spamlstm.daemon.imap.account_undo import AccountUndoResult
from spamlstm.daemon.maildir_locks import MaildirLocks
from spamlstm.errors import ExitStatus, NoInputError, UserError, reading
from spamlstm.files import open_regular
from spamlstm.filtering.acts import Recovery
from spamlstm.filtering.counters import Counters
from spamlstm.filtering.journal import Journal
from spamlstm.filtering.journal_rows import UnreadableAct
from spamlstm.filtering.message_id import message_id_hash
from spamlstm.filtering.named_message import contents_by_message_id, contents_by_name
from spamlstm.filtering.undo import UndoResult, UndoStatus, undo_acts
from spamlstm.maildir.content_id import content_id, former_content_ids, is_content_id
from spamlstm.maildir.opened import OpenMaildir
from spamlstm.message.compression import decompressed
from spamlstm.message.message import parse_message

_EARLIEST = 86_400.0
"""1970-01-02. No act is older, and every system can print it in local time."""
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
# A Message-ID may contain a slash, but a path does not have this form, unless a file has such a name.
_MESSAGE_ID = re.compile(r"<[^<>\s]+@[^<>\s]*>|[^<>\s/]+@[^<>\s/]+")
_HEADER_BYTES = 64 << 10
"""Bytes of a message that are read for its subject."""


@dataclass(frozen=True, slots=True)
class _Row:
    """An undone act in the report. `source` and `target` are the folders before and after the undo."""

    id: str
    time: float
    status: UndoStatus
    actions: tuple[Action, ...]
    source: str
    target: str
    failure: str
    path: str = ""
    """The file of the message in a Maildir."""
    account: str = ""
    """The name of the IMAP account that has the message."""
    head: bytes = b""
    """The beginning of the message on an IMAP account."""


@dataclass(frozen=True, slots=True)
class _Named:
    """The message that the user named: its possible content ids, and the hash of its Message-ID or b""."""

    contents: tuple[str, ...]
    message_id: bytes
    problem: str
    """What to say if there is nothing to undo for the message."""


@dataclass(slots=True)
class _Results:
    """The undone acts, the errors of accounts, and whether an act of the journal is damaged."""

    rows: list[_Row] = field(default_factory=list)
    errors: list[UserError] = field(default_factory=list)
    has_damage: bool = False

    def add(self, one: UndoResult | UnreadableAct | tuple[str, AccountUndoResult] | UserError) -> _Row | None:
        """Add a result and return its row, or None if there is none.

        A damaged act is reported immediately, and an error of an account at the end, after what was undone.
        """
        match one:
            case UnreadableAct():
                self.has_damage = True
                complain(f"act {one.id} of the journal", f"it is damaged and left unchanged ({one.why})")
                return None
            case UserError():
                self.errors.append(one)
                return None
        row = _row(one) if isinstance(one, UndoResult) else _row_of_account(*one)
        self.rows.append(row)
        return row


def undo_messages(
    message: str | None, *, since: str | None, dry_run: bool, json: bool, config_file: Path | None, state: Path | None
) -> int:
    """Undo all acts since a time, or the acts on one message, print each act, and return the exit status.

    `message` names a message, see `_named`. Raises NoInputError if its file cannot be read, and UserError if `since` is
    not a time in the past.
    """
    now = time.time()
    moment = max(parse_time(since or "1d", now=now), _EARLIEST) if since or message is None else 0.0
    if moment > now:
        raise UserError(f"--since {since} is in the future; write a time in the past, such as 2h or 2026-11-20T18:30")
    results = _Results()
    state = existing_state(state)
    # Maildirs need no configuration.
    config = load_found_config(config_file) if config_file or has_records(state) else Config()
    with (
        # A state folder that does not exist is not created.
        open_journal(state, dry_run=dry_run or not state.is_dir()) as journal,
        MaildirLocks() as locks,
        log_to_stderr(without=["failed", "journal"]),
    ):

        def open_maildir(path: str) -> OpenMaildir:
            if not dry_run:
                locks.lock(path)
            return locks.opened(path)

        named = None if message is None else _named(message, journal, open_maildir)
        recovery = Recovery(journal, counters=Counters(), clock=time.time, opened=open_maildir)
        if not dry_run:
            recovery.settle(all_open=True)
        acts = undo_acts(
            journal,
            recovery,
            since=moment,
            dry=dry_run,
            clock=time.time,
            open_maildir=open_maildir,
            contents=None if named is None else named.contents,
        )
        on_accounts = undo_on_accounts(
            config, state, is_wanted=lambda act: act.time >= moment and _is_named(act, named), dry=dry_run
        )
        for one in itertools.chain(acts, on_accounts):
            row = results.add(one)
            if json and row is not None:
                print_json({**_object(row), "dry_run": dry_run})
    if named is not None and named.problem and not results.rows and not results.errors:
        raise NoInputError(named.problem)
    if not json and (dry_run or not settings.quiet):
        _print(results.rows, dry_run=dry_run)
        if results.rows or not (results.has_damage or results.errors):
            sys.stdout.write(_summary(results.rows, moment, dry_run=dry_run) + "\n")
    return _status(results)


def _status(results: _Results) -> ExitStatus:
    """Return the exit status. Raises the first error of an account, after the other errors were reported."""
    if results.errors:
        for sentence in list(dict.fromkeys(map(str, results.errors)))[1:]:  # accounts may have the same error
            report(sentence)
        raise results.errors[0]
    if results.has_damage:
        return ExitStatus.DATA
    has_failed = any(one.status is UndoStatus.FAILED for one in results.rows)
    return ExitStatus.TEMPORARY if has_failed else ExitStatus.OK


def _named(message: str, journal: Journal, open_maildir: Callable[[str], OpenMaildir]) -> _Named:
    """Return what identifies the message that the user named.

    `message` is a content id, a Message-ID, a file, or the path or name of a file before or after an act. Raises
    NoInputError if the file cannot be read.
    """
    if is_content_id(message):
        return _Named((message,), b"", "")
    if _MESSAGE_ID.fullmatch(message) and not os.path.lexists(message):
        found = contents_by_message_id(journal.acts(since=0.0), message, open_maildir=open_maildir)
        problem = (
            ""
            if found
            else f"no filed or tagged message has the Message-ID {message}; it may have been undone, moved or removed"
        )
        return _Named(found, message_id_hash(message), problem)
    if not os.path.lexists(message):
        # A message that was tagged or filed is no longer at the path that `scan` printed.
        found = contents_by_name(journal.acts(since=0.0), message)
        if not found:
            raise NoInputError(f"'{message}' is not a file, and there is nothing to undo for a message with this name")
        return _Named(found, b"", "")
    if Path(message).is_dir():
        raise NoInputError(
            f"{message} is a folder; name one message, or leave it out to undo everything since a time (--since)"
        )
    with reading(message), open_regular(message) as stream:
        raw = decompressed(stream.read(), most=MOST_BYTES)
    return _Named((content_id(raw), *former_content_ids(raw)), b"", "")


def _is_named(act: AccountAct, named: _Named | None) -> bool:
    return named is None or act.mail.content in named.contents or (named.message_id or None) == act.mail.message_id


def parse_time(text: str, *, now: float) -> float:
    """Return seconds since 1970 for a time span before `now`, or for a date with or without a time of day.

    Raises UserError if `text` is neither.
    """
    span = re.fullmatch(r"(\d{1,9})\s*([smhdw])", text.strip().lower())
    if span:
        return now - int(span[1]) * _SECONDS[span[2]]
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC).timestamp()
    except (ValueError, OverflowError) as error:
        raise UserError(f"'{text}' is not a time: write 30m, 2h, 1d, 1w, or a time like 2026-11-20T18:30") from error


def _row(one: UndoResult) -> _Row:
    act = one.act
    intent = act.intent
    return _Row(
        act.content, act.time, one.status, intent.actions, intent.folder, one.mailbox, one.failure, path=one.path
    )


def _row_of_account(account: str, one: AccountUndoResult) -> _Row:
    act, ends = one.act, (one.source, one.target, one.failure)
    return _Row(act.mail.content, act.time, one.status, act.actions, *ends, account=account, head=one.head)


def _summary(rows: Sequence[_Row], moment: float, *, dry_run: bool) -> str:
    counts = Counter(one.status for one in rows)
    words = {
        UndoStatus.UNDONE: "would be undone" if dry_run else "undone",
        UndoStatus.ELSEWHERE: "moved or removed in the meantime and left unchanged",
        UndoStatus.FAILED: "failed",
    }
    summary = ", ".join(f"{counts[status]} {words[status]}" for status in UndoStatus if counts[status])
    if summary:
        return summary
    return (
        f"there is nothing to undo since {local_time(moment)}"
        if moment
        else "there is nothing to undo for this message"
    )


def _print(rows: Sequence[_Row], *, dry_run: bool) -> None:
    """Print the results. Subject and file are printed only on a terminal, because pipes must not receive mail text."""
    columns = [_columns(one, dry_run=dry_run) for one in rows]
    if is_terminal(sys.stdout):
        header = ("time", "result", "subject", "file", "failure")
        texts = ((_subject(one), one.path or _place(one, one.target), one.failure) for one in rows)
        print_rows(header, ((*row[:2], *text) for row, text in zip(columns, texts, strict=True)))
    else:
        print_rows((), columns)


def _columns(one: _Row, *, dry_run: bool) -> tuple[str, ...]:
    result = "would be undone" if dry_run and one.status is UndoStatus.UNDONE else str(one.status)
    where = one.failure or _place(one, one.target)
    return local_time(one.time), result, ",".join(one.actions), _place(one, one.source), where, one.id, one.path


def _place(one: _Row, folder: str) -> str:
    """Return the path of a folder in a Maildir, or the account and the name of a folder."""
    return f"{one.account}: {folder}" if one.account and folder else folder


def _subject(one: _Row) -> str:
    """Return the subject of the message, or an empty string if it is no longer there."""
    if one.account:
        return parse_message(one.head).subject
    try:
        with open_regular(one.path, follow=False) as stream:
            return parse_message(stream.read(_HEADER_BYTES)).subject
    except OSError:
        return ""


def _object(one: _Row) -> dict[str, object]:
    account = {"account": one.account} if one.account else {}
    return {
        "id": one.id,
        "time": round(one.time, 3),
        "status": one.status,
        "actions": list(one.actions),
        "from": one.source,
        "to": one.target,
        "file": one.path,
        "failure": one.failure,
        **account,
    }
