"""Beside a reader that is always at work, nothing is lost or doubled, and there is no error."""

import os
import time
from pathlib import Path

import racing
from inbox import Inbox, raw
from maildirs import make

from spamlstm.filtering.outcome import Status
from spamlstm.maildir.headers import untag


def race(path: Path, count: int) -> tuple[Inbox, dict[str, int], int]:
    """Deliver and judge messages beside a reader; returns the inbox, the outcomes and how often the reader renamed."""
    one = Inbox(make(path / "Maildir"), path / "state", clock=time.time).watch()
    reader = racing.start(one.root)
    outcomes: dict[str, int] = {}
    try:
        for number in range(1, count + 1):
            written = Path(one.root, "tmp", f"{number}.mx")
            written.write_bytes(raw("spam" if number % 2 else "ham", number))
            os.link(written, Path(one.root, "new", written.name))
            written.unlink()
            if number % 16 == 0 or number == count:
                _count(one, outcomes)
        # Mail that the reader took from new to cur meanwhile.
        while _count(one, outcomes):
            pass
    finally:
        changes = racing.stop(reader)
    return one, outcomes, changes


def _count(one: Inbox, outcomes: dict[str, int]) -> int:
    done = one.run()
    for outcome in done:
        outcomes[outcome.status] = outcomes.get(outcome.status, 0) + 1
    return len(done)


def wrong(one: Inbox, count: int) -> list[str]:
    """List what is wrong."""
    found = sorted(untag(content) for folder in (one.root, one.junk) for content in one.contents(folder))
    wanted = sorted(raw("spam" if number % 2 else "ham", number) for number in range(1, count + 1))
    problems = [] if found == wanted else [f"{len(wanted)} delivered, {len(found)} there"]
    if len(one.names(one.junk)) != (count + 1) // 2:
        problems.append(f"{len(one.names(one.junk))} filed")
    if one.counters.failed:
        problems.append(f"failures: {dict(one.counters.failed)}")
    return problems


def test_beside_a_reader(tmp_path):
    """300 messages here; `python benchmarks/reader.py` takes 10,000."""
    one, outcomes, changes = race(tmp_path, 300)

    assert wrong(one, 300) == []
    assert outcomes[Status.DONE] == outcomes[Status.LEFT] == 150
    assert changes > 150
