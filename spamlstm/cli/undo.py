"""`spamlstm undo`: move filed mail back and remove the added headers. An act is a journaled change of one message."""

import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from spamlstm.cli.scan import open_journal
from spamlstm.cli.selection import existing_state
from spamlstm.cli.terminal import complain, is_terminal, local_time, log_to_stderr, print_json, print_rows, settings
from spamlstm.corpus.paths import MOST_BYTES
from spamlstm.daemon.maildir_locks import MaildirLocks
from spamlstm.errors import ExitStatus, NoInputError, UserError, reading
from spamlstm.files import open_regular
from spamlstm.filtering.acts import Recovery
from spamlstm.filtering.journal import Journal
from spamlstm.filtering.journal_rows import UnreadableAct
from spamlstm.filtering.named_message import contents_by_message_id, contents_by_name
from spamlstm.filtering.outcome import Counters
from spamlstm.filtering.undo import UndoResult, UndoStatus, undo_acts
from spamlstm.maildir.content_id import content_id, former_content_id
from spamlstm.maildir.opened import OpenMaildir
from spamlstm.message.compression import decompressed
from spamlstm.message.message import parse_message

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
# A Message-ID may contain a slash, but a path does not have this form, unless a file has such a name.
_MESSAGE_ID = re.compile(r"<[^<>\s]+@[^<>\s]*>|[^<>\s/]+@[^<>\s/]+")
_HEADER_BYTES = 64 << 10
"""Bytes of a message that are read for its subject."""


def undo_messages(message: str | None, *, since: str | None, dry_run: bool, json: bool, state: Path | None) -> int:
    """Undo all acts since a time, or the acts on one message, print each act, and return the exit status.

    `message` names a message, see `_contents`. Raises NoInputError if its file cannot be read, and UserError if `since`
    is not a time.
    """
    moment = parse_time(since or "1d", now=time.time()) if since or message is None else 0.0
    results: list[UndoResult] = []
    unreadable = False
    state = existing_state(state)
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

        contents = None if message is None else _contents(message, journal, open_maildir)
        recovery = Recovery(journal, counters=Counters(), clock=time.time, opened=open_maildir)
        if not dry_run:
            recovery.settle(all_open=True)
        acts = undo_acts(
            journal, recovery, since=moment, dry=dry_run, clock=time.time, open_maildir=open_maildir, contents=contents
        )
        for one in acts:
            if isinstance(one, UnreadableAct):
                unreadable = True
                complain(f"act {one.id} of the journal", f"it is damaged and left unchanged ({one.why})")
                continue
            results.append(one)
            if json:
                print_json({**_object(one), "dry_run": dry_run})
    if not json and (dry_run or not settings.quiet):
        _print(results, dry_run=dry_run)
        if results or not unreadable:
            sys.stdout.write(_summary(results, moment, dry_run=dry_run) + "\n")
    if unreadable:
        return ExitStatus.DATA
    return ExitStatus.TEMPORARY if any(one.status is UndoStatus.FAILED for one in results) else ExitStatus.OK


def _contents(message: str, journal: Journal, open_maildir: Callable[[str], OpenMaildir]) -> tuple[str, ...]:
    """Return the content ids of a message, given by a content id, its file, the path or name of its file before or
    after an act, or its Message-ID.

    Raises NoInputError if the file cannot be read, or no message has this name or Message-ID.
    """
    if re.fullmatch(r"[0-9a-f]{32}", message):
        return (message,)
    if _MESSAGE_ID.fullmatch(message) and not os.path.lexists(message):
        found = contents_by_message_id(journal.acts(since=0.0), message, open_maildir=open_maildir)
        if not found:
            raise NoInputError(f"no message with the Message-ID {message} is where it was filed or tagged")
        return found
    if not os.path.lexists(message):
        # A message that was tagged or filed is no longer at the path that `scan` printed.
        found = contents_by_name(journal.acts(since=0.0), message)
        if not found:
            raise NoInputError(f"'{message}' is not a file, and there is nothing to undo for a message with this name")
        return found
    with reading(message), open_regular(message) as stream:
        raw = decompressed(stream.read(), most=MOST_BYTES)
    return content_id(raw), former_content_id(raw)


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


def _summary(results: Sequence[UndoResult], moment: float, *, dry_run: bool) -> str:
    counts = Counter(one.status for one in results)
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


def _print(results: Sequence[UndoResult], *, dry_run: bool) -> None:
    """Print the results. Subject and file are printed only on a terminal, because pipes must not receive mail text."""
    rows = [_columns(one, dry_run=dry_run) for one in results]
    if is_terminal(sys.stdout):
        header = ("time", "result", "subject", "file", "failure")
        texts = ((_subject(one.path), one.path, one.failure) for one in results)
        print_rows(header, ((*row[:2], *text) for row, text in zip(rows, texts, strict=True)))
    else:
        print_rows((), rows)


def _columns(one: UndoResult, *, dry_run: bool) -> tuple[str, ...]:
    act = one.act
    result = "would be undone" if dry_run and one.status is UndoStatus.UNDONE else str(one.status)
    where = one.failure or one.mailbox
    return local_time(act.time), result, ",".join(act.intent.actions), act.intent.folder, where, act.content, one.path


def _subject(path: str) -> str:
    """Return the subject of the message in a file, or an empty string if the file no longer exists."""
    try:
        with open_regular(path, follow=False) as stream:
            return parse_message(stream.read(_HEADER_BYTES)).subject
    except OSError:
        return ""


def _object(one: UndoResult) -> dict[str, object]:
    intent = one.act.intent
    return {
        "id": one.act.content,
        "time": round(one.act.time, 3),
        "status": one.status,
        "actions": list(intent.actions),
        "from": intent.folder,
        "to": one.mailbox,
        "file": one.path,
        "failure": one.failure,
    }
