"""The setting `check_seconds`: how an account waits for new mail if it also asks for new mail at an interval."""

import threading

import pytest
from imap_server import account, connected, well

from spamlstm.config import Config
from spamlstm.daemon.imap.account import ImapAccount
from spamlstm.daemon.imap.answers import AccountUnavailableError, CommandRefusedError
from spamlstm.daemon.imap.exchange import NEW, SELECTED

pytest.importorskip("imapclient")
LONG = 1000.0
"""Seconds for which no test waits."""
TOLD = b"* 4 EXISTS\r\n"


class Server:
    """The answers of a server that may have IDLE. `during_idle` is what it sends while the client idles.

    The answer to NOOP tells of new mail from the question `noops` on, counted from 1.
    """

    def __init__(self, *, has_idle: bool, during_idle: bytes = b"", noops: int = 1 << 30) -> None:
        self.has_idle, self.during_idle, self.noops = has_idle, during_idle, noops
        self.waits: list[bytes] = []
        self.at_idle = lambda: None
        self._idle_tag = b""

    def __call__(self, tag, command):
        if command.startswith(b"CAPABILITY") and not self.has_idle:
            return b"* CAPABILITY IMAP4rev1\r\n" + tag + b" OK done\r\n"
        if command == b"IDLE":
            self.waits.append(command)
            self._idle_tag = tag
            self.at_idle()
            return b"+ idling\r\n" + self.during_idle
        if tag == b"DONE":
            return self._idle_tag + b" OK done\r\n"
        if command == b"NOOP":
            self.waits.append(command)
            return (TOLD if self.waits.count(b"NOOP") >= self.noops else b"") + well(tag, command)
        return well(tag, command)


def waiting(seconds: float | None) -> ImapAccount:
    """Return an account with a value of `check_seconds`, whose thread does not run."""
    return ImapAccount(account(check_seconds=seconds), config=Config(), state=None, requests=None)


@pytest.mark.parametrize("has_idle", [True, False])
def test_new_mail_is_found_by_asking(has_idle):
    """New mail of which the server does not tell by itself is found at the next question. IDLE ends before each one."""
    server = Server(has_idle=has_idle, noops=3)
    with connected(server) as connection:
        connection.select("INBOX", readonly=False)
        assert waiting(0.1).wait(connection, LONG)
        assert connection.take_events() == {NEW, SELECTED}
    assert server.waits == [*([b"IDLE"] if has_idle else []), b"NOOP"] * 3


def test_what_the_server_tells_is_not_asked_for():
    """If the server tells of new mail during IDLE, the wait ends without a question, even if that one is far off."""
    server = Server(has_idle=True, during_idle=TOLD)
    with connected(server) as connection:
        connection.select("INBOX", readonly=False)
        assert waiting(300.0).wait(connection, LONG)
        assert connection.take_events() == {NEW, SELECTED}
    assert server.waits == [b"IDLE"]


@pytest.mark.parametrize("has_idle", [True, False])
def test_a_wait_without_changes_ends_in_time(has_idle):
    """Questions do not delay the renewal: a wait of no time asks once, and reports that nothing changed."""
    server = Server(has_idle=has_idle)
    with connected(server) as connection:
        connection.select("INBOX", readonly=False)
        connection.take_events()
        assert waiting(300.0).wait(connection, 0.0)
        assert connection.take_events() == set()
    assert server.waits == [*([b"IDLE"] if has_idle else []), b"NOOP"]


def test_words_without_a_change_do_not_end_a_wait():
    """A server that says during IDLE that it is still there is asked, and waited for again."""
    server = Server(has_idle=True, during_idle=b"* OK still here\r\n", noops=2)
    with connected(server) as connection:
        connection.select("INBOX", readonly=False)
        assert waiting(300.0).wait(connection, LONG)
        assert NEW in connection.take_events()
    assert server.waits == [b"IDLE", b"NOOP"] * 2


@pytest.mark.parametrize("seconds", [None, 0.1, 300.0])
def test_a_stop_ends_a_wait_without_a_question(seconds):
    """The end of the daemon does not wait for the next question, and asks none."""
    server, one = Server(has_idle=True), waiting(seconds)
    server.at_idle = one.stop
    with connected(server) as connection:
        connection.select("INBOX", readonly=False)
        one.wait(connection, LONG)
    assert server.waits == [b"IDLE"]


def test_a_stop_ends_a_wait_for_a_server_without_idle():
    """The end of the daemon ends the pause before the next question too."""
    server, one = Server(has_idle=False), waiting(300.0)
    with connected(server) as connection:
        connection.select("INBOX", readonly=False)
        threading.Timer(0.0, one.stop).start()
        one.wait(connection, LONG)
    assert server.waits == []


@pytest.mark.parametrize("seconds", [0.1, 300.0])
def test_a_bye_ends_the_connection(seconds):
    """A server that ends the connection while the account waits is left, so that the account connects again."""
    server = Server(has_idle=True, during_idle=b"* BYE Connection is closed. 13\r\n")
    answer = lambda tag, command: None if tag == b"DONE" else server(tag, command)  # noqa: E731
    with connected(answer) as connection:
        connection.select("INBOX", readonly=False)
        with pytest.raises(AccountUnavailableError):
            waiting(seconds).wait(connection, LONG)


def test_other_lines_in_an_answer_are_passed_over():
    """A notice that cannot be parsed, or a response with a literal, does not hide the new mail in the same answer."""
    server = Server(has_idle=True, noops=1)
    notices = b'* BAD wait (or "not\r\n* OK [ALERT] "hi\r\n* LIST () "/" {3}\r\nabc\r\n'
    answer = lambda tag, command: (notices if command == b"NOOP" else b"") + server(tag, command)  # noqa: E731
    with connected(answer) as connection:
        connection.select("INBOX", readonly=False)
        assert waiting(0.1).wait(connection, LONG)
        assert NEW in connection.take_events()


def test_a_bye_in_place_of_an_answer_ends_the_connection():
    """A server that says BYE to a question, and does not close, is not waited for."""
    server = Server(has_idle=True)
    answer = lambda tag, command: b"* BYE busy\r\n" if command == b"NOOP" else server(tag, command)  # noqa: E731
    with connected(answer) as connection:
        connection.select("INBOX", readonly=False)
        with pytest.raises(AccountUnavailableError, match="closed the connection"):
            waiting(0.1).wait(connection, LONG)


@pytest.mark.parametrize("word", [b"NO [LIMIT]", b"BAD"])
def test_a_refused_question_names_the_setting(word):
    """A server that refuses so many questions is left for a while, and the reason names the setting that asks."""
    server = Server(has_idle=True)
    refusing = lambda tag, command: tag + b" " + word + b" stop\r\n" if command == b"NOOP" else server(tag, command)  # noqa: E731
    code = " (LIMIT)" if b"LIMIT" in word else ""
    with connected(refusing) as connection:
        connection.select("INBOX", readonly=False)
        with pytest.raises(CommandRefusedError) as caught:
            waiting(0.1).wait(connection, LONG)
    assert str(caught.value) == (
        f"the server refused a command{code} that asks for new mail; set a larger check_seconds, or remove this setting"
    )


def test_a_server_without_idle_that_closes_is_left():
    """A connection that the server closes is noticed at the next question at the latest."""
    with connected(lambda tag, command: None if command == b"NOOP" else Server(has_idle=False)(tag, command)) as one:
        one.select("INBOX", readonly=False)
        with pytest.raises(AccountUnavailableError):
            waiting(0.1).wait(one, LONG)
