"""Several IMAP accounts on real Dovecots, one of which is asked for new mail with `check_seconds`."""

import contextlib
import shutil
from dataclasses import dataclass

import pytest
from dovecot import running
from imap_account import SPECIAL, CuttingProxy, account_of
from listening import listening
from watching import number_of, on_disk, until

from spamlstm.config import Config
from spamlstm.daemon.imap import account as account_module
from spamlstm.daemon.imap import accounts as accounts_module
from spamlstm.daemon.imap.account import ImapAccount
from spamlstm.daemon.imap.accounts import Accounts
from spamlstm.model.classifier import Classifier

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(shutil.which("dovecot") is None, reason="dovecot is not installed here"),
]


@dataclass
class Silenced(CuttingProxy):
    """A proxy of a server that stops answering, but keeps its connections."""

    is_silent: bool = False
    kept: bytes = b""

    def answer(self, block):
        if not self.is_silent:
            return block
        self.kept += block
        return b""


@dataclass
class Box:
    """A server, the proxy before it, and its account."""

    server: object
    proxy: Silenced
    name: str

    def receive_spam(self, number):
        self.server.deliver(3 * number + 1)

    def junk(self):
        return sorted(number_of(one) // 3 for one in on_disk(self.server.maildir / ".Junk"))


@pytest.fixture
def boxes():
    """Two mailboxes, each of a server of its own: `asked` and `told`."""
    with contextlib.ExitStack() as stack:
        found = []
        for name in ("asked", "told"):
            server = stack.enter_context(running(SPECIAL))
            found.append(Box(server, stack.enter_context(Silenced(server.port)), name))
        yield found
        for one in found:
            assert one.server.complaints() == []


@pytest.fixture
def accounts(boxes, tiny, tmp_path):
    """The running accounts after their first visits. Only the first has `check_seconds`."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    asked, told = boxes
    config = Config(
        accounts=(
            account_of(asked.proxy.port, name=asked.name, check_seconds=0.2),
            account_of(told.proxy.port, name=told.name),
        )
    )
    classifier = Classifier.open(tiny, config=config, personal_features=True)
    with listening(state, classifier, config) as loop, contextlib.closing(Accounts(loop.requests, state=state)) as one:
        one.reconfigure(config)
        until(lambda: all(shown["visits"] for shown in one.snapshot().values()))
        yield one
        assert not any(shown["failed"] for shown in one.snapshot().values())


def noops(box):
    return sum(one.endswith(b"NOOP") for one in box.proxy.commands)


def test_only_one_account_is_asked(boxes, accounts):
    """Both accounts are filtered. Only the server of the account with `check_seconds` gets questions."""
    asked, told = boxes
    for number in range(3):
        for one in boxes:
            one.receive_spam(number)
        until(lambda number=number: asked.junk() == told.junk() == list(range(number + 1)))
    until(lambda: noops(asked) > 3)
    assert noops(told) == 0
    assert {shown["connections"] for shown in accounts.snapshot().values()} == {1}


@pytest.mark.parametrize("silent", [0, 1])
def test_a_server_that_stops_answering_does_not_slow_the_other(boxes, accounts, silent):
    """While one server keeps its client waiting, with or without questions, the other account is served as before."""
    silenced, other = boxes[silent], boxes[1 - silent]
    silenced.proxy.is_silent = True
    silenced.receive_spam(0)
    until(lambda: silenced.proxy.kept)  # an answer to a question, or a report of the new message
    for number in range(3):
        other.receive_spam(number)
        until(lambda number=number: other.junk() == list(range(number + 1)), 20)
    assert silenced.junk() == []
    assert accounts.snapshot()[other.name]["state"] == "connected"


def test_a_stop_while_servers_are_asked(boxes, accounts, monkeypatch):
    """The threads end by themselves between two questions, so no connection has to be cut."""
    asked, _ = boxes
    cut = []

    def shut(account):
        cut.append(account)

    monkeypatch.setattr(ImapAccount, "shut", shut)
    # A slow machine may need longer than the daemon would wait.
    monkeypatch.setattr(accounts_module, "STOP_SECONDS", 60.0)
    monkeypatch.setattr(account_module, "STEP_SECONDS", 60.0)
    before = noops(asked)
    until(lambda: noops(asked) > before)
    accounts.close()
    assert accounts._ending == cut == []


def test_a_stop_while_a_question_has_no_answer(boxes, accounts):
    """A server that does not answer delays the stop by some seconds at most."""
    asked, _ = boxes
    asked.proxy.is_silent = True
    until(lambda: asked.proxy.kept)
    accounts.close()
    assert accounts._ending == []
