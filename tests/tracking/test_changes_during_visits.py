"""A visit reads one folder after the other, and mail may be filed or moved meanwhile: the labels are the same."""

import os
import shutil
import tempfile
import time
from itertools import count
from pathlib import Path

import pytest
from inbox import raw
from maildirs import make
from tracked_maildir import TrackedMaildir

from spamlstm.maildir.content_id import content_id
from spamlstm.tracking.rule import MOVE_SECONDS

ACTIONS = pytest.mark.parametrize("actions", [("file",), ("tag", "file")])
SENT = b"To: ben@y.org\nMessage-ID: <sent@x.org>\nDate: Sun, 29 Nov 2026 10:00:00 +0000\n\nhello\n"


@pytest.fixture
def memory():
    """Return a folder on a RAM disk, if there is one."""
    disk = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
    with tempfile.TemporaryDirectory(dir=disk) as folder:
        yield Path(folder)


@pytest.fixture
def during(memory):
    """Return a function that yields, for each step of a visit, a Maildir and a visit with an act at this step.

    The Maildir has spam in its junk folder, and new mail in Sent, which a visit reads first.
    """

    def play(prepare, **section):
        for step in count():
            maildir = TrackedMaildir(make(memory / "Maildir"), memory / "state", section).visited()
            maildir.clock.now = time.time()
            sent = maildir.folder(".Sent")
            maildir.deliver("spam")
            maildir.run()
            maildir.look()
            settle(maildir)
            prepare(maildir)
            maildir.put(SENT, sent)
            acts = []

            def visit(act, maildir=maildir, step=step, acts=acts):
                for at, _ in enumerate(maildir.tracker.round([maildir.root])):
                    if at == step:
                        acts.append(act())

            yield maildir, visit
            maildir.label_stores.close()
            maildir.mailbox_state.close()
            shutil.rmtree(maildir.root)
            shutil.rmtree(maildir.state)
            if not acts:
                assert step > 3
                return

    return play


def settle(maildir):
    """Let the changes of all folders so far be so old that the next visit reads no folder again."""
    for folder in Path(maildir.root).rglob("*/"):
        os.utime(folder, (time.time() - 100,) * 2)
    maildir.look()


def again(maildir):
    """Filter and visit some more times."""
    for _ in range(3):
        maildir.run()
        maildir.look()


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize(
    ("actions", "how"),
    [(("file",), "rename"), (("file",), "copy"), (("tag", "file"), "link"), (("tag", "file"), "copy")],
)
def test_spam_is_moved_back_while_the_folders_are_read(during, actions, is_known, how):
    """Filed spam that its user moves back during the first visit after it was filed is ham, and stays.

    A visit may have found it in the inbox before it was filed.
    """

    def file(maildir):
        maildir.deliver("spam")
        if is_known:
            maildir.look()
        maildir.run()

    spam = raw("spam", 2)
    for maildir, visit in during(file, spam=actions):
        visit(lambda maildir=maildir: maildir.move(spam, maildir.root, how=how))
        again(maildir)
        moved = len(maildir.names())
        assert maildir.labels() == ({content_id(spam): "ham"} if moved else {})


@ACTIONS
@pytest.mark.parametrize("is_known", [True, False])
def test_spam_is_filed_while_the_folders_are_read(during, actions, is_known):
    """Filing gives no label, and a move back after this visit gives ham."""

    def deliver(maildir):
        maildir.deliver("spam")
        if is_known:
            maildir.look()

    spam = raw("spam", 2)
    for is_moved in (False, True):
        for maildir, visit in during(deliver, spam=actions):
            visit(maildir.run)
            maildir.run()
            if is_moved:
                maildir.move(spam, maildir.root, how="link")
            again(maildir)
            assert maildir.labels() == ({content_id(spam): "ham"} if is_moved else {})


@pytest.mark.parametrize("is_known", [True, False])
def test_spam_that_comes_back_long_after_it_was_filed(during, is_known):
    """Filed spam that its user takes away during a visit, and brings back after some minutes, gives no label."""

    def file(maildir):
        maildir.deliver("spam")
        if is_known:
            maildir.look()
        maildir.run()

    for maildir, visit in during(file, spam=("file",)):
        away = Path(f"{maildir.root}.away")

        def take(maildir=maildir, away=away):
            (entry,) = maildir.where(raw("spam", 2))
            shutil.move(entry.path, away)

        visit(take)
        again(maildir)
        maildir.wait(MOVE_SECONDS + 60)
        again(maildir)
        if away.exists():
            shutil.move(away, Path(maildir.root, "cur", f"{maildir.unique()}:2,S"))
        again(maildir)
        assert maildir.labels() == {}


@pytest.mark.parametrize(("source", "target", "label"), [(".Junk", "", "ham"), ("", ".Junk", "spam")])
@pytest.mark.parametrize("is_quiet", [True, False])
def test_a_program_copies_and_removes_while_the_folders_are_read(during, source, target, label, is_quiet):
    """Programs such as mutt and aerc move a message by a new file. This is learned at any step of a visit."""
    content = raw("ham", 9)

    def put(maildir):
        maildir.put(content, Path(maildir.root, source))
        maildir.look()
        if is_quiet:
            settle(maildir)
        maildir.deliver("ham")

    for maildir, visit in during(put):
        labels = maildir.labels()
        visit(lambda maildir=maildir: maildir.move(content, Path(maildir.root, target), how="copy"))
        again(maildir)
        there = [Path(entry.folder).name for entry in maildir.where(content)]
        is_moved = there == [target or Path(maildir.root).name]
        assert maildir.labels() == ({content_id(content): label} if is_moved else labels)
