"""Undo takes back what was done, and nothing else."""

# ruff: noqa: PTH104, PTH118  as in maildir

import os
from pathlib import Path

import on_disk
import pytest
from maildirs import size_in

from spamlstm.config import Action
from spamlstm.errors import TemporaryError
from spamlstm.filtering.acts import Recovery
from spamlstm.filtering.undo import UndoStatus
from spamlstm.maildir.names import Name
from spamlstm.maildir.opened import OpenMaildir

TAG, FILE, KEYWORD = Action.TAG, Action.FILE, Action.KEYWORD


def take_back(one, *, since=0.0, dry=False):
    return [undone.status for undone in one.undo(since=since, dry=dry)]


def path_of(one, folder):
    ((part, name),) = one.names(folder)
    return os.path.join(folder, part, name)


@pytest.mark.parametrize("actions", [(TAG,), (FILE,), (KEYWORD,), (TAG, FILE), (TAG, KEYWORD), (TAG, KEYWORD, FILE)])
@pytest.mark.parametrize("read", [False, True])
def test_there_and_back(inbox, actions, read):
    """Whatever the actions were, the message is back in the inbox with its bytes, and with the flags since then."""
    one = inbox(spam=actions)
    on_disk.create_folder(one.root, one.junk)
    Path(one.root, "dovecot-keywords").write_text("0 $Junk\n1 work\n")
    Path(one.junk, "dovecot-keywords").write_text("0 work\n1 $Junk\n")
    before = Path(one.deliver(name="1.host,S=9")).read_bytes()
    one.run()
    folder = one.junk if FILE in actions else one.root
    if read:
        path = path_of(one, folder)
        name = Name.parse(os.path.basename(path))  # noqa: PTH119
        info = "2,S" + name.keywords
        os.rename(path, os.path.join(folder, "cur", str(Name(name.base, name.fields, info))))

    assert take_back(one) == [UndoStatus.UNDONE]

    assert one.names(one.junk) == []
    ((part, text),) = one.names()
    name = Name.parse(text)
    assert one.contents() == [before]
    assert (name.flags, name.keywords) == ("S" if read else "", "")
    assert size_in(name) in ((len(before), 9) if actions in ((FILE,), (KEYWORD,)) else (len(before),))
    assert part == ("cur" if read or KEYWORD in actions else "new")
    assert take_back(one) == []
    assert one.run() == []
    one.again()
    assert one.run() == []


def test_what_a_user_moved_is_his(inbox):
    """A message that its user moved to another folder or removed is left alone, and that is reported each time."""
    one = inbox()
    archive = os.path.join(one.root, ".Archive")
    on_disk.create_folder(one.root, archive)
    one.deliver()
    one.run()
    os.rename(path_of(one, one.junk), os.path.join(archive, "cur", "7.imap:2,S"))
    one.deliver()
    one.run()
    os.unlink(path_of(one, one.junk))  # noqa: PTH108

    assert take_back(one) == [UndoStatus.ELSEWHERE, UndoStatus.ELSEWHERE]
    assert (one.names(), len(one.names(archive))) == ([], 1)


def test_since(inbox):
    """Undo goes back no further than asked, and changes nothing in a dry run."""
    one = inbox()
    for _ in range(3):
        one.deliver()
        one.run()
        one.clock.now += 100
    since = one.clock.now - 250

    assert take_back(one, since=since, dry=True) == [UndoStatus.UNDONE] * 2
    assert len(one.names(one.junk)) == 3
    assert take_back(one, since=since) == [UndoStatus.UNDONE] * 2
    assert (len(one.names(one.junk)), len(one.names())) == (1, 2)


@pytest.mark.parametrize("dry", [True, False])
def test_one_message(inbox, dry):
    """With a content id, only the acts on that message are taken back; the result names its file."""
    one = inbox()
    for _ in range(2):
        one.deliver()
    first, _ = one.run()

    (result,) = one.undo(dry=dry, contents=[first.content])

    assert (result.status, result.act.content) == (UndoStatus.UNDONE, first.content)
    assert (len(one.names()), len(one.names(one.junk))) == ((0, 2) if dry else (1, 1))
    assert os.path.dirname(os.path.dirname(result.path)) == (one.junk if dry else one.root)  # noqa: PTH120
    assert Path(result.path).is_file()


def test_more_than_a_batch(inbox):
    """More messages than one batch has are all undone."""
    one = inbox()
    for _ in range(150):
        one.deliver()
    one.run()
    assert take_back(one) == [UndoStatus.UNDONE] * 150
    assert (len(one.names(one.junk)), len(one.names())) == (0, 150)


def test_a_place_that_is_gone(inbox):
    """A message that cannot go back to its folder stays where we put it."""
    one = inbox(spam=(FILE,))
    one.deliver()
    one.run()
    filed = Path(path_of(one, one.junk)).read_bytes()
    os.rename(os.path.join(one.root, "new"), os.path.join(one.root, "old"))

    assert take_back(one) == [UndoStatus.FAILED]
    os.rename(os.path.join(one.root, "old"), os.path.join(one.root, "new"))
    assert one.contents(one.junk) == [filed]
    assert take_back(one) == [UndoStatus.UNDONE]


def test_a_maildir_that_is_refused(inbox):
    """If one Maildir is refused, its messages stay where they are, and those of the others are taken back."""
    one = inbox()
    for _ in range(2):
        one.deliver()
        one.run()
    opened = []

    def open_maildir(path):
        opened.append(path)
        if len(opened) == 1:
            raise TemporaryError("another spamlstm is at work there")
        return OpenMaildir.open(path)

    undone = one.undo(open_maildir=open_maildir)

    assert [each.status for each in undone] == [UndoStatus.FAILED, UndoStatus.UNDONE]
    assert undone[0].failure == "another spamlstm is at work there"
    assert (len(one.names(one.junk)), len(one.names())) == (1, 1)


def test_an_open_act_in_a_maildir_that_is_refused(inbox):
    """An open act in a Maildir that is refused stays open, and is settled the next time."""
    one = inbox()
    one.deliver()
    one.run()
    with one.journal.transaction(durable=False):
        one.journal._connection.execute("UPDATE acts SET state = 'open'")
    refused = [TemporaryError("another spamlstm is at work there")]

    def open_maildir(path):
        if refused:
            raise refused.pop()
        return OpenMaildir.open(path)

    recovery = Recovery(one.journal, counters=one.counters, clock=one.clock, opened=open_maildir)
    recovery.settle(all_open=True)
    assert len(one.journal.open_acts()) == 1
    recovery.settle()
    assert one.journal.open_acts() == []
