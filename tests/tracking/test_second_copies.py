"""A copy is not a move: a second file of a message gives no label while the first lies where it lay."""

import os
from collections import Counter
from pathlib import Path

import on_disk
import pytest
from changed_mail import MAILS, WAYS
from inbox import raw
from maildirs import make
from second_copies import PATTERNS, SCENARIOS, fetched, play, take_back_changed
from tracked_maildir import TrackedMaildir

from spamlstm.filtering.outcome import Status
from spamlstm.maildir.content_id import content_id


@pytest.fixture
def maildir(tmp_path):
    """An empty Maildir with an archive and a junk folder, already scanned and visited once."""
    one = TrackedMaildir(make(tmp_path / "Maildir"), tmp_path / "state")
    one.archive = one.folder(".Archive")
    one.folder(".Junk")
    one.watch()
    one.look()
    yield one
    one.label_stores.close()
    one.mailbox_state.close()


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_second_copies(maildir, scenario, pattern):
    """Only the labels that the user gave are there, whenever the daemon filters and visits."""
    expected = play(scenario, pattern, maildir)
    assert maildir.labels() == {content_id(content): label for content, label in expected.items()}


@pytest.mark.parametrize("mail", MAILS)
@pytest.mark.parametrize("way", WAYS)
def test_a_message_that_was_changed_on_its_way(maildir, mail, way):
    """A message that is taken out of the junk folder stays and is learned, however its headers and encoding changed."""
    assert take_back_changed(maildir, mail, way)


@pytest.mark.parametrize("tagged", [True, False])
def test_a_second_copy_of_spam_is_judged_as_usual(maildir, tagged):
    """It is filed. If it has our tag, it waits half a minute, because its user may be copying it out of junk."""
    maildir.deliver("spam")
    maildir.run()
    maildir.look()
    (entry,) = maildir.where(raw("spam", 1))
    maildir.put(fetched(on_disk.content(entry.path) if tagged else raw("spam", 1)), maildir.root, part="new")
    if tagged:
        assert [one.status for one in maildir.run()] == [Status.WAITING]
        assert maildir.run() == []
        maildir.look()
        maildir.wait(40)
    assert [one.status for one in maildir.run()] == [Status.DONE]
    maildir.look()
    assert (len(maildir.names()), len(maildir.names(maildir.junk)), maildir.labels()) == (0, 2, {})


@pytest.mark.parametrize("spam", [("file",), ("tag", "file")])
def test_a_copy_and_a_removal_seen_half_way(maildir, spam):
    """A client copies a message out of the junk folder, we scan and visit, and it removes the original: it is ham."""
    maildir.section["spam"] = spam
    maildir.again()
    maildir.deliver("spam")
    maildir.run()
    maildir.look()
    (entry,) = maildir.where(raw("spam", 1))
    maildir.put(on_disk.content(entry.path), maildir.root)
    for _ in range(2):
        maildir.run()
        maildir.look()
    assert maildir.labels() == {}
    os.unlink(entry.path)  # noqa: PTH108
    maildir.look()
    maildir.wait(40)
    assert [one.status for one in maildir.run()] == [Status.KNOWN]
    assert maildir.label_of(raw("spam", 1)) == "ham"
    assert len(maildir.names()) == 1


def test_back_from_the_trash(maildir):
    """A message that we filed, its user threw away, and took back hours later stays: it has the date of that file."""
    maildir.deliver("spam")
    maildir.run()
    maildir.look()
    (entry,) = maildir.where(raw("spam", 1))
    trash = f"{maildir.folder('.Trash')}/cur/1:2,S"
    os.rename(entry.path, trash)  # noqa: PTH104
    maildir.look()
    maildir.wait(7200)
    maildir.look()
    os.rename(trash, f"{maildir.root}/cur/1:2,S")  # noqa: PTH104
    assert [one.status for one in maildir.run()] == [Status.KNOWN]


@pytest.mark.parametrize("days", [0, 2])
def test_spam_that_is_sent_again_after_it_was_deleted(maildir, days):
    """A sender who delivers a message again after its user has deleted the first file does not get past the filter."""
    maildir.deliver("spam")
    maildir.run()
    maildir.look()
    (entry,) = maildir.where(raw("spam", 1))
    os.unlink(entry.path)  # noqa: PTH108
    maildir.look()
    maildir.wait(86_400 * days + 1000)
    again = maildir.put(fetched(raw("spam", 1)), maildir.root, part="new")
    os.utime(again, (maildir.clock.now + 500,) * 2)
    assert [one.status for one in maildir.run()] == [Status.DONE]
    maildir.look()
    assert maildir.labels() == {}


@pytest.mark.parametrize("visited", [True, False])
@pytest.mark.parametrize("body", ["spam", "ham"])
def test_an_archive_copy_before_the_inbox_copy(maildir, body, visited):
    """A copy that a rule stored in an archive does not keep the inbox copy from being judged, at once."""
    maildir.put(raw(body, 1), maildir.archive, part="new")
    if visited:
        maildir.look()
    maildir.deliver(body)
    assert [one.status for one in maildir.run()] == [Status.DONE if body == "spam" else Status.LEFT]


@pytest.mark.parametrize("name", ["1.host:2,S", "1,2:2,S", "1.host!2,S", "1.host,S=9;2,S"])
def test_an_archive_copy_with_any_name(maildir, name):
    """The inbox copy is judged beside an archive copy whose name has a comma or another separator."""
    Path(maildir.archive, "cur", name).write_bytes(raw("spam", 1))
    maildir.look()
    maildir.deliver("spam")
    assert [one.status for one in maildir.run()] == [Status.DONE]


def test_a_message_that_is_delivered_thousands_of_times(maildir):
    """Each delivery is judged, and the work for one delivery does not grow with their number."""
    content = raw("spam", 1)
    steps = []
    for number in range(1, 7):
        for copy in range(100):
            maildir.deliver(content=content, name=f"{number}-{copy}.host")
        counted = Counter()
        for one in (maildir.journal, maildir.mailbox_state):
            one._connection.set_progress_handler(lambda counted=counted: counted.update(["steps"]), 100)
        assert {one.status for one in maildir.run()} == {Status.DONE}
        maildir.look()
        steps.append(counted["steps"])
        maildir.wait()
    assert len(maildir.names(maildir.junk)) == 600
    assert maildir.labels() == {}
    assert steps[-1] < 1.5 * steps[-2]
