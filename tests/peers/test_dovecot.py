"""A real Dovecot on the Maildir that we watch: while mail arrives, clients read, flag and move it.

Each message is there once, for the client and on disk; headers and bodies are right; what we do not touch keeps its
UID; and Dovecot has nothing to complain of. `DELIVERIES=2001 pytest -m peers tests/peers` does more of it.
"""

import contextlib
import email
import re
import shutil
import signal
import threading
import time
from collections import Counter
from email import policy

import pytest
from dovecot import running
from watching import DELIVERIES, deliver, message, number_of, numbers, until, watching

from spamlstm.daemon.control_socket import ask
from spamlstm.learning.label_store import LabelStore
from spamlstm.maildir.headers import untag

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(shutil.which("dovecot") is None, reason="dovecot is not installed here"),
]

UID = re.compile(rb"UID (\d+)")


@pytest.fixture
def dovecot():
    with running() as server:
        yield server


@pytest.fixture
def daemon(dovecot, tiny, tmp_path):
    """Our side, ready."""
    with watching(dovecot.maildir, model=tiny, folder=tmp_path) as ours:
        yield ours


@pytest.fixture
def learned(daemon, tmp_path):
    """Let the daemon look at all folders now; gives the labels that there are then, by the marks of the messages."""
    state = tmp_path / "spamlstm"

    def look():
        before = ask(state)["learning"]["rounds"]
        daemon.process.send_signal(signal.SIGHUP)
        until(lambda: ask(state)["learning"]["rounds"] > before)
        labels = LabelStore.find(state)
        if labels is None:
            return {}
        with contextlib.closing(labels):
            said = {one.id: str(one.label) for one in labels.last()}
            examples = list(labels.examples(after=0, most_bytes=1000))
        return {number_of(one.raw): said[one.id] for one in examples}

    until(lambda: ask(state)["learning"]["rounds"])
    return look


def deliver_to(server, number, folder=""):
    """For the owner of the mail."""
    deliver(server.maildir / folder, number, owner=(server.uid, server.gid))


class Client(threading.Thread):
    """A mail program that does one thing over and over until told to stop, and then once more."""

    def __init__(self, server, act):
        super().__init__(daemon=True)
        self.server, self.act, self.over, self.error = server, act, threading.Event(), None
        self.uids, self.read = {}, set()

    def run(self):
        try:
            with self.server.session() as session:
                last = False
                while not last:
                    last = self.over.is_set()
                    session.select("INBOX")
                    self.act(self, session)
        except Exception as error:  # noqa: BLE001  shown by the test
            self.error = error


def marks(session):
    """UID and mark of each message in the folder that is selected, by reading its headers."""
    _, answer = session.uid("FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (X-Mark)])")
    found = {}
    for part in answer:
        if isinstance(part, tuple) and (mark := re.search(rb"X-Mark: (\d+)", part[1])):
            found[int(UID.search(part[0])[1])] = int(mark[1])
    return found


def read_and_flag(client, session):
    """Reads each message whole, once, and answers some."""
    for uid, mark in marks(session).items():
        if mark % 3 == 0:
            assert client.uids.setdefault(mark, uid) == uid, "a message that we do not touch has another UID"
        if uid in client.read:
            continue
        client.read.add(uid)
        _, answer = session.uid("FETCH", str(uid), "(BODY[])")
        raws = bodies(answer)
        if raws:  # else it was moved or rewritten since the listing
            assert untag(raws[0]) == message(mark), "a reader got other bytes"
            session.uid("STORE", str(uid), "+FLAGS", r"(\Answered)" if mark % 2 else r"(\Flagged)")


def bodies(answer):
    """The literals in an answer, between which the server may tell of other things."""
    return [part[1] for part in answer if isinstance(part, tuple)]


def move(client, session):
    """Takes messages of every kind away, at any moment: before, while and after we act on them."""
    wanted = [str(uid) for uid, mark in marks(session).items() if mark % 4 == 3]
    if wanted:
        session.uid("MOVE", ",".join(wanted), "Archive")
    time.sleep(0.05)


@pytest.mark.timeout(240 + DELIVERIES)
def test_a_reader_and_a_mover_during_deliveries(dovecot, daemon):
    """Nobody loses a message, sees it twice or gets another's bytes."""
    clients = [Client(dovecot, read_and_flag), Client(dovecot, move)]
    for client in clients:
        client.start()
    for number in range(DELIVERIES):
        deliver_to(dovecot, number)
        time.sleep(0.005)
    until(lambda: not [number for number in numbers(dovecot.maildir) if number % 3 == 1], seconds=120 + DELIVERIES / 10)
    for client in clients:
        client.over.set()
        client.join(60)
        assert client.error is None
        assert not client.is_alive()
    # What a listing missed, ours or that of this test, as a client renamed it at that moment, the next scan finds.
    until(lambda: not [number for number in numbers(dovecot.maildir) if number % 3 == 1])
    with dovecot.session() as session:
        found = {folder: contents(session, folder) for folder in ("INBOX", "Junk", "Archive")}
    everywhere = Counter(mark for inside in found.values() for mark, _ in inside)
    assert everywhere == Counter(range(DELIVERIES))
    assert {mark % 3 for mark, _ in found["INBOX"]} == {0, 2}
    assert {mark % 3 for mark, _ in found["Junk"]} == {1}
    assert {mark % 4 for mark, _ in found["Archive"]} == {3}
    assert {mark % 3 for mark, _ in found["Archive"]} >= {0, 2}
    wrong = [mark for inside in found.values() for mark, raw in inside if untag(raw) != message(mark)]
    assert wrong == []
    assert all(headers_are_right(mark, raw) for mark, raw in found["Junk"])
    assert dovecot.complaints() == []
    assert daemon.failures() == []


MOVES = pytest.mark.parametrize("how", ["MOVE", "COPY"])


def moved(session, folder, mark, target, how):
    """A client moves one message: by MOVE, or by COPY, a mark and EXPUNGE."""
    session.select(folder)
    (uid,) = [uid for uid, one in marks(session).items() if one == mark]
    assert session.uid(how, str(uid), target)[0] == "OK"
    if how == "COPY":
        session.uid("STORE", str(uid), "+FLAGS", r"(\Deleted)")
        session.expunge()
    session.select("INBOX")  # and no longer that folder


@pytest.mark.timeout(240)
@MOVES
def test_a_client_moves_and_we_learn(dovecot, daemon, learned, how):
    """Into the junk folder is spam, out of it ham, within one look; what is taken out is not filed again.

    Message 1 is spam that we file, 0 ham, 2 unsure; 4 is spam that a rule of sieve's puts into the junk folder itself.
    """
    for number in range(3):
        deliver_to(dovecot, number)
    until(lambda: numbers(dovecot.maildir / ".Junk") == [1] and sorted(numbers(dovecot.maildir)) == [0, 2])
    deliver_to(dovecot, 4, ".Junk")
    assert learned() == {4: "spam"}
    with dovecot.session() as session:
        moved(session, "INBOX", 2, "Junk", how)
        assert learned() == {4: "spam", 2: "spam"}
        moved(session, "Junk", 1, "INBOX", how)
        moved(session, "Junk", 4, "INBOX", how)
        assert learned() == {4: "ham", 2: "spam", 1: "ham"}
        moved(session, "Junk", 2, "Archive", how)
        assert learned() == {4: "ham", 2: "ham", 1: "ham"}
        moved(session, "INBOX", 0, "Trash", how)
        deliver_to(dovecot, 6)  # behind it all that came before was looked at
        until(lambda: 6 in numbers(dovecot.maildir))
        assert learned() == {4: "ham", 2: "ham", 1: "ham"}
        session.select("INBOX")
        assert sorted(marks(session).values()) == [1, 4, 6]
    assert numbers(dovecot.maildir / ".Junk") == []
    assert daemon.failures() == []
    assert dovecot.complaints() == []


def contents(session, folder):
    """Mark and bytes of each message in a folder, as the server gives them."""
    session.select(folder, readonly=True)
    _, answer = session.uid("FETCH", "1:*", "(BODY.PEEK[])")
    return [(number_of(raw), raw) for raw in bodies(answer)]


def headers_are_right(mark, raw):
    """What was tagged says so; what a reader had taken to cur before is filed as it is."""
    told = email.message_from_bytes(raw, policy=policy.default)
    return told["X-Spam-Flag"] in ("YES", None) and told["X-Mark"] == str(mark)
