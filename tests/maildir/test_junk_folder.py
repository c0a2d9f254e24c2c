"""The junk folder is found or created, and whole after any crash."""

# As in the module, paths are handled by os:
# ruff: noqa: PTH101, PTH102, PTH103, PTH104, PTH110, PTH116, PTH118, PTH208

import errno
import os
import re
import shutil
import stat
import tempfile
from pathlib import Path

import on_disk
import pytest
from interruption import Interruption
from maildirs import make
from readers_and_kills import (
    OLD,
    deliver,
    everything,
    killed_before,
)

from spamlstm.errors import ConfigError, NoInputError
from spamlstm.maildir import junk_folder, names, paths
from spamlstm.maildir.folders import JUNK_NAMES, FolderRole, encoded, role_of

# Other tests may have left threads, which the forked processes that are killed here do not need.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.mark.parametrize(
    ("there", "configured", "chosen"),
    [
        ([], "auto", ".Junk"),
        ([".Sent"], "auto", ".Junk"),
        ([".Sent", ".Spam"], "auto", ".Spam"),
        ([".Spam", ".Junk"], "auto", ".Junk"),
        ([".junk e-mail"], "auto", ".junk e-mail"),
        ([".INBOX.Sent"], "auto", ".INBOX.Junk"),
        ([".INBOX.Bulk Mail"], "auto", ".INBOX.Bulk Mail"),
        (["Sent"], "auto", "Junk"),
        (["Work/Projects"], "auto", "Junk"),
        (["Work/Projects", ".Sent"], "auto", ".Junk"),
        (["Sent", "Spam"], "auto", "Spam"),
        (["INBOX/Junk", "Sent"], "auto", "INBOX/Junk"),
        ([".Sent", "Spam"], "auto", "Spam"),
        ([], "Unwanted", ".Unwanted"),
        ([], ".Unwanted", ".Unwanted"),
        # Servers show `.Junk` as INBOX.Junk if everything is below INBOX.
        ([], "INBOX.Junk", ".Junk"),
        ([".Sent"], "INBOX.Junk", ".Junk"),
        ([".INBOX.Sent"], "INBOX.Junk", ".INBOX.Junk"),
        ([".INBOX.Sent"], "Junk", ".INBOX.Junk"),
        ([], ".INBOX.Junk", ".INBOX.Junk"),
        (["INBOX/Sent"], "INBOX.Junk", "INBOX/Junk"),
        (["INBOX/Sent"], "auto", "INBOX/Junk"),
        (["Sent"], "INBOX/Junk", "Junk"),
        ([".Sent"], "Lists/Junk", ".Lists.Junk"),
        (["Sent"], "Lists/Junk", "Lists/Junk"),
        ([".Junk"], "Indésirable & co", ".Ind&AOk-sirable &- co"),
        (["Ind&AOk-sirable"], "Indésirable", "Ind&AOk-sirable"),
        # Junk, Spam, Junk E-mail and Bulk Mail come first, in this order; then the other names of the table.
        ([".Junk-E-Mail"], "auto", ".Junk-E-Mail"),
        ([".Bulk", ".Spamverdacht", ".Bulk Mail"], "auto", ".Bulk Mail"),
        ([".Spamverdacht", ".Bulk"], "auto", ".Bulk"),
        ([".&BCEEPwQwBDw-", ".Sent"], "auto", ".&BCEEPwQwBDw-"),
        (["INBOX/Courrier ind&AOk-sirable", "Sent"], "auto", "INBOX/Courrier ind&AOk-sirable"),
        ([".inbox.Spam"], "auto", ".inbox.Spam"),
        # Gmail as mbsync writes it, with SubFolders Verbatim, Maildir++ and Legacy.
        (["[Gmail]/Spam", "Archive"], "auto", "[Gmail]/Spam"),
        ([".[Gmail].Spam"], "auto", ".[Gmail].Spam"),
        (["[Gmail]/.Spam", "Archive"], "auto", "[Gmail]/.Spam"),
        (["[Gmail]/Spam", "Spam"], "auto", "Spam"),
        (["INBOX/[Gmail]/Spam", "INBOX/Work"], "auto", "INBOX/[Gmail]/Spam"),
        ([".INBOX.[Imap].Spam"], "auto", ".INBOX.[Imap].Spam"),
        # OfflineIMAP separates levels by dots, also in the fs layout.
        (["[Gmail].Spam", "[Gmail].All Mail", "Work"], "auto", "[Gmail].Spam"),
        (["[Google Mail].Spam", "Work"], "auto", "[Google Mail].Spam"),
        (["INBOX.[Gmail].Spam", "INBOX.Work"], "auto", "INBOX.[Gmail].Spam"),
        # Spaces, hyphens and underscores between words make no difference.
        ([".Junk_E-Mail", ".Bulk-Mail"], "auto", ".Junk_E-Mail"),
        (["JunkEmail", "Work"], "auto", "JunkEmail"),
        ([".Spamordner"], "auto", ".Spamordner"),
        (["INBOX/Spam", "Junk"], "auto", "Junk"),
        # A folder of the user's own, and one that mail programs do not show.
        ([".Lists.Spam"], "auto", ".Junk"),
        (["..Junk"], "auto", ".Junk"),
    ],
)
def test_junk_folder(root, tmp_path, there, configured, chosen):
    """An existing junk folder is used; a new one is named in the layout of the others."""
    for name in there:
        (tmp_path / "Maildir" / name).mkdir(parents=True)
        for part in names.PARTS:
            (tmp_path / "Maildir" / name / part).mkdir()

    assert junk_folder.junk_folder(on_disk.opened(root).mailbox, configured).path == os.path.join(root, chosen)


def test_a_folder_that_is_not_read_for_want_of_descriptors(root):
    """No second junk folder is chosen beside one that could not be read."""

    def fail():
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    make(Path(root, "[Gmail]", "Spam"))
    for number, call in ((1, "scandir"), (0, "stat")):
        mailbox = on_disk.opened(root).mailbox
        with Interruption(number, fail, calls=(call,)), pytest.raises(OSError, match="Too many open files"):
            junk_folder.junk_folder(mailbox)


def test_a_directory_that_is_no_folder(root):
    """The next best folder is taken where a directory has the best name but no new, cur and tmp."""
    os.makedirs(os.path.join(root, ".Junk"))
    make(Path(root, "Junk"))
    assert junk_folder.junk_folder(on_disk.opened(root).mailbox).name == "Junk"


@pytest.mark.parametrize("name", JUNK_NAMES)
def test_filing_and_learning_agree(root, name):
    """Spam is filed to a folder that learning takes for a junk folder, under each name and in both layouts."""
    for made in (f".{encoded(name)}", f"INBOX/{encoded(name)}"):
        os.makedirs(os.path.join(root, os.path.dirname(made)), exist_ok=True)  # noqa: PTH120
        make(Path(root, made))
        found = junk_folder.junk_folder(on_disk.opened(root).mailbox).name
        assert (found, role_of(found, junk="auto")) == (made, FolderRole.JUNK)
        shutil.rmtree(os.path.join(root, made))


@pytest.mark.parametrize("name", [".Spam", "Spam", "spam", ".INBOX.spam"])
def test_a_junk_folder_that_is_a_link(root, tmp_path, name):
    """A link is refused and no second folder is made beside it; a real junk folder is used in spite of a link."""
    make(tmp_path / "elsewhere")
    Path(root, name).symlink_to(tmp_path / "elsewhere")
    for configured in ("auto", name, "INBOX.Spam"):
        with pytest.raises(OSError, match=f"{re.escape(name)} is a symbolic link"):
            junk_folder.junk_folder(on_disk.opened(root).mailbox, configured)
    make(Path(root, ".Bulk"))
    assert junk_folder.junk_folder(on_disk.opened(root).mailbox).name == ".Bulk"


@pytest.mark.parametrize("configured", ["", " ", "..", "../x", "/etc", "a//b", "cur", "a/../b", "a..b", "a\0"])
def test_no_configured_name_leads_out(root, configured):
    """A name that is not that of a folder below the Maildir is a ConfigError."""
    with pytest.raises(ConfigError):
        junk_folder.junk_folder(on_disk.opened(root).mailbox, configured)


def test_junk_folder_of_no_maildir(tmp_path):
    """A directory without new, cur and tmp is a NoInputError."""
    with pytest.raises(NoInputError):
        junk_folder.junk_folder(on_disk.opened(tmp_path).mailbox)


@pytest.mark.parametrize("name", [".Junk", "Lists/Junk"])
def test_create_folder(root, name):
    """A new folder has all parts, its marker and the mode of the Maildir; a second call changes nothing."""
    os.chmod(root, 0o2770)  # noqa: S103  a group that shares its mail has it so
    folder = os.path.join(root, name)
    on_disk.create_folder(root, folder)
    deliver(folder)
    on_disk.create_folder(root, folder)

    assert paths.is_maildir(folder)
    assert stat.S_IMODE(os.stat(folder).st_mode) == stat.S_IMODE(os.stat(os.path.join(folder, "new")).st_mode) == 0o2770
    assert stat.S_IMODE(os.stat(os.path.join(folder, "maildirfolder")).st_mode) == 0o660
    assert everything(folder) == [OLD]
    assert os.listdir(os.path.join(folder, "tmp")) == []


def test_create_folder_survives_a_crash(root):
    """After a kill at any point, the next call completes the folder."""
    for number in range(1, 1000):
        folder = os.path.join(root, f".Junk{number}")
        killed = killed_before(number, lambda folder=folder: on_disk.create_folder(root, folder))
        on_disk.create_folder(root, folder)
        assert paths.is_maildir(folder)
        assert os.path.exists(os.path.join(folder, "maildirfolder"))
        if not killed:
            break
    assert number > 30


def test_one_file_system(root, tmp_path):
    """Folders on two file systems are a ConfigError."""
    junk_folder.check_one_file_system(on_disk.opened(root), on_disk.opened(make(tmp_path / "Other")))
    memory = "/dev/shm"  # noqa: S108  the one other file system that most machines have
    if not os.access(memory, os.W_OK) or os.stat(memory).st_dev == os.stat(root).st_dev:
        pytest.skip("there is one file system only")
    with tempfile.TemporaryDirectory(dir=memory) as shm:
        for part in names.PARTS:
            os.mkdir(os.path.join(shm, part))
        with pytest.raises(ConfigError, match="different file systems"):
            junk_folder.check_one_file_system(on_disk.opened(root), on_disk.opened(shm))


def test_many_folders(root, monkeypatch):
    """Finding the junk folder lists the Maildir once and does not look at each of 20,000 folders."""
    looks, real = [], os.stat
    for number in range(500):
        os.makedirs(os.path.join(root, f".F{number}", "new"))
    make(Path(root, ".Spam"))
    mailbox = on_disk.opened(root).mailbox
    monkeypatch.setattr(os, "stat", lambda *a, **k: looks.append(a) or real(*a, **k))
    assert junk_folder.junk_folder(mailbox).name == ".Spam"
    assert len(looks) < 10
    os.rename(os.path.join(root, ".Spam"), os.path.join(root, ".Other"))
    assert junk_folder.junk_folder(mailbox).name == ".Junk"
