"""The mail of an IMAP account, as `adopt` reads it."""

import contextlib
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imap_server import account, connected, serving, well

from spamlstm.daemon.imap.account_mail import AccountMail
from spamlstm.daemon.imap.answers import AccountUnavailableError, CommandRefusedError
from spamlstm.daemon.imap.connection import ImapConnection
from spamlstm.daemon.imap.written_names import names_written
from spamlstm.features.sender_identity import name_key
from spamlstm.maildir.folders import FolderRole
from spamlstm.maildir.names import GoneError

pytest.importorskip("imapclient")

LISTED = b'* LIST () "/" INBOX\r\n* LIST (\\Sent) "/" Sent\r\n* LIST (\\Junk) "/" Junk\r\n'
DETAILS = b'* 1 FETCH (UID 4 FLAGS (\\Seen \\Answered) RFC822.SIZE 5 INTERNALDATE "28-Sep-2026 21:00:00 +0000")\r\n'


def full(tag, command):
    """Answer as a server does whose folders have one message each."""
    found = {b"LIST": LISTED, b"STATUS": b"", b"UID SEARCH": b"* SEARCH 4\r\n"}
    reply = next((reply for word, reply in found.items() if command.startswith(word)), b"")
    if command.startswith(b"UID FETCH"):
        head = b"* 1 FETCH (UID 4 BODY[HEADER]<0> {13}\r\nTo: a@x.org\r\n)\r\n"
        reply = DETAILS if b"SIZE" in command else head if b"HEADER" in command else b""
        reply = reply or b"* 1 FETCH (UID 4 BODY[] {5}\r\nhello)\r\n"
    return reply + (well(tag, command) or b"")


def read_all(port):
    """Read all mail of an account as `adopt` does, by one connection."""
    connections = []

    def connect():
        if connections:
            raise AccountUnavailableError("the server is gone")
        connections.append(ImapConnection.open(account(port), "secret"))
        return connections[0]

    with tempfile.TemporaryFile() as spool:
        mail = AccountMail(
            account(port),
            ignore_folders=(),
            connect=connect,
            spool=spool,
            pause=lambda _: None,
        )
        try:
            listing = mail.listing()
            raws = []
            for one in listing.messages:
                with contextlib.suppress(GoneError, OSError):
                    raws.append(one.message.read())
            return listing, raws, mail.correspondents()
        finally:
            mail.close()


def test_mail_is_read_as_adopt_reads_it():
    """The messages of the inbox and of junk are read with their flags and dates, and the recipients of sent mail."""
    with serving(full) as port:
        listing, raws, written = read_all(port)
    assert [(one.role, one.flags) for one in listing.messages] == [(FolderRole.INBOX, "RS"), (FolderRole.JUNK, "RS")]
    assert raws == [b"hello", b"hello"]
    assert list(written) == [name_key("x.org")]


def test_a_refused_sent_folder_does_not_end_an_adoption():
    """If the server refuses the headers of sent mail, the labels of the other folders are adopted all the same."""

    def answer(tag, command):
        return tag + b" NO some messages cannot be fetched\r\n" if b"HEADER" in command else full(tag, command)

    with serving(answer) as port:
        listing, raws, written = read_all(port)
    assert (len(listing.messages), raws, written) == (2, [b"hello", b"hello"], {})


def test_one_damaged_sent_message_hides_no_others():
    """If the server refuses the headers of one sent message, the recipients of the others are learned."""

    def answer(tag, command):
        if b"HEADER" in command and b"5" in command.split(b" ")[2].split(b","):
            return tag + b" NO some messages cannot be fetched\r\n"
        return full(tag, command) or b""

    with connected(answer) as connection:
        connection.select("Sent", readonly=True)
        assert names_written(connection, {4: 1.0, 5: 2.0}) == {name_key("x.org"): 1.0}
        with pytest.raises(CommandRefusedError):
            names_written(connection, {5: 2.0})


@given(st.binary(max_size=200).map(lambda raw: raw.replace(b"\0", b"")), st.integers(0, 12))
@settings(max_examples=40, deadline=None)
def test_arbitrary_answers_end_an_adoption_with_a_sentence(raw, number):
    """Any bytes before the answer to any command are ignored or end in an error of the account, without a loop."""
    seen = []

    def answer(tag, command):
        seen.append(command)
        return (raw + b"\r\n" if len(seen) == number else b"") + (full(tag, command) or b"")

    with serving(answer) as port, contextlib.suppress(AccountUnavailableError):
        read_all(port)
    assert len(seen) < 60
