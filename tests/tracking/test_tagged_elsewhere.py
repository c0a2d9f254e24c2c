"""Mail that this program tagged outside the Maildir, in a pipe or for a mail server, and that a mail rule filed."""

import shutil

import pytest
from inbox import judgement, raw
from tracked_maildir import delivered

from spamlstm.maildir.headers import tag
from spamlstm.verdict import Verdict


def tagged(content, verdict):
    """Return a message as `spamlstm filter` and the milter pass it on."""
    return tag(content, judgement(verdict), version="1.0", spam_threshold=0.98)


def test_sieve_files_by_our_headers(tracked):
    """Spam that we tagged in a pipe and Sieve filed gives no label. A later move out of junk and back does."""
    maildir = tracked()
    content = tagged(raw("spam", 1), Verdict.SPAM)
    maildir.put(content, maildir.junk, part="new")
    maildir.look()
    assert maildir.labels() == {}
    for target, label in [(maildir.root, "ham"), (maildir.junk, "spam")]:
        maildir.move(content, target)
        maildir.run()
        maildir.look()
        assert maildir.label_of(content) == label


@pytest.mark.parametrize("visited", [False, True])
def test_a_mail_program_files_by_our_headers(tracked, visited):
    """The same if a mail program moves it out of the inbox, where the daemon classifies it and changes nothing."""
    maildir = tracked(spam=())
    content = tagged(raw("spam", 1), Verdict.SPAM)
    maildir.deliver(content=content)
    maildir.run()
    if visited:
        maildir.look()
    maildir.move(content, maildir.junk)
    maildir.look()
    assert maildir.labels() == {}


@pytest.mark.parametrize("verdict", [Verdict.UNSURE, Verdict.HAM])
def test_mail_that_we_did_not_call_spam(tracked, verdict):
    """A message that our headers call unsure or ham was put into the junk folder by its user: it is spam."""
    maildir = tracked()
    content = tagged(raw("x", 1), verdict)
    maildir.put(content, maildir.junk)
    maildir.look()
    assert maildir.label_of(content) == "spam"


@pytest.mark.parametrize("body", ["ham", "unsure"])
def test_forged_headers(tracked, body):
    """A sender who forges our headers does not keep a message from being learned that we did not call spam."""
    maildir = tracked(unsure=())
    content = tagged(raw(body, 1), Verdict.SPAM).replace(b"spam", b"SPAM")  # the pipeline of the test looks for "spam"
    maildir.deliver(content=content)
    maildir.run()
    maildir.look()
    maildir.move(content, maildir.junk)
    maildir.look()
    assert maildir.label_of(content) == "spam"


@pytest.mark.parametrize("visited", [False, True])
def test_a_state_folder_that_is_restored(tracked, tmp_path, visited):
    """Spam that was filed after the backup of the state folder was made is not taken for the user's after a restore."""
    maildir = tracked()
    delivered(maildir, "ham")
    if visited:
        maildir.deliver("spam")
        maildir.look()
    shutil.copytree(maildir.state, tmp_path / "backup")
    for _ in range(3):
        delivered(maildir, "spam")
    maildir.label_stores.close()
    maildir.mailbox_state.close()
    maildir.journal.close()
    shutil.rmtree(maildir.state)
    shutil.copytree(tmp_path / "backup", maildir.state)
    maildir.open()
    maildir.run()
    maildir.look()
    assert maildir.labels() == {}
