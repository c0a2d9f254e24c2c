"""An IMAP account of a real Dovecot that a thread of this process serves, as the daemon does."""

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from dovecot import Dovecot
from listening import Listening, listening
from watching import labels_by_mark, number_of, on_disk, until

from spamlstm.config import Config, ImapConfig, TlsMode
from spamlstm.daemon.imap.account import Delays, ImapAccount
from spamlstm.model.classifier import Classifier

SPECIAL = """
namespace inbox {
  mailbox Junk {
    special_use = \\Junk
  }
}
"""


def account_toml(port, *, name=""):
    """Return the configuration file of a daemon or a command that uses the account."""
    named = f'name = "{name}"' if name else ""
    return f"""
[[imap]]
{named}
host = "127.0.0.1"
port = {port}
tls = "none"
user = "ann"
password_command = "printf secret"
"""


# Reconnects at once, so that a test need not wait.
QUICK = Delays(first=0.02, refused=0.02, longest=0.1)


@dataclass
class Served:
    """A running account, and the loop that answers its requests."""

    server: Dovecot
    loop: Listening
    config: Config
    account: ImapConfig
    thread: ImapAccount

    @property
    def tally(self):
        return self.thread.tally

    def labels(self) -> dict[int, str]:
        """Return the labels by the marks of the messages."""
        return labels_by_mark(self.loop.state)

    def places(self) -> dict[str, list[int]]:
        """Return the marks of the messages in each folder."""
        folders = {"INBOX": "", "Junk": ".Junk", "Archive": ".Archive"}
        return {name: sorted(map(number_of, on_disk(self.server.maildir / path))) for name, path in folders.items()}

    def visited(self) -> None:
        """Connect again, and wait until all folders were visited."""
        before = self.tally.visits
        self.reconnect()
        until(lambda: self.tally.visits > before)

    def reconnect(self) -> None:
        """End the connection, so that the account connects again."""
        connection = self.thread._connection
        if connection is not None:
            connection.shut()


def account_of(port: int, **settings: object) -> ImapConfig:
    """Return the account of the user `ann` of a server on this machine."""
    given = {"port": port, "tls": TlsMode.NONE, "password_command": ("printf", "secret"), **settings}
    return ImapConfig("127.0.0.1", "ann", **given)


@contextlib.contextmanager
def served(
    server: Dovecot,
    state: Path,
    model: Path,
    *,
    port: int | None = None,
    config: Config | None = None,
    **settings: object,
) -> Iterator[Served]:
    """Serve the account of a server by `port` until the end of the block, after the first visit."""
    account = account_of(port or server.port, **settings)
    config = replace(config or Config(), accounts=(account,))
    state.mkdir(mode=0o700, exist_ok=True)
    classifier = Classifier.open(model, config=config, personal_features=True)
    with listening(state, classifier, config) as loop:
        thread = ImapAccount(account, config=config, state=state, requests=loop.requests, delays=QUICK)
        thread.start()
        try:
            until(lambda: thread.tally.visits)
            yield Served(server, loop, config, account, thread)
        finally:
            thread.stop()
            assert thread.join(60), "the thread of the account has not ended"
    assert not thread.tally.failed["bug"], "see the log"


@dataclass
class CuttingProxy:
    """A proxy that cuts the connections of a client after a number of its commands. It is a context manager.

    `at` says after how many commands, counted over all connections, or is None. If `before`, the last command does not
    reach the server. `cut` is called at that moment. If `only_calls`, the connection goes on afterwards.
    """

    target: int
    at: int | None = None
    before: bool = False
    only_calls: bool = False
    cut: Callable[[], None] = lambda: None
    commands: list[bytes] = field(default_factory=list)
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    def __post_init__(self) -> None:
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return self.listener.getsockname()[1]

    def cut_after(self, commands: int) -> None:
        """Cut the connection after some commands from now."""
        self.at = len(self.commands) + commands

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self.listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self.target))
                threading.Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        with client, server:
            back = threading.Thread(target=self._return, args=(server, client), daemon=True)
            back.start()
            with contextlib.suppress(OSError):
                while (block := client.recv(1 << 16)) and self._forward(block, server):
                    pass
            for one in (client, server):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            back.join()

    def _forward(self, block: bytes, server: socket.socket) -> bool:
        """Send a block of the client to the server. Return False after a cut."""
        lines = [line for line in block.splitlines() if line]
        before, self.commands = len(self.commands), [*self.commands, *lines]
        if self.at is None or not before < self.at <= len(self.commands):
            server.sendall(block)
            return True
        if not self.before:
            server.sendall(block)
            time.sleep(0.001)  # sometimes the server has answered, sometimes not
        self.cut()
        if self.only_calls and self.before:
            server.sendall(block)
        return self.only_calls

    def _return(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while block := server.recv(1 << 16):
                client.sendall(self.answer(block))
            client.shutdown(socket.SHUT_RDWR)

    def answer(self, block: bytes) -> bytes:
        """Return what the client gets of a block of the server."""
        return block


def shown_by(server: Dovecot) -> dict[str, list[int]]:
    """Return the marks of the messages that the server shows in each folder, without those flagged as deleted."""
    found = {}
    with server.session() as session:
        for name in ("INBOX", "Junk", "Archive"):
            session.select(name, readonly=True)
            answer = session.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[HEADER])")[1]
            parts = [one for one in answer if isinstance(one, tuple) and b"Deleted" not in one[0]]
            found[name] = sorted(number_of(header) for _, header in parts)
    return found


def cut_again_and_again(account: Served, proxy: CuttingProxy, over: threading.Event, *, longest: float) -> None:
    """End the connection of an account after some commands, at most `longest` seconds after the last time."""
    while not over.wait(random.uniform(0.3, longest)):
        proxy.before = random.random() < 0.5
        proxy.cut_after(random.randint(1, 12))
        if account.thread.tally.state == "failed":
            over.wait(0.2)
