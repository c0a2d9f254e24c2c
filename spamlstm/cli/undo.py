"""`spamlstm undo`: what was done to mail, taken back."""

import json as jsons
import re
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from spamlstm.cli.output import complain, local_time, plain
from spamlstm.cli.scan import opened
from spamlstm.config.locations import state_dir
from spamlstm.daemon.maildir_locks import MaildirLocks
from spamlstm.errors import DataError, TemporaryError, UserError
from spamlstm.filtering.acts import UnreadableAct
from spamlstm.filtering.outcome import Counters
from spamlstm.filtering.recovery import Recovery
from spamlstm.filtering.undo import UndoResult, UndoStatus, undo_acts
from spamlstm.maildir.opened import OpenMaildir

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_WORDS = {
    UndoStatus.UNDONE: "taken back",
    UndoStatus.ELSEWHERE: "moved or removed since and left alone",
    UndoStatus.FAILED: "failed",
}


def undo_since(since: str, *, dry_run: bool, json: bool, state: Path | None) -> int:
    """Take back and print; gives the exit status."""
    moment = when(since, now=time.time())
    statuses: Counter[UndoStatus] = Counter()
    unreadable = False
    with opened(state or state_dir(), dry_run=dry_run) as journal, MaildirLocks() as locks:

        def open_maildir(path: str) -> OpenMaildir:
            if not dry_run:
                locks.lock(path)
            return locks.opened(path)

        recovery = Recovery(journal, counters=Counters(), clock=time.time, opened=open_maildir)
        if not dry_run:
            recovery.settle(all_open=True)
        for one in undo_acts(journal, recovery, since=moment, dry=dry_run, clock=time.time, open_maildir=open_maildir):
            if isinstance(one, UnreadableAct):
                unreadable = True
                complain(f"act {one.id} of the journal", f"it is damaged and left alone ({one.why})")
                continue
            statuses[one.status] += 1
            _print(one, json=json)
    if not json:
        words = [
            f"{statuses[status]} {'would be ' if dry_run and status is UndoStatus.UNDONE else ''}{_WORDS[status]}"
            for status in UndoStatus
            if statuses[status]
        ]
        if words or not unreadable:
            sys.stdout.write((", ".join(words) or f"nothing was done since {local_time(moment)}") + "\n")
    if unreadable:
        return DataError.exit_status
    return TemporaryError.exit_status if statuses[UndoStatus.FAILED] else 0


def when(text: str, *, now: float) -> float:
    """Seconds since 1970 of what the user wrote: a time span before now, or a date with or without a time of day."""
    span = re.fullmatch(r"(\d{1,9})\s*([smhdw])", text.strip().lower())
    if span:
        return now - int(span[1]) * _SECONDS[span[2]]
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC).timestamp()
    except (ValueError, OverflowError) as error:
        raise UserError(
            f"'{text}' is no time: write 30m, 2h, 1d, 1w, or a date and time like 2026-11-20T18:30"
        ) from error


def _print(one: UndoResult, *, json: bool) -> None:
    intent = one.act.intent
    if json:
        shown = {
            "id": one.act.content,
            "time": round(one.act.time, 3),
            "fate": one.status,
            "actions": list(intent.actions),
            "from": intent.folder,
            "to": one.mailbox,
            "failure": one.failure,
        }
        sys.stdout.write(jsons.dumps(shown) + "\n")
        return
    columns = (
        local_time(one.act.time),
        one.status,
        ",".join(intent.actions),
        intent.folder,
        one.failure or one.mailbox,
    )
    text = "\t".join(map(plain, columns)) + "\n"
    sys.stdout.write(text.encode("utf-8", "backslashreplace").decode())
