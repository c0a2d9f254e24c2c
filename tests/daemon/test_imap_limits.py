"""Limits of a connection to an IMAP server: time, patience and bytes, and the buffer of received bytes."""

import contextlib
import imaplib
import itertools
import os
import shutil
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from imap_server import account, connected, fetching, serving, well

from spamlstm.config import Config
from spamlstm.daemon.imap import allowance
from spamlstm.daemon.imap.account import Delays, ImapAccount
from spamlstm.daemon.imap.answers import AccountUnavailableError, explained
from spamlstm.daemon.imap.connection import ImapConnection
from spamlstm.daemon.imap.exchange import NEW
from spamlstm.maildir.owner import Owner

pytest.importorskip("imapclient")


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
    """However a library reads from the socket, bytes and time are counted."""
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


class SlowServer:
    """A server that takes this long for each answer of some bytes, and the clock and allowance of its client."""

    def __init__(self, seconds, count=100):
        self.seconds, self.count, self.now = seconds, count, 0.0
        self.allowance = allowance.Allowance(clock=lambda: self.now)

    def answer(self, commands):
        """Answer commands. Return the number of those that were answered before the client left."""
        for number in range(commands):
            self.allowance.renew(self.count)
            began, limit = self.allowance.begin()
            self.now += min(self.seconds, limit)
            try:
                self.allowance.end(began)
            except allowance.PatienceError:
                return number
            self.allowance.spend(self.count)
        return commands


def test_many_slow_answers_do_not_last_for_hours():
    """A server that answers each command just in time is left after half an hour, and after a pause anew."""
    server = SlowServer(allowance.COMMAND_SECONDS - 1)
    for _ in range(2):
        began = server.now
        assert server.answer(1000) == 15
        assert server.now - began == pytest.approx(allowance.PATIENCE_SECONDS, rel=0.05)
        server.allowance.pause()


def test_a_server_may_answer_any_number_of_commands():
    """A server of usual speed is never left, and neither is a slow line that brings large messages."""
    assert SlowServer(1.9).answer(100_000) == 100_000
    size = 1 << 20
    assert SlowServer(size / allowance.BYTES_PER_SECOND, size).answer(1000) == 1000


def test_a_slow_server_is_reported_and_tried_again_later(monkeypatch, tmp_path):
    """The status says that the work was interrupted; the next attempt comes after the longest delay."""
    monkeypatch.setattr(allowance, "PATIENCE_SECONDS", 0.0)
    with serving(well) as port:
        tried = ImapAccount(
            account(port, password_command=("echo", "secret")), config=Config(), state=tmp_path / "s", requests=None
        )
        assert tried._attempt() == Delays().longest
    assert (tried.tally.state, "takes too long for its answers" in tried.tally.error) == ("failed", True)


def test_nothing_depends_on_how_imaplib_buffers(monkeypatch):
    """The file from which imaplib reads up to Python 3.13 is not used, as later versions have none."""

    def missing(_imap):
        raise AssertionError

    monkeypatch.setattr(imaplib.IMAP4, "file", property(missing), raising=False)
    with connected(fetching(b"* 1 FETCH (UID 4 BODY[] {5}\r\nhello)\r\n")) as connection:
        connection.select("INBOX", readonly=False)
        assert connection.bodies({4: 5}) == {4: b"hello"}
        connection.wait(0.0, 0)


def with_more(tag, command):
    """Answer to NOOP with more than the answer."""
    return (well(tag, command) or b"") + (b"* 4 EXISTS\r\n" if command == b"NOOP" else b"")


def test_bytes_in_the_buffer_end_a_wait():
    """A change that arrived together with an answer is not waited for: the socket would not report it again."""
    wake = os.eventfd(0)
    with connected(with_more) as connection:
        connection.select("INBOX", readonly=False)
        connection.check()
        connection.wait(1000.0, wake)
        connection.check()
        assert NEW in connection.take_events()
    os.close(wake)


def test_what_came_before_the_encryption_is_forgotten():
    """Bytes that somebody added behind the answer to STARTTLS are not read as bytes of the encrypted connection."""
    with connected(with_more) as connection:
        connection.check()
        assert connection._imap.has_received()
        ours, theirs = socket.socketpair()
        with contextlib.closing(connection._imap.sock), theirs:
            connection._imap.sock = ours  # as STARTTLS does
            theirs.sendall(b"* OK encrypted\r\n")
            assert connection._imap.readline() == b"* OK encrypted\r\n"


def test_a_server_without_tls_says_what_to_check():
    """If the server answers without TLS, the sentence names the two settings that can be wrong."""
    ours, theirs = socket.socketpair()
    context = allowance.tls_context(allowance.Allowance())
    with ours, theirs:
        theirs.sendall(b"* OK ready\r\n")
        with pytest.raises(AccountUnavailableError, match="TLS there; check port and tls"), explained("x port 143"):
            context.wrap_socket(ours, server_hostname="x")


def test_certificates_are_verified():
    """The default context checks the certificate and the name of the host."""
    context = allowance.tls_context(allowance.Allowance())
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
@pytest.mark.skipif(ssl.get_default_verify_paths().cafile is None, reason="this machine has no list of certificates")
def test_certificates_that_only_root_may_read(monkeypatch, tmp_path):
    """The list of certificates is read as root, even while the main thread acts as the owner of a Maildir."""
    shutil.copy(ssl.get_default_verify_paths().cafile, tmp_path / "ca.pem")
    tmp_path.chmod(0o700)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    with ThreadPoolExecutor(1) as threads:
        with Owner(20_001, 20_001, by_root=True).acting():
            context = threads.submit(allowance.tls_context, allowance.Allowance())
            wait([context], timeout=0.5)
        assert context.result(60).get_ca_certs()
