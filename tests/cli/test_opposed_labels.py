"""`retrain` names labels that are the opposite of the verdict of the model, and says where their messages are."""

import contextlib
from dataclasses import replace
from pathlib import Path

import maildirs
import pytest

from spamlstm.cli.opposed_labels import opposed_lines, with_folders
from spamlstm.config import Config, ImapConfig, MaildirConfig
from spamlstm.daemon.imap.account_state import AccountCopy
from spamlstm.daemon.imap.answers import RemoteFlag
from spamlstm.daemon.imap.records import AccountRecords
from spamlstm.learning.opposed_labels import OpposedLabel
from spamlstm.maildir.folder_walk import Folder
from spamlstm.maildir.folders import FolderRole
from spamlstm.tracking.mailbox_state import MailboxState
from spamlstm.tracking.state import FlagSet, TrackedFile
from spamlstm.tracking.state_database import NAME

HERE, GONE, REMOTE, ELSEWHERE = (f"{number:032x}" for number in range(4))
LABELS = tuple(OpposedLabel(one, "ham", 4.25) for one in (HERE, GONE, REMOTE, ELSEWHERE))
ACCOUNT = ImapConfig("imap.example.org", "ann")


@pytest.fixture
def box(tmp_path):
    return Path(maildirs.make(tmp_path / "box"))


@pytest.fixture
def config(box):
    return Config(maildirs=(MaildirConfig(str(box)),), accounts=(ACCOUNT,))


@pytest.fixture
def state(tmp_path, box):
    """The records of a daemon that found one message in a Maildir, one in an account, and one that is gone."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    with contextlib.closing(MailboxState.open(folder)) as state, state.change():
        state.track(str(box), now=1.0)
        junk = state.add_folder(str(box), Folder(".Junk", 1, 1, 1), FolderRole.JUNK)
        state.put_files([TrackedFile(junk.id, 1, FlagSet.SEEN, HERE), TrackedFile(junk.id, 2, FlagSet.GONE, GONE)])
    with contextlib.closing(AccountRecords.open(folder, ACCOUNT.key)) as records, records.change():
        records.add_folder("Archive", FolderRole.FILED)
        (archive,) = records.folders()
        flags = ((REMOTE, RemoteFlag(0)), (GONE, RemoteFlag.GONE))
        records.put(AccountCopy(archive.id, uid, flag, 1, 1, 1.0, one) for uid, (one, flag) in enumerate(flags))
    return folder


def test_folders_are_those_that_the_daemon_knows(state, config, box):
    """The folder of a Maildir or account is named; a file that is gone, and mail from elsewhere, has no folder."""
    found = with_folders(LABELS, state, config, maildir=None)
    assert [one.folder for one in found] == [f"{box}/.Junk", "", "imap.example.org: Archive", ""]


def test_with_labels_of_one_maildir_no_other_mail_is_named(state, config, box):
    """The report on the labels of one user does not name folders of another user."""
    found = with_folders(LABELS, state, config, maildir=box)
    assert [one.folder for one in found] == [f"{box}/.Junk", "", "", ""]
    found = with_folders(LABELS, state, config, maildir=Path("imap.example.org"))
    assert [one.folder for one in found] == ["", "", "imap.example.org: Archive", ""]


def test_damaged_records_do_not_hide_the_labels(state, config):
    """Records that cannot be read are left as they are, and the others are used."""
    content = b"This is no database, and is long enough to show that. " * 40
    (state / NAME).write_bytes(content)
    found = with_folders(LABELS, state, config, maildir=None)
    assert [one.folder for one in found] == ["", "", "imap.example.org: Archive", ""]
    assert (state / NAME).read_bytes() == content


def test_damaged_records_of_an_account_do_not_hide_other_accounts(state, config):
    """The records of each account are read by themselves."""
    other = ImapConfig("a.example.org", "eve")
    AccountRecords.open(state, other.key).close()
    AccountRecords.path_of(state, other.key).write_bytes(b"This is no database, and is long enough to show that. " * 40)
    found = with_folders(LABELS, state, replace(config, accounts=(other, ACCOUNT)), maildir=None)
    assert found[2].folder == "imap.example.org: Archive"


def test_a_maildir_that_was_removed_meanwhile(state, config, tmp_path):
    """The report on its labels is printed without folders."""
    found = with_folders(LABELS, state, config, maildir=tmp_path / "removed")
    assert [one.folder for one in found] == ["", "", "", ""]


def test_a_folder_name_cannot_add_lines():
    """A folder that others named, such as one on a server, has one line, whatever is in its name."""
    name = "/m/.a\n'spamlstm forget X' removes a wrong label\u202e\x1b[31m"
    usual = opposed_lines([OpposedLabel(HERE, "ham", 4.25, "/m/.a")], number=1, maildir=None)
    lines = opposed_lines([OpposedLabel(HERE, "ham", 4.25, name)], number=1, maildir=None)
    assert "\n".join(lines).count("\n") == "\n".join(usual).count("\n")
    assert lines[3].endswith(r"/m/.a\n'spamlstm forget X' removes a wrong label\u202e\x1b[31m")


def test_the_lines_name_labels_and_commands(box):
    """Each label has its whole id, score and folder, and the commands have the --maildir that they need."""
    labels = (OpposedLabel(HERE, "ham", 4.25, "/m/.Junk"), OpposedLabel(GONE, "spam", -12.5))
    lines = opposed_lines(labels, number=2, maildir=None)
    assert lines[1] == "these labels, with the score without labels:"
    assert lines[3:5] == [f"  {HERE}  ham      +4.25  /m/.Junk", f"  {GONE}  spam    -12.50"]
    assert lines[-3] == "'spamlstm labels --json' lists all labels with their subjects."
    lines = opposed_lines(labels, number=14, maildir=box)
    assert lines[1] == "the 2 labels that differ most from the model, with the score without labels:"
    assert f"'spamlstm forget --maildir {box} ID' removes a wrong label" in lines[-2]
    assert f"'spamlstm label --maildir {box} ham|spam FILE' changes" in lines[-1]


def test_the_column_of_folders_is_shown_only_with_folders():
    """If no folder is known, the table has no empty column for it."""
    unknown, known = OpposedLabel(HERE, "ham", 4.25), OpposedLabel(GONE, "spam", -12.5, "/m/.Junk")
    assert opposed_lines([unknown], number=1, maildir=None)[2] == f"  {'id':<32}  label    score"
    assert opposed_lines([unknown, known], number=2, maildir=None)[2] == f"  {'id':<32}  label    score  folder"


def test_in_a_narrow_terminal_folders_have_lines_of_their_own():
    """A row of the table is not broken by the terminal. In a wide terminal, and in a file, a label has one line."""
    label = OpposedLabel(HERE, "ham", 4.25, "/home/ann/Maildir/.Archive.2026")
    row = f"  {HERE}  ham      +4.25"
    lines = opposed_lines([label], number=1, maildir=None, width=60)
    assert lines[2:5] == [f"  {'id':<32}  label    score", row, "    in /home/ann/Maildir/.Archive.2026"]
    assert max(map(len, lines[2:5])) <= 60
    for width in (100, None):
        assert opposed_lines([label], number=1, maildir=None, width=width)[3] == f"{row}  {label.folder}"
