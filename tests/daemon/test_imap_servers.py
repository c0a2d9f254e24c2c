"""Answers of real servers that RFC 9051 does not permit or that few servers give."""

import pytest
from imap_server import account, connected, fetching, folder, well

from spamlstm.daemon.imap.account_folders import junk_target, visited_folders
from spamlstm.daemon.imap.answers import AccountUnavailableError, RemoteFlag

pytest.importorskip("imapclient")
DATE = b'INTERNALDATE "28-Nov-2026 21:00:00 +0000"'


def saying(word, reply):
    """Return the answers of a server that sends `reply` before its last line to commands with `word`."""
    return lambda tag, command: (reply if word in command else b"") + (well(tag, command) or b"")


@pytest.mark.parametrize("code", [b"14  ", b"14", b"0 35 41", b""], ids=["outlook", "validity", "mailenable", "empty"])
def test_a_copyuid_without_uids_is_ignored(code):
    """Outlook.com moves a message and answers with a code that has no UIDs. The move is then found out by content."""
    with connected(saying(b"MOVE", b"* OK [COPYUID %s]\r\n" % code)) as connection:
        connection.select("INBOX", readonly=False)
        assert connection.move([4], "Junk", validity=14) == {}
        assert connection.existing(1, 9) == set()


def test_a_copyuid_in_the_last_line_counts():
    """Gmail, Cyrus and Courier say the new UIDs in the tagged line, Dovecot before it."""
    answer = lambda tag, command: (  # noqa: E731
        b"* 1 EXPUNGE\r\n" + tag + b" OK [COPYUID 7 4 8] (Success)\r\n" if b"MOVE" in command else well(tag, command)
    )
    with connected(answer) as connection:
        connection.select("INBOX", readonly=False)
        assert connection.move([4], "Junk", validity=7) == {4: 8}
        assert "EXPUNGE" not in connection.take_events()


def test_a_negative_modseq_counts_as_none():
    """Some servers send -1 if they have no modseq. Such a server is used as one without CONDSTORE."""
    reply = b"* 1 FETCH (UID 4 BODY[] {5}\r\nhello MODSEQ (-1))\r\n"
    status = b"* STATUS Junk (MESSAGES 1 UIDNEXT 9 UIDVALIDITY 7 UNSEEN 0 HIGHESTMODSEQ -1)\r\n"
    seen = []

    def answer(tag, command):
        seen.append(command)
        if command[:6] == b"SELECT":
            return b"* OK [HIGHESTMODSEQ -1]\r\n" + well(tag, command)
        return (reply if b"BODY" in command else status if b"STATUS" in command else b"") + well(tag, command)

    with connected(answer) as connection:
        assert connection.numbers("Junk").modseq == 0
        assert connection.select("INBOX", readonly=False).modseq == 0
        assert connection.bodies({4: 5}) == {4: b"hello"}
        assert connection.claim([4], "$Junk", read=connection.last_read) == {4}
    assert not [one for one in seen if b"UNCHANGEDSINCE" in one]


@pytest.mark.parametrize(
    "items",
    [
        b'FLAGS () RFC822.SIZE 5 INTERNALDATE "00-Jan-0000 00:00:00 +0000"',
        b"FLAGS () RFC822.SIZE 5 INTERNALDATE NIL",
        b"FLAGS () RFC822.SIZE 5",
        b"FLAGS () RFC822.SIZE NIL " + DATE,
        b"FLAGS NIL RFC822.SIZE 5 " + DATE,
    ],
    ids=["domino", "no-date", "exchange", "no-size", "no-flags"],
)
def test_a_damaged_message_does_not_hide_the_others(items):
    """A message without a valid date, size or flags is listed with none, and the other messages are listed too."""
    reply = b"* 1 FETCH (UID 4 %s)\r\n* 2 FETCH (UID 5 FLAGS (\\Seen) RFC822.SIZE 6 %s)\r\n" % (items, DATE)
    with connected(fetching(reply)) as connection:
        connection.select("INBOX", readonly=False)
        found = connection.details([4, 5])
    assert set(found) == {4, 5}
    assert (found[5].size, found[5].flags) == (6, RemoteFlag.SEEN)


def test_a_search_with_a_limit_is_continued():
    """Yahoo answers a search only for the newest messages (RFC 9738). The others are not taken for gone."""
    uids = list(range(1, 26))

    def answer(tag, command):
        if b"SEARCH" not in command:
            return well(tag, command)
        low, high = command.split()[-1].split(b":")
        wanted = [uid for uid in uids if int(low) <= uid <= (25 if high == b"*" else int(high))]
        found = wanted[-10:]
        code = b"[MESSAGELIMIT 10 %d] " % found[0] if len(wanted) > 10 else b""
        return b"* SEARCH %s\r\n" % b" ".join(b"%d" % one for one in found) + tag + b" OK " + code + b"done\r\n"

    with connected(answer) as connection:
        connection.select("INBOX", readonly=False)
        assert connection.existing(1, 26) == set(uids)
        assert connection.existing(20, 26) == set(range(20, 26))


def test_a_limit_without_progress_ends():
    """A server that says again and again that a search is incomplete is disconnected."""
    reply = lambda tag, command: (  # noqa: E731
        b"* SEARCH 5\r\n" + tag + b" OK [MESSAGELIMIT 1 5] done\r\n" if b"SEARCH" in command else well(tag, command)
    )
    with connected(reply) as connection:
        connection.select("INBOX", readonly=False)
        with pytest.raises(AccountUnavailableError):
            connection.existing(1, 9)


def test_one_odd_line_does_not_break_the_list_of_folders():
    """More data about a folder, or a name that Exchange forgets to quote, does not shift the other folders."""
    reply = (
        b'* LIST (\\HasChildren) NIL "INBOX"\r\n'
        b'* LIST () "/" "Neu" ("OLDNAME" ("Alt"))\r\n'
        b'* LIST (\\HasNoChildren) "/" INBOX/Da\tOggetto\tRicevuto\r\n'
        b'* LIST () "/" {6}\r\nA "b" \r\n'
        b'* LIST () "/" 2024\r\n'
        b'* LIST (\\Marked \\HasNoChildren \\Junk) "/" "Junk Email"\r\n'
    )
    with connected(saying(b"LIST", reply)) as connection:
        listed = connection.folders()
    assert [one.name for one in listed] == ["INBOX", "Neu", 'A "b" ', "2024", "Junk Email"]
    assert "\\junk" in listed[-1].flags


@pytest.mark.parametrize(
    ("spaces", "foreign"),
    [
        (b'(("" "/")) (("Other Users/" "/")) (("Shared Folders/" "/"))', b"Other Users/bob/Junk"),
        (b'(("INBOX." ".")) NIL (("#shared." ".")("shared." "."))', b"shared.list.Spam"),
        (b'(("" "/")) (("user" "/")) NIL', b"user/bob/Junk"),
        (b'(("" "/" "X-A" ("b"))) (("user/" "/" "TRANSLATION" ("Andere Ben&APw-tzer/"))) NIL', b"user/bob/Junk"),
    ],
    ids=["cyrus", "courier", "kerio", "translated"],
)
def test_folders_of_other_users_are_left_alone(spaces, foreign):
    """Spam is not moved to the junk folder of another user who shares it, and nothing is learned from that folder."""
    delimiter = b"." if b"." in spaces else b"/"
    lines = b"".join(b'* LIST () "%s" "%s"\r\n' % (delimiter, name) for name in (b"INBOX", foreign, b"userdata"))

    def answer(tag, command):
        if command.startswith(b"CAPABILITY"):
            return b"* CAPABILITY IMAP4rev1 NAMESPACE\r\n" + tag + b" OK done\r\n"
        reply = {b"LIST": lines, b"NAMESPACE": b"* NAMESPACE %s\r\n" % spaces}.get(command.split()[0], b"")
        return reply + well(tag, command)

    with connected(answer) as connection:
        listed = connection.folders()
    assert set(visited_folders(listed, account(), ignore_folders=())) == {"INBOX", "userdata"}
    assert junk_target(listed, account()) is None
    assert junk_target(listed, account(junk=foreign.decode())) == foreign.decode()


@pytest.mark.parametrize(
    "reply",
    [
        b" NO [UNAVAILABLE] later",
        b" OK done",
        *(b'* NAMESPACE (("" "/")) ' + one for one in (b"NIL", b'((7 3)(""))', b"((")),
    ],
)
def test_a_server_that_does_not_answer_namespace_is_used(reply):
    """Without an answer to NAMESPACE that can be read, all folders are those of the user."""

    def answer(tag, command):
        if command.startswith(b"CAPABILITY"):
            return b"* CAPABILITY IMAP4rev1 NAMESPACE\r\n" + tag + b" OK done\r\n"
        if command.startswith(b"NAMESPACE"):
            return reply + b"\r\n" + tag + b" OK done\r\n" if reply[:1] == b"*" else tag + reply + b"\r\n"
        return (b'* LIST () "/" "INBOX"\r\n' if command.startswith(b"LIST") else b"") + well(tag, command)

    with connected(answer) as connection:
        assert connection.folders() == [folder("INBOX")]


def test_a_bye_during_idle_ends_the_connection():
    """Exchange ends a connection after half an hour. The account then connects again."""

    def answer(tag, command):
        if command == b"IDLE":
            return b"+ idling\r\n* BYE Connection is closed. 13\r\n"
        return None if tag == b"DONE" else well(tag, command)

    with connected(answer) as connection:
        connection.select("INBOX", readonly=False)
        with pytest.raises(AccountUnavailableError):
            connection.idle(5, 0)
