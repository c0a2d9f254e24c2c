"""A reload or a stop while the thread of an IMAP account works."""

import contextlib
import itertools
import shutil
import threading
import time
from collections import Counter
from dataclasses import replace

import pytest
from imap_account import CuttingProxy, account_of, shown_by
from listening import PATIENCE, listening
from watching import until

from spamlstm.config import Config, DaemonConfig
from spamlstm.daemon.imap import account as account_module
from spamlstm.daemon.imap.accounts import Accounts
from spamlstm.daemon.imap.connection import ImapConnection
from spamlstm.daemon.imap.credentials import COMMAND_TIMEOUT
from spamlstm.daemon.listeners.judging import Judging
from spamlstm.model.classifier import Classifier

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(shutil.which("dovecot") is None, reason="dovecot is not installed here"),
]
# The commands of one connection from its greeting to IDLE, with mail that is classified and moved.
COMMANDS = 19


class Reloads:
    """The work of a daemon's loop that reloads the configuration `after`, if any, before it gives answers."""

    def __init__(self) -> None:
        self.accounts: Accounts | None = None
        self.after: Config | None = None
        self.seconds = 0.0

    def __call__(self, requests: Judging) -> None:
        after, self.after = self.after, None
        if after is not None:
            began = time.monotonic()
            self.accounts.reconfigure(after)
            self.seconds = time.monotonic() - began
        requests.work()


@contextlib.contextmanager
def accounts_of(state, model, config, loop):
    """Serve the accounts of a configuration. `loop` answers their requests."""
    state.mkdir(mode=0o700)
    classifier = Classifier.open(model, config=config, personal_features=True)
    with listening(state, classifier, config, work=loop) as one:
        loop.accounts = Accounts(one.requests, state=state)
        loop.accounts.reconfigure(config)
        try:
            yield loop.accounts, one
        finally:
            loop.accounts.close()


@pytest.fixture
def connections(monkeypatch):
    """The changes of the number of connections to servers."""
    changes = []

    class Counted(ImapConnection):
        @classmethod
        def open(cls, account, secret):
            opened = super().open(account, secret)
            changes.append(1)
            return opened

        def close(self):
            changes.append(-1)
            super().close()

    monkeypatch.setattr(account_module, "ImapConnection", Counted)
    return changes


def most_at_once(changes):
    return max(sum(changes[:end]) for end in range(len(changes) + 1))


def tally_of(accounts):
    return next(iter(accounts.snapshot().values()))


def test_a_reload_gives_the_judgements_for_which_an_account_waits(server, tiny, tmp_path, connections):
    """A reload does not wait for the thread, which waits for the loop. The account has one connection at a time."""
    loop, config = Reloads(), Config(accounts=(account_of(server.port),))
    with accounts_of(tmp_path / "state", tiny, config, loop) as (accounts, one):
        until(lambda: tally_of(accounts)["visits"])
        for number in range(12):
            if number % 4 == 3:
                loop.after = replace(config, daemon=DaemonConfig(scan_seconds=20.0 + number))
            server.deliver(number)
            until(lambda: loop.after is None)
            assert loop.seconds < 4.0
        until(lambda: shown_by(server)["Junk"] == [1, 4, 7, 10])
        until(lambda: tally_of(accounts)["visits"])
        assert Counter(shown_by(server)["INBOX"]) == Counter(number for number in range(12) if number % 3 != 1)
        assert most_at_once(connections) == 1
        assert not (one.state / "labels.sqlite").exists()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", ["reload", "restart"])
def test_a_reload_or_a_restart_at_any_command(server, tiny, tmp_path, connections, how):
    """Each spam is in junk once, all other mail in the inbox, and nothing is taken for a move of the user."""
    with CuttingProxy(server.port, only_calls=True) as proxy:
        configs = itertools.cycle(
            Config(accounts=(account_of(proxy.port),), daemon=DaemonConfig(scan_seconds=one)) for one in (30.0, 31.0)
        )
        with accounts_of(tmp_path / "state", tiny, next(configs), Reloads()) as (accounts, one):
            until(lambda: tally_of(accounts)["visits"])
            reached = threading.Event()
            for commands in range(1, COMMANDS + 1):
                accounts.close()
                for number in range(3 * commands - 3, 3 * commands):
                    server.deliver(number)
                reached.clear()
                proxy.cut, proxy.before = reached.set, bool(commands % 2)
                proxy.cut_after(commands)
                accounts.reconfigure(next(configs))
                assert reached.wait(PATIENCE)
                if how == "restart":
                    accounts.close()
                accounts.reconfigure(next(configs))
                until(lambda spam=list(range(1, 3 * commands, 3)): shown_by(server)["Junk"] == spam)
            until(lambda: tally_of(accounts)["visits"])
            found = shown_by(server)
            assert Counter(found["INBOX"] + found["Junk"]) == Counter(range(3 * COMMANDS))
            assert most_at_once(connections) == 1
            assert not (one.state / "labels.sqlite").exists()
        assert server.complaints() == []


def test_an_account_that_is_removed_while_it_works(server, tiny, tmp_path, connections):
    """It ends, and the mail that it did not handle is classified when it is in the configuration again."""
    loop, config = Reloads(), Config(accounts=(account_of(server.port),))
    with accounts_of(tmp_path / "state", tiny, config, loop) as (accounts, one):
        until(lambda: tally_of(accounts)["visits"])
        loop.after = Config()
        server.deliver(1)
        until(lambda: connections and not sum(connections))
        assert accounts.snapshot() == {}
        server.deliver(4)
        loop.after = None
        accounts.reconfigure(config)
        until(lambda: shown_by(server)["Junk"] == [1, 4])
        assert most_at_once(connections) == 1
        assert not (one.state / "labels.sqlite").exists()


def test_a_reload_ends_a_password_command_that_waits(server, tiny, tmp_path):
    """The account connects with the new command at once, and not when the former one has taken too long."""
    waiting = account_of(server.port, password_command=("sh", "-c", f"touch {tmp_path}/asked; sleep 50"))
    with accounts_of(tmp_path / "state", tiny, Config(accounts=(waiting,)), Reloads()) as (accounts, _):
        until((tmp_path / "asked").exists)
        began = time.monotonic()
        accounts.reconfigure(Config(accounts=(account_of(server.port),)))
        until(lambda: tally_of(accounts)["visits"])
        assert time.monotonic() - began < COMMAND_TIMEOUT / 2
