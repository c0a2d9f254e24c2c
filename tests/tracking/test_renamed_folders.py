"""Folders that are renamed, replaced, exchanged or copied: their messages were not moved, so no label follows."""

# ruff: noqa: PTH104, PTH118  as in maildir

import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inbox import close_journals, raw
from maildirs import make
from tracked_maildir import TrackedMaildir, delivered

from spamlstm.maildir.content_id import content_id

NAMES = (".Junk", ".Archive", ".Old junk", ".Friends")


def test_a_junk_folder_that_is_renamed_and_created_again(tracked):
    """The spam in the renamed folder gets no label, and a move into the new junk folder is learned."""
    maildir = tracked()
    spam = [delivered(maildir, "spam") for _ in range(3)]
    os.rename(maildir.junk, os.path.join(maildir.root, ".Ads"))
    maildir.folder(".Junk")
    maildir.look()
    assert maildir.labels() == {}
    maildir.move(spam[0], maildir.root)
    maildir.look()
    maildir.move(delivered(maildir, "ham"), maildir.junk)
    maildir.look()
    assert sorted(maildir.labels().values()) == ["spam"]  # the renamed folder is no junk folder


def test_a_renamed_junk_folder_that_we_create_again(tracked):
    """The same if we create the new junk folder because spam comes before the next visit."""
    maildir = tracked()
    for _ in range(3):
        delivered(maildir, "spam")
    os.rename(maildir.junk, os.path.join(maildir.root, ".Old junk"))
    maildir.deliver("spam")
    maildir.run()
    maildir.look()
    assert Path(maildir.junk).exists()
    assert maildir.labels() == {}


def test_a_maildir_that_is_copied_to_another_disk(tracked):
    """On the other disk each folder has the inode that another folder had. Nothing was renamed, so no label follows."""
    maildir = tracked()
    for _ in range(3):
        delivered(maildir, "spam")
        maildir.move(delivered(maildir, "ham"), maildir.archive)
    maildir.look()
    before = maildir.labels()
    folders = maildir.mailbox_state.folders(maildir.root)
    inodes = [known.folder.inode for known in folders]
    exchanged = dict(zip(inodes, [*inodes[1:], inodes[0]], strict=True))
    with maildir.mailbox_state.change():
        for known in folders:
            maildir.mailbox_state._connection.execute(
                "UPDATE folders SET inode = ?, cur_ns = -1, new_ns = -1 WHERE id = ?",
                (exchanged[known.folder.inode], known.id),
            )
    maildir.look()
    assert maildir.labels() == before


def old_junk(maildir, folder):
    """Put messages into a folder that no visit has read one by one, and return a message of the inbox."""
    for number in range(5):
        maildir.put(raw("junk", number), folder)
    content = raw("ham", 9)
    maildir.put(content, maildir.root)
    maildir.watch()
    maildir.look()
    time.sleep(1.1)  # later moves have another time
    maildir.wait()
    maildir.look()
    return content


@pytest.mark.parametrize("moved", ["meanwhile", "later", "at once"])
def test_a_junk_folder_that_was_out_of_reach(tracked, moved):
    """Its old mail gets no label when it is there again. Mail that its user moves into it at any time does."""
    maildir = tracked(visited=False)
    content = old_junk(maildir, maildir.junk)
    away = f"{maildir.root}.away"
    os.rename(maildir.junk, away)
    maildir.look()
    if moved == "meanwhile":
        maildir.move(content, away)
        maildir.look()
    maildir.wait(1000)
    os.rename(away, maildir.junk)
    if moved == "at once":
        maildir.move(content, maildir.junk)
    maildir.look()
    if moved == "later":
        assert maildir.labels() == {}
        maildir.move(content, maildir.junk)
    maildir.wait()
    maildir.look()
    assert maildir.labels() == {content_id(content): "spam"}


@pytest.mark.parametrize("spam", [("file",), ("tag", "file")])
def test_filed_spam_in_a_junk_folder_that_was_out_of_reach(tracked, spam):
    """Spam that was filed some minutes before gets no label when the folder is there again. Its moves do."""
    maildir = tracked(spam=spam)
    maildir.deliver("spam")
    maildir.run()
    maildir.look()
    time.sleep(1.1)  # later moves have another time
    maildir.wait()
    maildir.look()
    away = f"{maildir.root}.away"
    os.rename(maildir.junk, away)
    maildir.look()
    os.rename(away, maildir.junk)
    for _ in range(2):
        maildir.look()
        maildir.wait()
    assert maildir.labels() == {}
    for target, label in ((maildir.archive, "ham"), (maildir.junk, "spam")):
        maildir.move(raw("spam", 1), target)
        maildir.look()
        assert maildir.label_of(raw("spam", 1)) == label


@pytest.mark.parametrize("moved", ["before", "at once"])
def test_an_ignored_folder_that_becomes_the_junk_folder(tracked, moved):
    """Mail in Trash gets no label if Trash is renamed to Junk. Mail that is moved into it then does."""
    maildir = tracked(junk=False, visited=False)
    trash = maildir.folder(".Trash")
    content = old_junk(maildir, trash)
    if moved == "before":
        maildir.move(content, trash)
        maildir.look()
        maildir.wait()
        maildir.look()
    os.rename(trash, maildir.junk)
    if moved == "at once":
        maildir.move(content, maildir.junk)
    maildir.look()
    assert maildir.labels() == ({content_id(content): "spam"} if moved == "at once" else {})


@pytest.mark.parametrize("former", [False, True])
def test_moves_into_a_junk_folder_that_is_created(tracked, former):
    """A message that is moved into a new junk folder is spam, also if the next visit is long after.

    The new folder may have the inode of a former one.
    """
    maildir = tracked(junk=False, visited=False)
    content = old_junk(maildir, maildir.folder(".Junk") if former else maildir.archive)
    if former:
        shutil.rmtree(maildir.junk)
        maildir.look()
    maildir.folder(".Junk")
    maildir.move(content, maildir.junk)
    maildir.wait(1000)
    maildir.look()
    assert maildir.label_of(content) == "spam"


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Return a folder with a Maildir whose folders have mail, and its state folder, visited."""
    path = tmp_path_factory.mktemp("filled")
    maildir = TrackedMaildir(make(path / "Maildir"), path / "state", {}).visited()
    maildir.folder(".Friends")
    for folder in (".Archive", ".Friends"):
        delivered(maildir, "spam")
        maildir.move(delivered(maildir, "ham"), os.path.join(maildir.root, folder))
    maildir.look()
    labels = maildir.labels()
    close_all(maildir)
    return path, labels


def close_all(maildir):
    """Close the databases of a Maildir."""
    maildir.label_stores.close()
    maildir.mailbox_state.close()
    close_journals()


@settings(max_examples=40, deadline=None)
@given(
    renames=st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=6),
    created=st.sets(st.sampled_from(NAMES)),
    visits=st.booleans(),
)
def test_renames_give_no_label(filled, renames, created, visits):
    """Whatever folders are renamed, exchanged and created anew between two visits, no label follows or changes."""
    path, labels = filled
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
    # The inodes must stay, so the Maildir is renamed back and forth, and the state folder is copied.
    with tempfile.TemporaryDirectory(dir=memory) as copy:
        state = Path(copy, "state")
        shutil.copytree(path / "state", state)
        root = str(path / "Maildir")
        maildir = TrackedMaildir(root, state, {})
        fresh = []
        now = {name: name for name in (".Junk", ".Archive", ".Friends")}  # the first name by the present name
        try:
            for source, target in renames:
                exchange(root, now, source, target)
                if visits:
                    maildir.look()
            fresh = [name for name in created if name not in now]
            for name in fresh:
                maildir.folder(name)
            maildir.look()
            maildir.look()
            assert maildir.labels() == labels
        finally:
            close_all(maildir)
            for name in fresh:
                shutil.rmtree(os.path.join(root, name))
            for present in now:
                os.rename(os.path.join(root, present), os.path.join(root, "tmp", present))
            for present, first in now.items():
                os.rename(os.path.join(root, "tmp", present), os.path.join(root, first))


def exchange(root, now, source, target):
    """Give two folders the names of each other. Either may be missing."""
    for name, other in ((source, ".between"), (target, source), (".between", target)):
        if name in now:
            os.rename(os.path.join(root, name), os.path.join(root, other))
            now[other] = now.pop(name)
