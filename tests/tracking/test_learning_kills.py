"""A kill -9 before any system call of a visit loses no label and adds none twice."""

from pathlib import Path

import on_disk
import pytest
from inbox import close_journals, raw
from killing import calls_of, can_trace, killed_before
from maildirs import make
from second_copies import fetched
from tracked_maildir import TrackedMaildir

from spamlstm.learning.label_store import LabelStore

# Other tests may have left threads, which the forked processes that are killed here do not need.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

TRIES = 12


def prepared(path):
    """A missed spam and a ham filed as spam, both moved by their user since the last visit, and second copies.

    One copy of each was there before, and each got another since.
    """
    maildir = TrackedMaildir(make(path / "Maildir"), path / "state").visited()
    maildir.deliver("ham")
    maildir.deliver("spam")
    maildir.run()
    maildir.look()
    archive = f"{maildir.root}/.Archive"
    moves = [(maildir.where(raw("ham", 1)), maildir.junk), (maildir.where(raw("spam", 2)), maildir.root)]
    maildir.put(raw("ham", 1), archive, part="new")
    maildir.put(fetched(raw("spam", 2)), archive)
    maildir.look()
    for (entry,), folder in moves:
        maildir.put(on_disk.content(entry.path), folder)
        Path(entry.path).unlink()
    maildir.put(fetched(raw("ham", 1)), archive)
    maildir.put(raw("spam", 2), archive, part="new")
    close(maildir)
    return maildir


def close(maildir):
    maildir.label_stores.close()
    maildir.mailbox_state.close()
    close_journals()


def visiting(maildir):
    """Visit in another process, with connections of its own."""

    def work(start):
        mine = TrackedMaildir.__new__(TrackedMaildir)
        mine.__dict__.update({key: value for key, value in maildir.__dict__.items() if key != "mailbox_state"})
        mine.open_quietly()
        start()
        mine.look()

    return work


@pytest.mark.parametrize("share", [number / TRIES for number in range(TRIES)])
def test_kill(tmp_path, share):
    """After the next visit each label is there once, and all mail is where it was."""
    if not can_trace():
        pytest.skip("this machine forbids ptrace, which stops a process at a system call")
    (tmp_path / "counted").mkdir()
    calls = calls_of(visiting(prepared(tmp_path / "counted")))
    maildir = prepared(Path(tmp_path))
    assert killed_before(round(share * calls), visiting(maildir))
    maildir.__dict__.pop("mailbox_state")
    maildir.open()
    maildir.look()
    assert (maildir.label_of(raw("ham", 1)), maildir.label_of(raw("spam", 2))) == ("spam", "ham")
    before = [label.time for label in last_labels(maildir)]
    maildir.again()
    maildir.look()
    assert [label.time for label in last_labels(maildir)] == before
    assert len(maildir.where(raw("ham", 1))) == len(maildir.where(raw("spam", 2))) == 3
    assert maildir.label_stores.layer(maildir.root).labels == 2
    close(maildir)


def last_labels(maildir):
    labels = LabelStore.open(maildir.state)
    found = list(labels.last())
    labels.close()
    assert len(found) == 2
    return found
