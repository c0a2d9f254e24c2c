"""Folders are found in both layouts, their roles by names in many languages, their keywords by Dovecot's list."""

import os

import on_disk
import pytest
from maildirs import make

from spamlstm.maildir import folders as mail_folders
from spamlstm.maildir.folders import (
    HAM_WORDS,
    MOST_FOLDERS,
    SPAM_WORDS,
    FolderRole,
    below,
    folders,
    keyword_letter,
    keyword_mapping,
    keyword_names,
    role_of,
)
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
    """A link in place of a folder or of a part of it is no folder."""
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
    """A directory that is no Maildir is an error, and no empty Maildir."""
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


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", FolderRole.INBOX),
        (".Junk", FolderRole.JUNK),
        (".INBOX.Spam", FolderRole.JUNK),
        ("Junk", FolderRole.JUNK),
        ("INBOX/Junk E-mail", FolderRole.JUNK),
        ("[Gmail]/Spam", FolderRole.JUNK),
        ("[Gmail]/.Spam", FolderRole.JUNK),
        (".Courrier ind&AOk-sirable", FolderRole.JUNK),
        (".Junk.2024", FolderRole.JUNK),
        ("Spam/2024-05", FolderRole.JUNK),
        (".Junk.Bulk.1", FolderRole.JUNK),
        (".Junk.ham.2024", FolderRole.IGNORED),
        (".Spam.False positives", FolderRole.IGNORED),
        (".Trash.2024", FolderRole.IGNORED),
        (".Trash.Junk", FolderRole.IGNORED),
        (".Lists.Junk", FolderRole.JUNK),
        (".Courrier inde\u0301sirable", FolderRole.JUNK),
        (".Courrier ind\u00e9sirable", FolderRole.JUNK),
        (".Trash", FolderRole.IGNORED),
        (".Trash.old", FolderRole.IGNORED),
        (".Entw&APw-rfe", FolderRole.IGNORED),
        (".Papierkorb", FolderRole.IGNORED),
        ("[Gmail]/All Mail", FolderRole.IGNORED),
        (".INBOX.Sent Messages", FolderRole.IGNORED),
        (".Archive", FolderRole.FILED),
        ("Lists/announce", FolderRole.FILED),
        (".R&-D", FolderRole.FILED),
        (".&bad&-", FolderRole.FILED),
        (".Receipts", FolderRole.IGNORED),
        (".Lists.noise", FolderRole.IGNORED),
    ],
)
def test_role_of(name, expected):
    """The role follows from the name as mail programs show it, and from `ignore_folders`."""
    assert role_of(name, junk="auto", ignore_folders=("Receipts", "Lists/noise")) is expected


@pytest.mark.parametrize(
    ("name", "configured"), [(".Ads", "Ads"), ("Lists/Junque", "Lists/Junque"), (".&ANw-ble", "Üble")]
)
def test_the_junk_folder_as_configured(name, configured):
    """The configured name may be the one on disk or the one that mail programs show."""
    assert role_of(name, junk=configured) is FolderRole.JUNK
    assert role_of(name, junk="auto") is FolderRole.FILED


def test_the_junk_folder_as_configured_in_dots():
    """Slashes and dots separate levels alike."""
    assert role_of(".Lists.Ads", junk="Lists/Ads") is FolderRole.JUNK
    assert role_of(".INBOX.Ads", junk=".INBOX.Ads") is FolderRole.JUNK
    assert role_of(".Lists.Ads", junk="Lists.Ads") is FolderRole.JUNK
    assert role_of(".Ads", junk="INBOX.Ads") is FolderRole.JUNK
    assert role_of("Lists/Ads", junk="INBOX.Lists.Ads") is FolderRole.JUNK


def test_names_are_counted_in_all_directories(tmp_path, monkeypatch):
    """With many names in many directories the walk ends, and still finds all folders at the top."""
    make(tmp_path)
    for number in range(30):
        make(tmp_path / f"{number:02}" / "inner")
        for name in range(20):
            (tmp_path / f"{number:02}" / f"file{name}").touch()
    monkeypatch.setattr(mail_folders, "MOST_ENTRIES_IN_ALL", 100)
    names = [folder.name for folder in below(on_disk.opened(tmp_path).mailbox)]
    assert {f"{number:02}" for number in range(30)} <= set(names)
    assert 2 <= len([name for name in names if name.endswith("inner")]) < 5


@pytest.mark.skipif(os.geteuid() != 0, reason="only root acts as the owner of a Maildir")
@pytest.mark.parametrize(
    "look", [lambda mailbox: list(folders(mailbox)), lambda mailbox: list(below(mailbox)), junk_folder]
)
def test_root_changes_its_identity_once_for_all_folders(tmp_path, monkeypatch, look):
    """Not once for each: a change takes as long as ten calls of stat, and a Maildir may have 20,000 folders."""
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


@pytest.fixture
def inbox_and_junk(tmp_path):
    """An inbox and a junk folder that have different letters for their keywords."""
    inbox, junk = tmp_path / "inbox", tmp_path / "junk"
    for folder, text in ((inbox, "0 $Junk\n1 work\n2 NonJunk\n"), (junk, "0 work\n3 junk\n")):
        folder.mkdir()
        (folder / "dovecot-keywords").write_text(text)
    return on_disk.opened(inbox), on_disk.opened(junk)


def test_keyword_names(inbox_and_junk):
    """Each number in the list is a letter, from a on."""
    assert keyword_names(inbox_and_junk[0]) == {"a": "$Junk", "b": "work", "c": "NonJunk"}


def test_a_folder_without_a_list_of_keywords(tmp_path):
    """It has no keywords, which is no error."""
    assert keyword_names(on_disk.opened(tmp_path)) == {}


@pytest.mark.parametrize("text", [b"", b"x y", b"26 z", b"-1 z", b"0", b"\xb2 z", b"0" * 99 + b" z"])
def test_invalid_lines_in_a_list_of_keywords(tmp_path, text):
    """Any other line is ignored and no error."""
    (tmp_path / "dovecot-keywords").write_bytes(text)
    assert keyword_names(on_disk.opened(tmp_path)) == {}


def test_keyword_letter(inbox_and_junk):
    """The letter of the first keyword that the folder has, in upper or lower case; None if it has none."""
    inbox, junk = inbox_and_junk
    assert keyword_letter(inbox, SPAM_WORDS) == "a"
    assert keyword_letter(junk, SPAM_WORDS) == "d"
    assert keyword_letter(junk, HAM_WORDS) is None


def test_keyword_mapping(inbox_and_junk):
    """Only keywords that both folders have are mapped."""
    assert keyword_mapping(*inbox_and_junk) == {"b": "a"}
