"""Spam goes to the junk folder that is there, in each layout of servers and mail programs."""

# ruff: noqa: PTH118  as in maildir

import os
from pathlib import Path

import pytest
from maildirs import make

from spamlstm.maildir.folders import FolderRole, encoded, role_of

# The folders that are there, the configured name, and the one to which spam is filed. After public reports: RainLoop,
# mailcow (Junk-E-Mail), Mail-in-a-Box, mbsync with Gmail.
LAYOUTS = [
    ([".[Gmail].Spam", ".[Gmail].All Mail"], "auto", ".[Gmail].Spam"),
    (["[Gmail]/Spam", "[Gmail]/All Mail", "Archive"], "auto", "[Gmail]/Spam"),
    (["[Gmail]/.Spam", "Archive"], "auto", "[Gmail]/.Spam"),
    ([".[Google Mail].Spam"], "auto", ".[Google Mail].Spam"),
    (["[Google Mail]/Spam", "Sent"], "auto", "[Google Mail]/Spam"),
    (["INBOX/Spam", "Sent"], "auto", "INBOX/Spam"),
    (["INBOX/Spam", "INBOX/Sent"], "auto", "INBOX/Spam"),
    (["Inbox/Junk E-mail"], "auto", "Inbox/Junk E-mail"),
    ([".INBOX.Spam", ".INBOX.Sent"], "auto", ".INBOX.Spam"),
    ([".Junk Email", ".Sent"], "auto", ".Junk Email"),
    ([".Junk-E-Mail", ".Sent"], "auto", ".Junk-E-Mail"),
    ([".Junk E-mail", ".Sent"], "auto", ".Junk E-mail"),
    (["Junk E-mail", "Sent Items"], "auto", "Junk E-mail"),
    ([".Junk Mail"], "auto", ".Junk Mail"),
    ([".Bulk"], "auto", ".Bulk"),
    ([".Bulk Mail"], "auto", ".Bulk Mail"),
    ([".JUNK"], "auto", ".JUNK"),
    ([".spam", ".sent"], "auto", ".spam"),
    (["SPAM", "Sent"], "auto", "SPAM"),
    ([".Spamverdacht"], "auto", ".Spamverdacht"),
    ([".Courrier ind&AOk-sirable"], "auto", ".Courrier ind&AOk-sirable"),
    ([".Courrier ind\u00e9sirable"], "auto", ".Courrier ind\u00e9sirable"),
    ([".Courrier inde\u0301sirable"], "auto", ".Courrier inde\u0301sirable"),
    (["INBOX/Correo no deseado"], "auto", "INBOX/Correo no deseado"),
    ([".&BCEEPwQwBDw-"], "auto", ".&BCEEPwQwBDw-"),
    ([".\u0421\u043f\u0430\u043c"], "auto", ".\u0421\u043f\u0430\u043c"),
    ([".&j,dg0TDhMPww6w-"], "auto", ".&j,dg0TDhMPww6w-"),
    ([".\u5783\u573e\u90ae\u4ef6"], "auto", ".\u5783\u573e\u90ae\u4ef6"),
    ([".Lixo Eletr&APQ-nico"], "auto", ".Lixo Eletr&APQ-nico"),
    ([".Wiadomo&AVs-ci-&AVs-mieci"], "auto", ".Wiadomo&AVs-ci-&AVs-mieci"),
    # Several at once: the first of the table of names, then the one at the top, then by name.
    ([".Spam", ".Junk", ".Bulk"], "auto", ".Junk"),
    ([".Junk E-mail", ".Spam"], "auto", ".Spam"),
    ([".junk", ".Junk"], "auto", ".Junk"),
    (["[Gmail]/Spam", "Spam"], "auto", "Spam"),
    # Folders below a junk folder are not the inbox's junk folder.
    ([".Junk.2020", ".Spam"], "auto", ".Spam"),
    ([".Lists.Spam", ".Bulk"], "auto", ".Bulk"),
    # A configured name, as mail programs show it.
    ([".Spam", ".Sent"], "INBOX.Spam", ".Spam"),
    ([".Spam", ".Sent"], ".INBOX.Spam", ".Spam"),
    ([".INBOX.Spam"], "Spam", ".INBOX.Spam"),
    ([".INBOX.Spam", ".Spam"], "INBOX.Spam", ".INBOX.Spam"),
    ([".Spam"], "spam", ".Spam"),
    (["INBOX/Spam", "Sent"], "INBOX.Spam", "INBOX/Spam"),
    (["Spam", "Sent"], "INBOX/Spam", "Spam"),
    ([".[Gmail].Spam"], "[Gmail]/Spam", ".[Gmail].Spam"),
    (["[Gmail]/Spam"], "[Gmail].Spam", "[Gmail]/Spam"),
    ([".Lists.Unwanted"], "Lists.Unwanted", ".Lists.Unwanted"),
    (["Lists/Unwanted"], "Lists.Unwanted", "Lists/Unwanted"),
    ([".Ind&AOk-sirable"], "Ind\u00e9sirable", ".Ind&AOk-sirable"),
    ([".Ind\u00e9sirable"], "INBOX.Ind\u00e9sirable", ".Ind\u00e9sirable"),
]


@pytest.mark.parametrize(("there", "configured", "used"), LAYOUTS)
def test_the_folder_that_is_there_is_used(inbox, there, configured, used):
    """Spam is filed to the existing junk folder, no folder is created, and learning takes it for the junk folder."""
    one = inbox(junk=configured)
    for name in there:
        make(Path(one.root, name))
    before = {path for path, _, _ in os.walk(one.root)}
    one.deliver("spam")
    assert [outcome.status for outcome in one.run()] == ["done"]

    assert len(one.names(os.path.join(one.root, used))) == 1
    assert one.names() == []
    assert {path for path, _, _ in os.walk(one.root)} == before
    assert role_of(used, junk=configured) is FolderRole.JUNK


def test_a_new_folder(inbox):
    """Without a junk folder one is created, with its marker and a subscription, once."""
    one = inbox()
    make(Path(one.root, ".Sent"))
    Path(one.root, "subscriptions").write_bytes(b"V\t2\n\nSent\n")
    for _ in range(2):
        one.deliver("spam")
        one.run()
    assert len(one.names(one.junk)) == 2
    assert Path(one.junk, "maildirfolder").exists()
    assert Path(one.root, "subscriptions").read_bytes() == b"V\t2\n\nSent\nJunk\n"


def test_a_link_is_refused(inbox, tmp_path):
    """Spam stays in the inbox if the junk folder is a link, and nothing is created beside it."""
    one = inbox()
    make(tmp_path / "elsewhere")
    Path(one.root, ".Spam").symlink_to(tmp_path / "elsewhere")
    one.deliver("spam")
    (outcome,) = one.run()
    assert (outcome.status, outcome.kind) == ("failed", "folder")
    assert len(one.names()) == 1
    assert not os.path.exists(one.junk)  # noqa: PTH110


def test_names_of_the_table_as_imap_encodes_them():
    """The encoded names of the layouts above are those of the table."""
    assert encoded("\u8ff7\u60d1\u30e1\u30fc\u30eb") == "&j,dg0TDhMPww6w-"
