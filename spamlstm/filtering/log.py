"""One line of the log for each thing that happened: what a machine can take apart and a person can read.

A line is an event and its fields, `judged verdict=spam score=4.21 folder=.Junk`; the record carries them as `fields`
too. Names of folders and files, numbers and reasons; never a subject, an address or text from a message.
"""

import json
import logging
import os
from collections.abc import Sequence
from typing import Any

from spamlstm.filtering.outcome import Outcome, Status

logger = logging.getLogger("spamlstm.daemon")


def emit(level: int, event: str, /, **fields: Any) -> None:
    """Log one event. Fields that are None or empty are left out, floats are rounded."""
    if logger.isEnabledFor(level):
        kept = {name: _rounded(value) for name, value in fields.items() if value is not None and value != ""}
        logger.log(level, "%s", line(event, kept), extra={"event": event, "fields": kept})


def log_outcome(outcome: Outcome) -> None:
    """The line of one message: what it was judged, why, and what was done. Failures are told by the group."""
    candidate, judgement = outcome.candidate, outcome.judgement
    failed = outcome.status is Status.FAILED
    emit(
        logging.DEBUG if failed or outcome.status in (Status.KNOWN, Status.OLD, Status.GONE) else logging.INFO,
        outcome.status,
        maildir=candidate.maildir,
        base=candidate.base,
        id=outcome.content,
        verdict=judgement.verdict if judgement else None,
        p=judgement.probability if judgement else None,
        score=judgement.score if judgement else None,
        reason=judgement.reason if judgement else None,
        model=judgement.model if judgement else None,
        actions=",".join(outcome.actions),
        folder=os.path.basename(outcome.folder),  # noqa: PTH119  a name, as it was given
        kind=outcome.kind,
        error=outcome.failure,
        ms=outcome.ms or None,
    )


def log_failures(outcomes: Sequence[Outcome]) -> None:
    """One warning for each kind of failure in a group: a full disk with 30,000 messages is one thing to know."""
    kinds: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.status is Status.FAILED:
            kinds.setdefault(outcome.kind, []).append(outcome)
    for kind, failed in kinds.items():
        first = failed[0]
        where = {"maildir": first.candidate.maildir, "base": first.candidate.base}
        emit(logging.WARNING, "failed", kind=kind, count=len(failed), **where, error=first.failure)


def line(event: str, fields: dict[str, Any]) -> str:
    """The event and its fields in one line, whatever they hold."""
    return " ".join((event, *(f"{name}={_shown(value)}" for name, value in fields.items())))


def _rounded(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value


def _shown(value: Any) -> str:
    text = str(value)
    plain = text.isascii() and text.isprintable() and not set(text) & {" ", '"', "="}
    return text if plain and text else json.dumps(text)
