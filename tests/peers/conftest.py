"""A small model for the daemon in tests with other programs, and a daemon on the mailbox of a real Dovecot."""

import signal

import pytest
from dovecot import running
from imap_account import SPECIAL
from watching import labels_by_mark, until, watching

from spamlstm.daemon.server import ask


@pytest.fixture
def dovecot():
    with running() as server:
        yield server


@pytest.fixture
def server():
    """A server whose junk folder is marked as such, for IMAP accounts."""
    with running(SPECIAL) as one:
        yield one


@pytest.fixture
def daemon(dovecot, tiny, tmp_path):
    """Our daemon, ready."""
    with watching(dovecot.maildir, model=tiny, folder=tmp_path) as ours:
        yield ours


@pytest.fixture
def visits(tmp_path):
    """Return a function that makes a daemon visit all folders; it returns the labels by the marks of the messages."""
    state = tmp_path / "spamlstm"

    def of(daemon):
        def visit():
            before = ask(state)["learning"]["rounds"]
            daemon.process.send_signal(signal.SIGHUP)
            until(lambda: ask(state)["learning"]["rounds"] > before)
            return labels_by_mark(state)

        until(lambda: ask(state)["learning"]["rounds"])
        return visit

    return of


@pytest.fixture
def visited(daemon, visits):
    """Make the daemon visit all folders; return the labels by the marks of the messages."""
    return visits(daemon)
