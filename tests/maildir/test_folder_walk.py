"""The walk finds the folders of both layouts, follows no links, and ends."""

import os

import on_disk
import pytest
from maildirs import make

from spamlstm.maildir import folder_walk
from spamlstm.maildir.folder_walk import MOST_FOLDERS, below, folders
from spamlstm.maildir.junk_folder import junk_folder


@pytest.mark.parametrize(
    "names",
    [
        [".Archive", ".Archive.2024", ".Junk"],
        ["Archive", "Archive/2024", "Junk"],
        ["INBOX/Lists", "Junk"],
        ["Lists/.a/.b", "[Gmail]/.Spam"],
    ],
)
def test_all_folders_are_found(tmp_path, names):
    """The inbox comes first; a folder may lie in a plain directory; other directories are skipped."""
    make(tmp_path)
    for name in names:
        make(tmp_path / name)
    (tmp_path / "sieve" / "tmp").mkdir(parents=True)
    (tmp_path / "dovecot-uidlist").write_text("")
    assert [folder.name for folder in folders(on_disk.opened(tmp_path).mailbox)] == ["", *names]


def test_links_are_not_followed(tmp_path):
    """A link is not a folder, and a folder with a link in place of new or cur is not one either."""
    make(tmp_path / "other")
    make(tmp_path / "Maildir")
    (tmp_path / "Maildir" / ".Linked").symlink_to(tmp_path / "other")
    (tmp_path / "Maildir" / ".Half" / "new").mkdir(parents=True)
    (tmp_path / "Maildir" / ".Half" / "cur").symlink_to(tmp_path / "other" / "cur")
    assert [folder.name for folder in folders(on_disk.opened(tmp_path / "Maildir").mailbox)] == [""]


def test_the_walk_ends(tmp_path):
    """The walk ends however deep folders are nested."""
    make(tmp_path)
    path = tmp_path
    for _ in range(30):
        path = path / "a"
        make(path)
    assert 1 < len(list(folders(on_disk.opened(tmp_path).mailbox))) < MOST_FOLDERS


def test_what_is_no_maildir(tmp_path):
    """A directory that is not a Maildir is an error, and does not count as an empty Maildir."""
    with pytest.raises(OSError, match="not a Maildir"):
        list(folders(on_disk.opened(tmp_path).mailbox))


def test_a_new_message_changes_the_time_of_its_part(tmp_path):
    """The time of a part changes with its names; the inode stays."""
    make(tmp_path)
    os.utime(tmp_path / "cur", ns=(1, 1))
    (before,) = folders(on_disk.opened(tmp_path).mailbox)
    (tmp_path / "cur" / "1:2,").write_text("")
    (after,) = folders(on_disk.opened(tmp_path).mailbox)
    assert (before.inode, before.new_ns) == (after.inode, after.new_ns)
    assert before.cur_ns == 1 != after.cur_ns


def test_names_are_counted_in_all_directories(tmp_path, monkeypatch):
    """With many names in many directories the walk ends, and still finds all folders at the top."""
    make(tmp_path)
    for number in range(30):
        make(tmp_path / f"{number:02}" / "inner")
        for name in range(20):
            (tmp_path / f"{number:02}" / f"file{name}").touch()
    monkeypatch.setattr(folder_walk, "MOST_ENTRIES_IN_ALL", 100)
    names = [folder.name for folder in below(on_disk.opened(tmp_path).mailbox)]
    assert {f"{number:02}" for number in range(30)} <= set(names)
    assert 2 <= len([name for name in names if name.endswith("inner")]) < 5


@pytest.mark.skipif(os.geteuid() != 0, reason="only root acts as the owner of a Maildir")
@pytest.mark.parametrize(
    "look", [lambda mailbox: list(folders(mailbox)), lambda mailbox: list(below(mailbox)), junk_folder]
)
def test_root_changes_its_identity_once_for_all_folders(tmp_path, monkeypatch, look):
    """Root takes the identity of the owner once and not for each folder, because a Maildir may have 20,000 folders."""
    for one in (tmp_path, *tmp_path.parents[:2]):
        one.chmod(0o755)
    for number in range(100):
        make(tmp_path / "Maildir" / f".Empty{number}")
        (tmp_path / "Maildir" / f".Empty{number}" / "cur").rmdir()
    make(tmp_path / "Maildir")
    for above, names, _ in os.walk(tmp_path / "Maildir"):
        for name in (".", *names):
            os.chown(os.path.join(above, name), 20_001, 20_001)  # noqa: PTH118
    changes = []
    change = os.seteuid
    monkeypatch.setattr(os, "seteuid", lambda user: (changes.append(user), change(user)))
    with on_disk.opened(tmp_path / "Maildir").mailbox as mailbox:
        look(mailbox)
    assert 20_001 in changes
    assert len(changes) < 20
    assert os.geteuid() == 0
