"""A copy is not a move: a second file of a message gives no label while the first lies where it lay."""

import pytest
from inbox import raw
from maildirs import make
from second_copies import PATTERNS, SCENARIOS, fetched, play
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


def test_a_second_copy_of_spam_is_judged_as_usual(maildir):
    """It waits half a minute, because its user may be moving it out of the junk folder; then it is filed."""
    maildir.deliver("spam")
    maildir.run()
    maildir.look()
    maildir.put(fetched(raw("spam", 1)), maildir.root, part="new")
    assert [one.status for one in maildir.run()] == [Status.WAITING]
    assert maildir.run() == []
    maildir.look()
    maildir.wait(40)
    assert [one.status for one in maildir.run()] == [Status.DONE]
    maildir.look()
    assert (len(maildir.names()), len(maildir.names(maildir.junk)), maildir.labels()) == (0, 2, {})


@pytest.mark.parametrize("visited", [True, False])
@pytest.mark.parametrize("body", ["spam", "ham"])
def test_an_archive_copy_before_the_inbox_copy(maildir, body, visited):
    """A copy that a rule stored in an archive does not keep the inbox copy from being judged, at once."""
    maildir.put(raw(body, 1), maildir.archive, part="new")
    if visited:
        maildir.look()
    maildir.deliver(body)
    assert [one.status for one in maildir.run()] == [Status.DONE if body == "spam" else Status.LEFT]
