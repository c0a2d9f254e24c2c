"""The role of a folder follows from its name, in many languages and in both layouts."""

import subprocess
import sys

import pytest

from spamlstm.maildir import folder_names
from spamlstm.maildir.folders import FolderRole, encoded, is_sent, role_of


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
        (".Old Spam", FolderRole.IGNORED),
        (".Junk-2024", FolderRole.IGNORED),
        (".LearnSpam", FolderRole.IGNORED),
        (".Not junk.2024", FolderRole.IGNORED),
        ("Старый спам", FolderRole.IGNORED),
        (".SpamAssassin users", FolderRole.FILED),
        (".Junkers", FolderRole.FILED),
        (".EXPUNGED", FolderRole.IGNORED),
        (".Trash.2024", FolderRole.IGNORED),
        (".Trash.Junk", FolderRole.IGNORED),
        (".Lists.Junk", FolderRole.JUNK),
        (".Courrier inde\u0301sirable", FolderRole.JUNK),
        (".Courrier ind\u00e9sirable", FolderRole.JUNK),
        (".Trash", FolderRole.IGNORED),
        (".Trash.old", FolderRole.IGNORED),
        (".Entw&APw-rfe", FolderRole.IGNORED),
        # Names from Thunderbird, Roundcube, Horde and Outlook.
        (".&ATA-stenmeyen", FolderRole.JUNK),
        (".Mensaje no deseado", FolderRole.JUNK),
        (".&V4NXPk,h-", FolderRole.JUNK),
        (".&Xp9O9nux-", FolderRole.IGNORED),
        ("[Gmail]/&MFQwf3ux-", FolderRole.IGNORED),
        (".Gunoi", FolderRole.IGNORED),
        (".Papperskorg", FolderRole.IGNORED),
        (".Deleted_Items", FolderRole.IGNORED),
        (".Slettede beskeder", FolderRole.IGNORED),
        ("[Gmail]/&BBIEQQRP- &BD8EPgRHBEIEMA-", FolderRole.IGNORED),
        # Rubbish: junk in one program, Trash in another.
        (".Basura", FolderRole.IGNORED),
        (".Sampah", FolderRole.IGNORED),
        (".Skr&AOQ-p", FolderRole.IGNORED),
        # Names that a user may give to another folder.
        (".Quarantine", FolderRole.FILED),
        (".Unwanted", FolderRole.FILED),
        (".Possible spam", FolderRole.IGNORED),
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


@pytest.mark.parametrize("name", ["Sent-Items", "SentItems", "Enviadas", "寄件備份"])
def test_names_of_sent_folders(name):
    """A Sent folder is known by its name in many languages, however its words are separated."""
    assert is_sent("." + encoded(name))
    assert not is_sent(".Trash." + encoded(name))


def test_no_name_has_two_roles():
    """Each name is in one table only, so that the order of the tables does not matter."""
    tables = [table for name, table in vars(folder_names).items() if name.isupper()]
    names = [{" ".join(name.split()) for name in table.split(",")} for table in tables]
    assert sum(map(len, names)) == len(set().union(*names))


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


CODE = """
import sys
from spamlstm.maildir.folders import decoded, encoded

def refuse(event, arguments):
    if event == "import":
        raise ImportError(arguments[0])

sys.addaudithook(refuse)
print(ascii(decoded(sys.argv[1])), encoded(decoded(sys.argv[1])))
"""


@pytest.mark.parametrize(
    ("name", "readable", "written"),
    [
        (".ind&AOk-sirable", ".ind\\xe9sirable", ".ind&AOk-sirable"),
        (".&2D3eAA-", ".\\U0001f600", ".&2D3eAA-"),
        (".&2D0-", ".&2D0-", ".&2D0-"),
    ],
)
def test_names_are_read_and_written_without_an_import(name, readable, written):
    """The functions run as the owner of a Maildir, who may lack the right to read Python's own files."""
    done = subprocess.run([sys.executable, "-c", CODE, name], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"'{readable}' {written}\n", "")
