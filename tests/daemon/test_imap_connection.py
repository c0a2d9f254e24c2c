"""Connections to hostile and broken IMAP servers."""

import contextlib
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imap_server import account, connected, fetching, serving, well

from spamlstm.config import AuthMethod
from spamlstm.daemon.imap import allowance
from spamlstm.daemon.imap.answers import (
    FILED_KEYWORD,
    AccountUnavailableError,
    CommandRefusedError,
    LoginRefusedError,
    RemoteFlag,
    flags_from_items,
)
from spamlstm.daemon.imap.connection import ImapConnection
from spamlstm.daemon.imap.exchange import FLAGS

pytest.importorskip("imapclient")


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
            connection.claim([4], "$Junk", read=connection.last_read)
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
                connection.move([4], "Junk", validity=7) if b"COPYUID" in codes else connection.claim(
                    [4], "$Junk", read=connection.last_read
                )
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
        assert connection.claim([4], "$Junk", read=connection.last_read) == {4}
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
        connection.claim([4], "$Junk", read=connection.last_read)
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


def test_a_refusal_has_its_code_but_no_text():
    """A refusal names what was refused. The text of a server may quote addresses, so only its code is repeated."""

    def answer(tag, command):
        if command.startswith(b"SELECT"):
            return tag + b" NO [NOPERM] ann@example.org may not\r\n"
        if command.startswith(b"LOGIN") and b"wrong" in command:
            return tag + b" NO [AUTHENTICATIONFAILED] ann@example.org\r\n"
        return well(tag, command)

    with connected(answer) as connection, pytest.raises(CommandRefusedError) as caught:
        connection.select("INBOX", readonly=False)
    assert str(caught.value) == "the server refused to open INBOX (NOPERM)"
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


def test_a_message_that_was_claimed_before_is_claimed_anew():
    """A keyword that another daemon set before its connection ended is removed first, which only one daemon can do."""
    seen = []

    def answer(tag, command):
        seen.append(command)
        reply = b"* 1 FETCH (UID 4 FLAGS (spamlstmfiled) BODY[] {5}\r\nhello MODSEQ (5))\r\n"
        refused = b"* OK [MODIFIED 4] changed\r\n" if b"-FLAGS" in command and len(seen) > 12 else b""
        return (reply if b"BODY" in command else refused) + (well(tag, command) or b"")

    with connected(answer) as connection:
        connection.select("INBOX", readonly=False)
        connection.bodies({4: 5})
        assert connection.last_read.filed == {4}
        assert connection.claim([4], FILED_KEYWORD, read=connection.last_read) == {4}
        assert [one.split(b" ", 3)[3] for one in seen if b"UID STORE" in one] == [
            b"(UNCHANGEDSINCE 5) -FLAGS.SILENT (SpamlstmFiled)",
            b"+FLAGS.SILENT (SpamlstmFiled)",
        ]
        seen += [b""] * 12
        connection.bodies({4: 5})
        assert connection.claim([4], FILED_KEYWORD, read=connection.last_read) == set()


def test_a_claim_is_about_the_state_in_which_the_messages_were_read():
    """If messages of another folder are read between reading and claim, their modseq does not count."""
    seen, modseqs = [], iter((5, 900))

    def answer(tag, command):
        seen.append(command)
        read = b"* 1 FETCH (UID 4 FLAGS () BODY[] {5}\r\nhello MODSEQ (%d))\r\n"
        return (read % next(modseqs) if b"BODY" in command else b"") + (well(tag, command) or b"")

    with connected(answer) as connection:
        connection.select("INBOX", readonly=False)
        connection.bodies({4: 5})
        read = connection.last_read
        connection.bodies({4: 5})
        assert connection.last_read.modseq == 900
        assert connection.claim([4], "$Junk", read=read) == {4}
    assert any(b"UNCHANGEDSINCE 5)" in one for one in seen)
