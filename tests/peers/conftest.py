"""A small model for the daemon in tests with other programs, and a daemon on the mailbox of a real Dovecot."""

import contextlib
import signal

import pytest
from dovecot import running
from watching import number_of, until, watching

from spamlstm.daemon.server import ask
from spamlstm.learning.label_store import LabelStore


@pytest.fixture
def dovecot():
    with running() as server:
        yield server


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
            labels = LabelStore.find(state)
            if labels is None:
                return {}
            with contextlib.closing(labels):
                labels_by_id = {one.id: str(one.label) for one in labels.last()}
                examples = list(labels.examples(after=0, most_bytes=1000))
            return {number_of(one.raw): labels_by_id[one.id] for one in examples}

        until(lambda: ask(state)["learning"]["rounds"])
        return visit

    return of


@pytest.fixture
def visited(daemon, visits):
    """Make the daemon visit all folders; return the labels by the marks of the messages."""
    return visits(daemon)
