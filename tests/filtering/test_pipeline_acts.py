"""The acts of the pipeline on disk: their order, and what an error or a lost Maildir leaves."""

# ruff: noqa: PTH104, PTH108, PTH118  as in maildir

import contextlib
import os
from pathlib import Path

import on_disk
import pytest
from inbox import tagged
from interruption import CrashError, Interruption, crash

from spamlstm.config import Action
from spamlstm.filtering.outcome import Status


def test_an_unexpected_error_is_one_messages_own(inbox, monkeypatch):
    """Contract 9: a bug leaves that message as it is, and the next is judged."""
    one = inbox(spam=(Action.TAG,))
    one.deliver("spam")
    one.deliver("ham")
    monkeypatch.setattr("spamlstm.filtering.acts.tag", None)

    assert sorted(outcome.status for outcome in one.run()) == [Status.FAILED, Status.LEFT]
    assert one.counters.failed == {"bug": 1}


def test_the_order_on_disk(inbox, monkeypatch):
    """The intent is on disk before the Maildir changes, and the fresh message before the old one is removed."""
    one = inbox()
    one.deliver()
    calls = []
    for name in ("fsync", "rename", "unlink"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, real=real, name=name, **k: calls.append(name) or real(*a, **k))
    real = one.journal.transaction
    monkeypatch.setattr(
        one.journal, "transaction", lambda *, durable: calls.append(f"durable {durable}") or real(durable=durable)
    )
    on_disk.create_folder(one.root, one.junk)
    candidates = one.pipeline.scan(one.root)
    calls.clear()
    one.pipeline.process(candidates)

    before = ["durable False"]  # what is in progress
    assert calls == [*before, "durable True", "fsync", "rename", "fsync", "unlink", "fsync", "durable False"]


def test_an_act_that_cannot_be_settled(inbox):
    """If the Maildir is not there at the restart, the act stays open, and is settled when the Maildir is back."""
    one = inbox(spam=(Action.TAG,))
    left_open = 0
    for number in range(100):
        before = Path(one.deliver()).read_bytes()
        candidates = one.pipeline.scan(one.root)
        with Interruption(number, crash) as interruption, contextlib.suppress(CrashError):
            one.pipeline.process(candidates)
        os.rename(one.root, one.root + ".away")
        one.again()
        left_open += len(one.journal.open_acts())
        os.rename(one.root + ".away", one.root)
        one.clock.now += 1000
        one.run()
        assert one.journal.open_acts() == []
        assert one.contents() == [tagged(before)]
        for part, name in one.names():
            os.unlink(os.path.join(one.root, part, name))
        if not interruption.happened:
            break
    assert left_open > 5


def files(root):
    return sorted(map(str, Path(root).rglob("*")))


@pytest.mark.parametrize("named", [True, False])
def test_a_dry_run_settles_no_act(inbox, caplog, named):
    """A dry run leaves what a killed run began as it is, and reports it once. A later run settles it.

    This is so also for a Maildir that the configuration of the dry run does not name.
    """
    caplog.set_level("INFO", logger="spamlstm")
    one = inbox()
    left_open = 0
    for number in range(100):
        one.deliver()
        candidates = one.pipeline.scan(one.root)
        with Interruption(number, crash) as interruption, contextlib.suppress(CrashError):
            one.pipeline.process(candidates)
        before, acts = files(one.root), len(one.journal.open_acts())
        left_open += acts
        caplog.clear()
        one.daemon["dry_run"] = True
        root, one.root = one.root, one.root if named else "/nowhere"
        one.again()
        one.root = root
        for _ in range(2):
            one.clock.now += 1000
            assert not acts or {outcome.status for outcome in one.run()} <= {Status.WAITING}
        assert files(one.root) == before
        assert caplog.text.count("would-settle") == acts
        one.daemon["dry_run"] = False
        one.again()
        assert one.journal.open_acts() == []
        one.run(with_dry_run=True)
        assert not named or one.names() == []
        if not interruption.happened:
            break
    assert left_open > 5


def test_a_maildir_that_is_renamed_in_mid_act(inbox):
    """Renamed before any call: the act is done in the directory that was opened, whatever its name is by then."""
    one = inbox(spam=(Action.TAG,))
    for number in range(100):
        before = Path(one.deliver()).read_bytes()
        candidates = one.pipeline.scan(one.root)
        with Interruption(number, lambda: os.rename(one.root, one.root + ".away")) as interruption:
            (outcome,) = one.pipeline.process(candidates)
        if interruption.happened:
            os.rename(one.root + ".away", one.root)
        assert (outcome.status, one.journal.open_acts()) == (Status.DONE, [])
        assert one.contents() == [tagged(before)]
        for part, name in one.names():
            os.unlink(os.path.join(one.root, part, name))
        if not interruption.happened:
            break
    assert number > 10


def test_a_lack_of_memory_in_mid_act(inbox):
    """Without memory at any call: the process goes on, and each message is filed once, without a restart."""

    def fail():
        raise MemoryError

    failed = 0
    one = inbox()
    for number in range(200):
        for _ in range(2):
            one.deliver("spam")
        candidates = one.pipeline.scan(one.root)
        with Interruption(number, fail) as interruption, contextlib.suppress(MemoryError):
            one.pipeline.process(candidates)
        failed += bool(one.journal.open_acts())
        one.clock.now += 1000
        one.run()
        one.clock.now += 1000
        one.run()
        assert one.journal.open_acts() == []
        assert one.names() == []
        paths = [os.path.join(folder, name) for folder, _, names in os.walk(one.root) for name in names]
        filed = [path for path in paths if "/.Junk/new/" in path]
        assert len(filed) == 2, number
        assert {path.rpartition("/")[2] for path in paths if path not in filed} == {"maildirfolder"}
        for path in filed:
            os.unlink(path)
        if not interruption.happened:
            break
    assert failed > 10
