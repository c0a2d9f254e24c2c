"""The folders of IMAP accounts: which are visited, and which has the junk."""

import pytest
from imap_server import account, folder

from spamlstm.config import Action
from spamlstm.daemon.imap.account_folders import (
    is_junk_classified,
    junk_target,
    new_junk_names,
    sent_folders_of,
    visited_folders,
)
from spamlstm.maildir.folders import FolderRole


def test_roles_follow_from_special_use_and_names():
    """What the server says comes before names; the inbox is visited last, and Trash and the like not at all."""
    listed = [
        folder("INBOX"),
        folder("Werbung"),
        folder("Quatsch", "\\junk"),
        folder("[Gmail]", "\\noselect"),
        folder("[Gmail]/Alle", "\\all"),
        folder("Papierkorb"),
        folder("Lists/announce"),
        folder("Receipts"),
    ]
    roles = visited_folders(listed, account(), ignore_folders=["Receipts"])
    assert roles == {
        "Lists/announce": FolderRole.FILED,
        "Werbung": FolderRole.JUNK,
        "Quatsch": FolderRole.JUNK,
        "INBOX": FolderRole.INBOX,
    }
    assert list(roles)[-1] == "INBOX"


def test_the_first_classified_folder_is_visited_last():
    """Of several classified folders, the first of the setting is watched, whatever the order of the server."""
    listed = [folder("Lists"), folder("Inbox"), folder("Junk"), folder("Work")]
    for first, second in (("INBOX", "Work"), ("Work", "INBOX")):
        roles = visited_folders(listed, account(folders=(first, second)), ignore_folders=())
        assert list(roles)[-1].upper() == first.upper()
        assert [name for name, role in roles.items() if role is FolderRole.JUNK] == ["Junk"]
        assert list(roles.values()).count(FolderRole.INBOX) == 2


@pytest.mark.parametrize(
    ("listed", "settings", "target"),
    [
        ([folder("INBOX"), folder("Spam"), folder("x", "\\junk")], {}, "x"),
        ([folder("INBOX"), folder("Spam"), folder("Junk")], {}, "Junk"),
        ([folder("INBOX"), folder("INBOX.Spam", delimiter=".")], {}, "INBOX.Spam"),
        ([folder("INBOX"), folder("x", "\\junk"), folder("Lists/Junk")], {"junk": "Lists/Junk"}, "Lists/Junk"),
        ([folder("INBOX"), folder("Archive")], {}, None),
    ],
)
def test_spam_goes_to_the_folder_that_is_there(listed, settings, target):
    """The configured folder, else the one of SPECIAL-USE, else one with a usual name."""
    assert junk_target(listed, account(**settings)) == target


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        ({}, ["x", "Gesendet"]),
        ({"sent": "Out"}, ["Out"]),
        ({"sent": "INBOX"}, []),
        ({"folders": ("INBOX", "Gesendet")}, ["x"]),
    ],
)
def test_sent_folders(settings, sent):
    """Sent folders are those that the server marks or that have a usual name, or the configured one, never a folder
    whose mail is classified; no label follows from mail in them.
    """
    listed = [folder("INBOX"), folder("x", "\\sent"), folder("Gesendet"), folder("Out"), folder("Sent", "\\trash")]
    assert sent_folders_of(listed, account(**settings)) == sent
    assert not set(visited_folders(listed, account(**settings), ignore_folders=())) & set(sent)


def test_the_junk_folder_is_not_classified():
    """An account reports a junk folder among its classified folders, because spam there would be moved in a circle."""
    listed = [folder("INBOX"), folder("Junk", "\\junk")]
    assert is_junk_classified(listed, account(folders=("INBOX", "Junk")))
    assert not is_junk_classified(listed, account())
    assert not is_junk_classified(listed, account(folders=("INBOX", "Junk"), spam=(Action.KEYWORD,)))


def test_a_new_junk_folder_is_beside_the_others():
    """If all folders are below INBOX, the new one is too."""
    below = [folder("INBOX", delimiter="."), folder("INBOX.Sent", delimiter=".")]
    assert new_junk_names(below, account())[0] == "INBOX.Junk"
    assert new_junk_names([folder("INBOX"), folder("Sent")], account())[0] == "Junk"
