"""A real Dovecot on a watched Maildir: clients read, flag and move mail while it arrives and is filed.

Each message exists once, for clients and on disk, with correct headers and body; messages that we do not touch keep
their UID; and Dovecot logs no warning. `DELIVERIES=2001 pytest -m peers tests/peers` runs more deliveries.
"""

import email
import shutil
import signal
import threading
import time
from collections import Counter
from email import policy

import pytest
from clients import WAYS, bodies, marks, moved
from compressed import needs_lz4
from dovecot import COMPRESSED, running
from tiny_bundle import SPAM
from watching import DELIVERIES, message, number_of, numbers, until, watching

from spamlstm.maildir.headers import untag
from spamlstm.maildir.junk_folder import create_folder
from spamlstm.maildir.opened import OpenMaildir

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(shutil.which("dovecot") is None, reason="dovecot is not installed here"),
]

CR = b"\r"


class Client(threading.Thread):
    """A mail program that repeats one act until `over` is set, and then does it once more."""

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


def read_and_flag(client, session):
    """Read each message once, and flag it as answered or flagged."""
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


def move(client, session):
    """Move messages of each verdict to Archive: before, while and after we act on them."""
    wanted = [str(uid) for uid, mark in marks(session).items() if mark % 4 == 3]
    if wanted:
        session.uid("MOVE", ",".join(wanted), "Archive")
    time.sleep(0.05)


@pytest.mark.timeout(240 + DELIVERIES)
def test_a_reader_and_a_mover_during_deliveries(dovecot, daemon):
    """No message is lost or doubled, and readers get the right bytes."""
    clients = [Client(dovecot, read_and_flag), Client(dovecot, move)]
    for client in clients:
        client.start()
    for number in range(DELIVERIES):
        dovecot.deliver(number)
        time.sleep(0.005)
    until(lambda: not [number for number in numbers(dovecot.maildir) if number % 3 == 1], seconds=120 + DELIVERIES / 10)
    for client in clients:
        client.over.set()
        client.join(60)
        assert client.error is None
        assert not client.is_alive()
    # A listing may miss a file that a client renames at that moment; the next scan finds it.
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


@pytest.mark.timeout(240)
@pytest.mark.parametrize("way", WAYS)
def test_moves_of_a_client_are_learned(dovecot, daemon, visited, way):
    """A move into junk is spam and one out of it ham, after one visit; mail that is moved out is not filed again.

    Message 0 is ham, 1 spam that we file, 2 unsure; 4 is spam that a sieve rule files.
    """
    for number in range(3):
        dovecot.deliver(number)
    until(lambda: numbers(dovecot.maildir / ".Junk") == [1] and sorted(numbers(dovecot.maildir)) == [0, 2])
    dovecot.deliver(4, ".Junk")
    assert visited() == {4: "spam"}
    with dovecot.session() as session:
        moved(session, "INBOX", 2, "Junk", way)
        assert visited() == {4: "spam", 2: "spam"}
        moved(session, "Junk", 1, "INBOX", way)
        moved(session, "Junk", 4, "INBOX", way)
        assert visited() == {4: "ham", 2: "spam", 1: "ham"}
        moved(session, "Junk", 2, "Archive", way)
        assert visited() == {4: "ham", 2: "ham", 1: "ham"}
        moved(session, "INBOX", 0, "Trash", way)
        dovecot.deliver(6)  # when this is judged, all earlier mail was scanned
        until(lambda: 6 in numbers(dovecot.maildir))
        assert visited() == {4: "ham", 2: "ham", 1: "ham"}
        session.select("INBOX")
        assert sorted(marks(session).values()) == [1, 4, 6]
    assert numbers(dovecot.maildir / ".Junk") == []
    assert daemon.failures() == []
    assert dovecot.complaints() == []


def contents(session, folder):
    """Return mark and bytes of each message in a folder, from the server."""
    session.select(folder, readonly=True)
    _, answer = session.uid("FETCH", "1:*", "(BODY.PEEK[])")
    return [(number_of(raw), raw) for raw in bodies(answer)]


def headers_are_right(mark, raw):
    """Return whether a message is tagged as spam or untagged: a reader may have moved it to cur before filing."""
    parsed = email.message_from_bytes(raw, policy=policy.default)
    return parsed["X-Spam-Flag"] in ("YES", None) and parsed["X-Mark"] == str(mark)


@pytest.mark.parametrize("version", [1, 2])
def test_a_new_folder_is_subscribed(dovecot, version):
    """Dovecot shows a folder that we create, keeps the other subscriptions, and changes the list after us."""
    listed = dovecot.maildir / "subscriptions"
    with dovecot.session() as client:
        client.create("Lists.x")
        client.subscribe("Lists.x")
    if version == 1:
        listed.write_bytes(b"Lists.x\n")
    with OpenMaildir.open(str(dovecot.maildir)) as mailbox:
        for name in (".Spam", ".Lists.Unwanted"):
            create_folder(mailbox.folder(name))
    with dovecot.session() as client:
        client.subscribe("Trash")
        shown = {line.split()[-1] for line in client.lsub()[1]}
    assert shown == {b"Lists.x", b"Spam", b"Lists.Unwanted", b"Trash"}
    assert listed.stat().st_uid == dovecot.uid
    assert dovecot.complaints() == []


@pytest.mark.parametrize("how", ["gz", pytest.param("lz4", marks=needs_lz4)])
def test_a_compressed_maildir(tiny, tmp_path, how):
    """Spam that Dovecot compressed is filed as it is, with its plain size in the name, and clients read it there."""
    mail = b"Received: by mx id 1\r\n" + SPAM.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") * 3
    with running(COMPRESSED.format(how=how)) as server, watching(server.maildir, model=tiny, folder=tmp_path) as ours:
        with server.session() as client:
            client.append("INBOX", "(\\Flagged)", None, mail)
            ours.process.send_signal(signal.SIGHUP)  # a message with flags is stored in cur, where only a scan finds it
            junk = server.maildir / ".Junk"
            until(lambda: [*junk.glob("new/*"), *junk.glob("cur/*")])
            client.select("Junk")
            _, ((_, fetched), _) = client.fetch("1", "(BODY[])")
            _, (flags,) = client.fetch("1", "(FLAGS)")
        (filed,) = (*junk.glob("new/*"), *junk.glob("cur/*"))
        assert fetched == mail
        assert b"Flagged" in flags
        assert filed.stat().st_size < len(mail)
        assert f",S={len(mail.replace(CR, b''))},W={len(mail)}" in filed.name
        assert ours.failures() == server.complaints() == []
