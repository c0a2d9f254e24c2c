"""Connections to hostile and broken IMAP servers, and the commands that print passwords."""

import contextlib
import itertools
import socket
import sqlite3
import sys
import tempfile
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spamlstm.config import Action, AuthMethod, Config, ImapConfig, TlsMode
from spamlstm.daemon.imap import account_session, allowance
from spamlstm.daemon.imap.account_folders import (
    is_junk_classified,
    junk_target,
    new_junk_names,
    sent_folders_of,
    visited_folders,
)
from spamlstm.daemon.imap.account_mail import AccountMail
from spamlstm.daemon.imap.account_session import AccountSession, AccountTally, DaemonSession
from spamlstm.daemon.imap.account_state import AccountCopy, BegunMove
from spamlstm.daemon.imap.account_tables import ACCOUNT_TABLES
from spamlstm.daemon.imap.answers import (
    AccountUnavailableError,
    CommandRefusedError,
    FolderNumbers,
    ListedFolder,
    ListedMessage,
    LoginRefusedError,
    RemoteFlag,
    flags_from_items,
)
from spamlstm.daemon.imap.connection import ImapConnection
from spamlstm.daemon.imap.credentials import CredentialsError, secret_of
from spamlstm.daemon.imap.exchange import FLAGS
from spamlstm.daemon.imap.folder_visits import FolderVisits
from spamlstm.daemon.imap.recognition import recognized
from spamlstm.daemon.imap.records import AccountRecords
from spamlstm.daemon.imap.written_names import names_written
from spamlstm.daemon.listeners.judging import Judging, LabelRequestOfClient
from spamlstm.features.sender_identity import name_key
from spamlstm.learning.label import Label
from spamlstm.maildir.content_id import content_id
from spamlstm.maildir.folders import FolderRole
from spamlstm.maildir.names import GoneError

CAPABILITIES = b"* CAPABILITY IMAP4rev1 UIDPLUS MOVE IDLE CONDSTORE ENABLE\r\n"
SELECTED = b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7]\r\n* OK [UIDNEXT 9]\r\n* OK [PERMANENTFLAGS (\\*)]\r\n"

pytest.importorskip("imapclient")


def well(tag: bytes, command: bytes) -> bytes:
    """Answer as a server does that has one folder with one message."""
    word = command.split(b" ")[0].upper()
    answers = {b"CAPABILITY": CAPABILITIES, b"SELECT": SELECTED, b"EXAMINE": SELECTED}
    return answers.get(word, b"") + tag + b" OK done\r\n"


@contextlib.contextmanager
def serving(
    answer: Callable[[bytes, bytes], bytes | Iterator[bytes] | None],
    *,
    greeting: bytes | Iterator[bytes] = b"* OK ready\r\n",
) -> Iterator[int]:
    """Run a server whose answers to (tag, command) are given, whole or in pieces. None closes the connection."""

    def serve() -> None:
        with contextlib.suppress(OSError), listener.accept()[0] as client:
            for piece in [greeting] if isinstance(greeting, bytes) else greeting:
                client.sendall(piece)
            with client.makefile("rb") as lines:
                for line in lines:
                    tag, _, command = line.strip().partition(b" ")
                    reply = answer(tag, command) if tag else b""
                    if reply is None:
                        return
                    for piece in [reply] if isinstance(reply, bytes) else reply:
                        client.sendall(piece)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@contextlib.contextmanager
def connected(answer, **settings) -> Iterator[ImapConnection]:
    with serving(answer, **settings) as port:
        connection = ImapConnection.open(account(port), "secret")
        try:
            yield connection
        finally:
            connection.close()


def account(port: int = 143, **settings: object) -> ImapConfig:
    return ImapConfig("127.0.0.1", "ann", port=port, tls=TlsMode.NONE, **settings)


def fetching(reply: bytes) -> Callable[[bytes, bytes], bytes | None]:
    """Return a server that answers to FETCH with `reply` before its last line."""
    return lambda tag, command: (reply if b"FETCH" in command else b"") + (well(tag, command) or b"")


def test_a_message_is_read_with_peek():
    """Messages are asked for by BODY.PEEK, so that no server marks them as read."""
    seen = []

    def answer(tag, command):
        seen.append(command)
        return fetching(b"* 1 FETCH (UID 4 BODY[] {5}\r\nhello)\r\n")(tag, command)

    with connected(answer) as connection:
        connection.select("INBOX", readonly=False)
        assert connection.bodies({4: 5}) == {4: b"hello"}
    assert not [one for one in seen if b"BODY[" in one or b"RFC822 " in one]


def test_changes_by_others_are_not_mistaken_for_an_answer():
    """A FETCH without UID, which tells a change of another message, does not change the message with that number."""
    reply = b"* 4 FETCH (FLAGS (\\Deleted))\r\n* 1 FETCH (UID 4 FLAGS (\\Seen))\r\n"
    with connected(fetching(reply)) as connection:
        connection.select("INBOX", readonly=False)
        assert connection.flags([4]) == {4: RemoteFlag.SEEN}


@pytest.mark.parametrize(
    "change",
    [b"* 3 FETCH (FLAGS (\\Seen))\r\n", b"* 3 FETCH (UID 8 FLAGS (\\Seen) MODSEQ (90))\r\n"],
    ids=["number", "uid"],
)
@pytest.mark.parametrize("word", [b"FETCH", b"STORE", b"MOVE", b"EXPUNGE"])
def test_changes_by_others_during_a_command_are_events(word, change):
    """A change that the server tells during any command of ours is an event, even if it told one before too."""

    def answer(tag, command):
        reply = b"* 1 FETCH (UID 4 BODY[] {5}\r\nhello MODSEQ (5))\r\n" if b"BODY" in command else b""
        return reply + (change if word in command else b"") + (well(tag, command) or b"")

    with connected(answer) as connection:
        for _ in range(2):
            connection.select("INBOX", readonly=False)
            connection.take_events()
            assert connection.bodies({4: 5}) == {4: b"hello"}
            connection.claim([4], "$Junk")
            connection.move([4], "Junk", validity=7)
            connection.remove([4])
            assert FLAGS in connection.take_events()
        assert FLAGS not in connection.take_events()


def test_new_uids_of_another_numbering_are_not_believed():
    """The UIDs that a server says after a move count only under the UIDVALIDITY that is recorded for the folder."""
    code = b"* OK [COPYUID 7 4:5 8:9] moved\r\n"
    answer = lambda tag, command: (code if b"MOVE" in command else b"") + (well(tag, command) or b"")  # noqa: E731
    with connected(answer) as connection:
        connection.select("INBOX", readonly=False)
        assert connection.move([4, 5], "Junk", validity=7) == {4: 8, 5: 9}
        assert connection.move([4, 5], "Junk", validity=6) == {}


@pytest.mark.parametrize(
    "codes",
    [
        b"* OK [COPYUID 7 %b 9] moved\r\n" % b",".join([b"1:900"] * 5000),
        b"".join(b"* OK [COPYUID 7 %d:%d 1:900] moved\r\n" % (n, n + 899) for n in range(1, 4_500_000, 900)),
        b"* OK [MODIFIED %b] changed\r\n" % b",".join([b"1:900"] * 5000),
        b"* OK [MODIFIED 1:900] changed\r\n" * 5000,
    ],
    ids=["moved-ranges", "moved-codes", "changed-ranges", "changed-codes"],
)
def test_short_codes_for_many_uids_take_no_memory(codes):
    """A server that names millions of UIDs by ranges of a few bytes does not fill the memory."""

    def answer(tag, command):
        is_change = b"MOVE" in command or b"STORE" in command
        reply = b"* 1 FETCH (UID 4 BODY[] {5}\r\nhello MODSEQ (5))\r\n" if b"BODY" in command else b""
        return reply + (codes if is_change else b"") + (well(tag, command) or b"")

    with connected(answer) as connection:
        connection.select("INBOX", readonly=False)
        connection.bodies({4: 5})
        tracemalloc.start()
        try:
            with pytest.raises(AccountUnavailableError):
                connection.move([4], "Junk", validity=7) if b"COPYUID" in codes else connection.claim([4], "$Junk")
            assert tracemalloc.get_traced_memory()[1] < 20 << 20
        finally:
            tracemalloc.stop()


def test_changes_of_ours_are_no_events():
    """The new modseq that a server tells after our own change causes no work."""

    def answer(tag, command):
        reply = b"* 1 FETCH (UID 4 MODSEQ (6))\r\n" if b"STORE" in command else b""
        reply = b"* 1 FETCH (UID 4 BODY[] {5}\r\nhello MODSEQ (5))\r\n" if b"BODY" in command else reply
        return reply + (well(tag, command) or b"")

    with connected(answer) as connection:
        connection.select("INBOX", readonly=False)
        connection.bodies({4: 5})
        connection.take_events()
        assert connection.claim([4], "$Junk") == {4}
        connection.remove([4])
        assert connection.take_events() == set()


def test_a_message_that_changes_while_it_is_read_is_not_claimed():
    """The condition of a claim is the modseq at which the message was read, not that of a later change."""
    seen = []

    def answer(tag, command):
        seen.append(command)
        reply = b"* 1 FETCH (UID 4 BODY[] {5}\r\nhello MODSEQ (5))\r\n* 1 FETCH (UID 4 FLAGS ($Junk) MODSEQ (9))\r\n"
        return (reply if b"BODY" in command else b"") + (well(tag, command) or b"")

    with connected(answer) as connection:
        connection.select("INBOX", readonly=False)
        assert connection.bodies({4: 5}) == {4: b"hello"}
        connection.claim([4], "$Junk")
    assert b"(UNCHANGEDSINCE 5)" in b" ".join(seen)


@pytest.mark.parametrize(
    "reply",
    [
        b"* 1 FETCH (UID 4 BODY[] {99999999}\r\n" + b"x" * (1 << 19),
        b"* 1 FETCH (UID 4 FLAGS ())\r\n" * 20_000,
        b"* OK " + b"x" * (1 << 19),
        b"* 1 FETCH (UID 99999999999999999999 BODY[] {1}\r\nx)\r\n",
        b"* 1 FETCH (UID 4 BODY[] (((((\r\n",
        b"garbage\r\n",
        b"* BYE\r\n",
        b"* 1 FETCH (UID 4 MODSEQ (x) BODY[] {1}\r\nx)\r\n",
    ],
    ids=["literal", "lines", "line", "uid", "parentheses", "garbage", "bye", "modseq"],
)
def test_a_hostile_answer_is_an_error_of_the_account(reply, monkeypatch):
    """Whatever a server answers, the connection ends with a sentence, within its limits."""
    monkeypatch.setattr(allowance, "COMMAND_BYTES", 1 << 18)
    with connected(fetching(reply)) as connection:
        connection.select("INBOX", readonly=False)
        with pytest.raises(AccountUnavailableError):
            connection.bodies({4: 5})


@pytest.mark.parametrize("size", [10**10, 10**13, 10**30])
def test_no_memory_is_reserved_for_a_size_that_is_too_large(size):
    """A literal that exceeds the limit ends the connection immediately, before its bytes are waited for."""
    with connected(fetching(b"* 1 FETCH (UID 4 BODY[] {%d}\r\nx" % size)) as connection:
        connection.select("INBOX", readonly=False)
        with pytest.raises(AccountUnavailableError, match=r"too much|cannot be read"):
            connection.bodies({4: 5})


def test_responses_without_a_question_are_not_kept():
    """A server cannot fill the memory over many commands, and one entry still says that something changed."""
    reply = b"* STATUS x (MESSAGES 1)\r\n* 1 EXISTS\r\n* 1 FETCH (FLAGS ())\r\n" * 50

    def answer(tag, command):
        return (reply if command == b"NOOP" else b"") + (well(tag, command) or b"")

    with connected(answer) as connection:
        connection.select("INBOX", readonly=False)
        for _ in range(5):
            connection.check()
        assert sum(map(len, connection._imap.untagged_responses.values())) <= 160
        assert connection.flags([4]) == {}
        connection.check()
        assert connection.take_events() == {"EXISTS", "FETCH", "SELECTED"}


@pytest.mark.parametrize("odd", [b"R&D", b"&2AA-", b"Entw\xc3\xbcrfe", b"a&", b""])
def test_one_odd_folder_name_does_not_stop_an_account(odd):
    """A folder is left out if its name is not valid or would name another folder; the other folders are used."""
    reply = b'* LIST () "/" INBOX\r\n* LIST () "/" "%s"\r\n* LIST () "\xff" 2024\r\n* LIST () "/" "&AOk-"\r\n' % odd
    answer = lambda tag, command: (reply if command.startswith(b"LIST") else b"") + (well(tag, command) or b"")  # noqa: E731
    with connected(answer) as connection:
        assert [one.name for one in connection.folders()] == ["INBOX", "2024", "é"]


def test_a_change_with_a_uid_does_not_break_a_list():
    """Some servers send changes of other messages with UIDs while messages are listed. They are not listed messages."""
    item = b'* 1 FETCH (UID 4 FLAGS () RFC822.SIZE 5 INTERNALDATE "28-Nov-2026 21:00:00 +0000")\r\n'
    with connected(fetching(item + b"* 2 FETCH (UID 9 FLAGS (\\Seen) MODSEQ (3))\r\n")) as connection:
        connection.select("INBOX", readonly=False)
        assert [(uid, one.size) for uid, one in connection.details([4]).items()] == [(4, 5)]


def test_a_folder_has_a_limit(monkeypatch):
    """A server that invents UIDs without end cannot fill the memory."""
    monkeypatch.setattr("spamlstm.daemon.imap.connection.MOST_FOUND", 100)
    searched = []

    def answer(tag, command):
        if b"SEARCH" not in command:
            return well(tag, command)
        searched.append(command)
        low = int(command.split(b":")[0].split()[-1])
        return b"* SEARCH 1 %s\r\n" % b" ".join(b"%d" % (low + one) for one in range(60)) + tag + b" OK done\r\n"

    with connected(answer) as connection:
        connection.select("INBOX", readonly=False)
        assert connection.existing(7, 9) == set(range(7, 67))
        with pytest.raises(AccountUnavailableError, match="more than 100 messages"):
            connection.existing(7, 4_000_000_000)
    assert len(searched) == 3


SLOW = {
    "greeting": (b"", b"* OK ready and waiting ", lambda connection: None),
    "capabilities": (b"CAPABILITY", b"* CAPABILITY IMAP4rev1 AND SO ON ", lambda connection: None),
    "login": (b"LOGIN", b"* OK patience\r\n", lambda connection: None),
    "list": (b"LIST", b'* LIST () "/" "again"\r\n', lambda connection: connection.folders()),
    "select": (b"SELECT", b"* OK patience\r\n", lambda connection: None),
    "search": (b"UID SEARCH", b"* SEARCH 1 2 3\r\n", lambda connection: connection.existing(1, 9)),
    "message": (
        b"UID FETCH",
        b"* 1 FETCH (UID 4 BODY[] {900}\r\nhello",
        lambda connection: connection.bodies({4: 900}),
    ),
    "idle": (b"IDLE", b"* OK patience\r\n", lambda connection: connection.idle(0.0, 0)),
    "check": (b"NOOP", b"* 3 EXISTS\r\n", lambda connection: connection.check()),
}


@pytest.mark.parametrize("name", SLOW)
def test_a_server_that_drips_is_left(monkeypatch, name):
    """A server that sends a byte now and then, whatever it sends, cannot keep a command alive: its time is limited."""
    monkeypatch.setattr(allowance, "COMMAND_SECONDS", 0.3)
    monkeypatch.setattr(allowance, "CONNECT_SECONDS", 0.3)
    where, words, use = SLOW[name]
    stop = threading.Event()

    def drip():
        for number in itertools.cycle(words):
            yield bytes([number])
            if stop.wait(0.01):
                return

    def answer(tag, command):
        return drip() if where and command.startswith(where) else well(tag, command)

    def work(port):
        with contextlib.closing(ImapConnection.open(account(port), "secret")) as connection:
            connection.select("INBOX", readonly=False)
            use(connection)

    with serving(answer, greeting=b"* OK ready\r\n" if where else drip()) as port:
        with pytest.raises(AccountUnavailableError, match="in time"):
            work(port)
        stop.set()


def test_every_way_to_read_is_limited():
    """However a library reads from the socket, bytes and time are counted: imaplib of newer Pythons calls `recv`."""
    for read in (lambda ours: ours.recv(9), lambda ours: ours.recv_into(bytearray(9))):
        limits = allowance.Allowance(bytes=12)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ours = allowance.plain_socket(listener.getsockname(), limits)
            with ours, listener.accept()[0] as theirs:
                theirs.sendall(b"ninebytes" * 2)
                read(ours)
                with pytest.raises(allowance.ExcessError):
                    read(ours)
                limits.until = 0.0
                with pytest.raises(TimeoutError):
                    read(ours)


def test_a_refusal_has_its_code_but_no_text():
    """The text of a server may quote addresses, so only its code is repeated."""

    def answer(tag, command):
        if command.startswith(b"SELECT"):
            return tag + b" NO [NOPERM] ann@example.org may not\r\n"
        if command.startswith(b"LOGIN") and b"wrong" in command:
            return tag + b" NO [AUTHENTICATIONFAILED] ann@example.org\r\n"
        return well(tag, command)

    with connected(answer) as connection, pytest.raises(CommandRefusedError) as caught:
        connection.select("INBOX", readonly=False)
    assert "NOPERM" in str(caught.value)
    assert "ann" not in str(caught.value)
    with serving(answer) as port, pytest.raises(LoginRefusedError, match="AUTHENTICATIONFAILED"):
        ImapConnection.open(account(port), "wrong")


def test_a_connection_that_ends_during_the_login_is_no_refusal():
    """A lost connection is tried again soon, a refused password is not."""
    answer = lambda tag, command: None if command.startswith(b"LOGIN") else well(tag, command)  # noqa: E731
    with serving(answer) as port, pytest.raises(AccountUnavailableError) as caught:
        ImapConnection.open(account(port), "secret")
    assert not isinstance(caught.value, LoginRefusedError)


@pytest.mark.parametrize("auth", [AuthMethod.XOAUTH2, AuthMethod.OAUTHBEARER])
def test_a_token_is_sent_by_its_mechanism(auth):
    """An access token is not sent as a password."""
    sent = []

    def serve(tag, command):
        if command.startswith(b"AUTHENTICATE"):
            sent.append((tag, command))
            return b"+ \r\n"
        if not command:  # the token, on a line of its own
            return sent[0][0] + b" OK done\r\n"
        return well(tag, command)

    with serving(serve) as port:
        ImapConnection.open(account(port, auth=auth, token_command=("x",)), "token").close()
    assert sent[0][1] == b"AUTHENTICATE " + auth.upper().encode()


@pytest.mark.parametrize(
    ("user", "quoted"), [("ann lee", b'"ann lee"'), ('a"b\\c', b'"a\\"b\\\\c"'), ("änn", '"änn"'.encode())]
)
def test_login_quotes_the_name_and_the_password(user, quoted):
    """Any printable name can log in on a server that only has LOGIN, and cannot add words to the command."""
    sent = []
    with serving(lambda tag, command: sent.append(command) or well(tag, command)) as port:
        ImapConnection.open(replace(account(port), user=user), 'p "w').close()
    assert [one for one in sent if one.startswith(b"LOGIN")] == [b'LOGIN %s "p \\"w"' % quoted]


@pytest.mark.parametrize("code", [b"", b"* OK [UIDVALIDITY 0]\r\n"], ids=["missing", "zero"])
def test_a_server_without_uidvalidity_is_not_used(code):
    """A server whose UIDs mean nothing is reported; the current mail is not recorded again at each visit."""
    answer = lambda tag, command: code + tag + b" OK done\r\n" if command[:6] == b"SELECT" else well(tag, command)  # noqa: E731
    with connected(answer) as connection, pytest.raises(CommandRefusedError, match="no UIDVALIDITY"):
        connection.select("INBOX", readonly=False)


def test_certificates_are_verified():
    """The default context checks the certificate and the name of the host."""
    context = allowance.tls_context(allowance.Allowance())
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"


@given(st.binary(max_size=200).map(lambda raw: raw.replace(b"\0", b"")))
@settings(max_examples=40)
def test_arbitrary_answers_raise_no_other_error(raw):
    """Any bytes in place of an answer end in an answer or in an error of the account."""
    with contextlib.suppress(AccountUnavailableError):
        replies = lambda tag, command: raw + b"\r\n" + (well(tag, command) or b"")  # noqa: E731
        with serving(replies) as port:
            connection = ImapConnection.open(account(port), "secret")
            try:
                connection.folders()
                connection.numbers("Junk")
                connection.select("INBOX", readonly=False)
                connection.existing(1, 5)
                connection.details([1, 2])
                connection.bodies({1: 5})
            finally:
                connection.close()


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
            return listing, raws, mail.written()
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


# --- commands that print passwords -----------------------------------------------------------------------------------


def python(code: str) -> tuple[str, ...]:
    return sys.executable, "-S", "-c", code


def test_the_first_line_is_the_password():
    """Further lines, such as those of pass, are ignored."""
    assert secret_of(python("print('geheim ß'); print('user: ann')"), setting="password_command") == "geheim ß"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("/does/not/exist",), "cannot be started (no such file"),
        (python("print('secret'); raise SystemExit(3)"), "failed with status 3"),
        (python(""), "printed no password"),
        (python("print('x' * 100000)"), "printed no password"),
        (python("import sys; sys.stdout.buffer.write(b'\\xff\\n')"), "printed no password"),
    ],
)
def test_a_command_that_fails_is_a_sentence_without_the_secret(command, words):
    """The error says what happened and never what was printed."""
    with pytest.raises(CredentialsError) as caught:
        secret_of(command, setting="password_command")
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_command_that_waits_is_ended():
    """A command that asks a person does not stop the account forever."""
    with pytest.raises(CredentialsError, match="did not end"):
        secret_of(python("import time; time.sleep(60)"), setting="password_command", seconds=0.2)


# --- folders ---------------------------------------------------------------------------------------------------------


def folder(name: str, *flags: str, delimiter: str = "/") -> ListedFolder:
    return ListedFolder(name, delimiter, frozenset(flags))


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


def test_two_new_folders_are_not_both_a_renamed_one(tmp_path):
    """Of two new folders with the UIDVALIDITY of a missing folder, neither gets its records, and both are visited."""
    records = AccountRecords.open(tmp_path / "state", "imap://x")
    connection = SimpleNamespace(numbers=lambda name: FolderNumbers(validity=1, next_uid=5))
    session = AccountSession(account(), Config(), connection, records, AccountTally("h"))
    visits = FolderVisits(session)
    visits.find([folder("INBOX"), folder("Old")])
    with records.change():
        for one in records.folders():
            records.put_folder(replace(one, validity=1, next_uid=3))
    found = visits.find([folder("INBOX"), folder("New"), folder("Other")])
    assert {one.name: one.validity for one in found} == {"INBOX": 1, "New": 0, "Other": 0}
    records.close()


def test_records_of_the_former_version_are_kept(tmp_path):
    """A database of the version without acts is upgraded: a begun move is still there, and undoes nothing."""
    (tmp_path / "state").mkdir(mode=0o700)
    path = AccountRecords.path_of(tmp_path / "state", "imap://x")
    path.parent.mkdir(mode=0o700)
    with contextlib.closing(sqlite3.connect(path)) as former:
        former.executescript(ACCOUNT_TABLES.schema.removesuffix(ACCOUNT_TABLES.upgrades[1]))
        former.execute("INSERT INTO moves VALUES (5, 1, 2, 3, x'00112233445566778899aabbccddeeff', 9, 8, 7, 6, 4)")
        former.execute("PRAGMA user_version = 1")
        former.commit()
    path.chmod(0o600)
    with contextlib.closing(AccountRecords.open(tmp_path / "state", "imap://x")) as records:
        content = "00112233445566778899aabbccddeeff"
        assert records.moves() == [BegunMove(1, 2, 3, content, 9, 8, 7, 6, 4, id=5)]
        assert records.acts() == []


def test_only_messages_that_may_be_known_are_read_again():
    """If the UIDs changed, messages of the same size and date are read only until all records are recognized."""
    mails = {uid: b"Subject: mail %d\n\nBody" % uid for uid in range(1, 6)}
    size, read = len(mails[1]), []

    def bodies(sizes):
        read.extend(sizes)
        return {uid: mails[uid] for uid in sizes}

    listed = [ListedMessage(uid, RemoteFlag.NONE, size, date=7) for uid in mails]
    one = AccountCopy(3, 90, RemoteFlag.NONE, size, date=7, since=0.0, content=content_id(mails[2]))
    copies, unknown = recognized(SimpleNamespace(bodies=bodies), listed, [one])
    assert copies == [replace(one, uid=2)]
    assert [message.uid for message in unknown] == [1, 3, 4, 5]
    assert read == [1, 2]


def test_a_request_without_an_answer_is_withdrawn(monkeypatch):
    """If the daemon's loop does not answer in time, the message is tried again later, and is not classified twice."""
    monkeypatch.setattr(account_session, "ANSWER_SECONDS", 0.0)
    requests = Judging(classifier=None, config=None, label_stores=None)
    session = DaemonSession(account(), Config(), None, None, AccountTally("h"), requests=requests)
    assert session.judge([b"one", b"two"]) == [None, None]
    assert session.label(LabelRequestOfClient(b"three", label=Label.SPAM)) is None
    assert [one.answer.cancelled() for one in requests._waiting] == [True, True, True]
    requests.work()
    assert not requests


def test_numbers_in_the_place_of_flags_take_no_memory():
    """A server that sends numbers instead of flags costs nothing; words that are flags count in any case."""
    tracemalloc.start()
    try:
        found = flags_from_items({b"FLAGS": (1 << 28, b"\\SEEN", (b"\\Deleted",))})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == RemoteFlag.SEEN
    assert peak < 1 << 20
