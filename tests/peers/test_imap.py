"""An IMAP account on a real Dovecot: new spam is filed, and what the user moves is learned.

Each message exists once, whatever happens: cut connections, kill -9, new UIDs, other clients.
"""

import contextlib
import shutil

import pytest
from clients import WAYS, marks, moved
from dovecot import has_pigeonhole, running
from imap_account import SPECIAL, CuttingProxy, served
from inbox import judgement
from watching import message, numbers, until

from spamlstm.features.sender_identity import name_key
from spamlstm.learning.label_store import LabelStore
from spamlstm.maildir.headers import tag
from spamlstm.verdict import Verdict

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(shutil.which("dovecot") is None, reason="dovecot is not installed here"),
]


def test_new_mail_is_classified_and_spam_is_filed(server, tiny, tmp_path):
    """Spam gets $Junk and is moved; other mail stays, unread; mail from before the first connection is left alone."""
    for number in range(3):
        server.deliver(number)
    with served(server, tmp_path / "state", tiny) as account:
        for number in range(3, 6):
            server.deliver(number)
        until(lambda: account.places() == {"INBOX": [0, 1, 2, 3, 5], "Junk": [4], "Archive": []})
        until(lambda: sum(account.tally.judged.values()) == 3)
        assert dict(account.tally.judged) == {"ham": 1, "spam": 1, "unsure": 1}
        with server.session() as session:
            session.select("Junk")
            flags = session.uid("FETCH", "1:*", "(FLAGS)")[1][0]
            assert b"$Junk" in flags
            session.select("INBOX")
            assert not [one for one in session.uid("FETCH", "1:*", "(FLAGS)")[1] if b"Seen" in one or b"$" in one]
    assert server.complaints() == []


@pytest.mark.parametrize("way", WAYS)
def test_moves_of_the_user_are_learned(server, tiny, tmp_path, way):
    """A move into junk is spam and one out of it ham; mail that is moved out is not filed again; Trash is neutral."""
    server.deliver(10)
    with served(server, tmp_path / "state", tiny) as account:
        for number in range(3):
            server.deliver(number)
        until(lambda: account.places()["Junk"] == [1])
        with server.session() as session:
            moved(session, "INBOX", 2, "Junk", way)
            until(lambda: account.labels() == {2: "spam"})
            moved(session, "Junk", 1, "INBOX", way)
            until(lambda: account.labels() == {2: "spam", 1: "ham"})
            moved(session, "INBOX", 10, "Junk", way)  # from before the first connection
            until(lambda: account.labels() == {2: "spam", 1: "ham", 10: "spam"})
            moved(session, "Junk", 2, "INBOX", way)
            until(lambda: account.labels() == {2: "ham", 1: "ham", 10: "spam"})
            moved(session, "INBOX", 0, "Trash", way)
        server.deliver(6)
        until(lambda: sum(account.tally.judged.values()) == 4)
        account.visited()
        assert account.labels() == {2: "ham", 1: "ham", 10: "spam"}
        assert account.places()["INBOX"] == [1, 2, 6]
        assert not account.tally.failed
    assert numbers(server.maildir / ".Trash") == [0]
    assert server.complaints() == []


@pytest.mark.skipif(not has_pigeonhole(), reason="Dovecot's Sieve is not installed here")
def test_spam_that_a_mail_server_tagged_and_sieve_filed(tiny, tmp_path):
    """Mail that Sieve files by our headers gives no label. If the user takes it out of junk and back, both are learned.

    A message that our headers call unsure was put into junk by its user.
    """
    sieve = 'require "fileinto"; if header :is "X-Spam-Flag" "YES" { fileinto "Junk"; }'
    with running(SPECIAL, sieve=sieve) as server, served(server, tmp_path / "state", tiny) as account:
        server.receive(4, raw=tagged(4, Verdict.SPAM))
        until(lambda: account.places()["Junk"] == [4])
        account.visited()
        assert account.labels() == {}
        with server.session() as session:
            moved(session, "Junk", 4, "INBOX", "MOVE")
            until(lambda: account.labels() == {4: "ham"})
            moved(session, "INBOX", 4, "Junk", "MOVE")
            until(lambda: account.labels() == {4: "spam"})
            session.append("Junk", r"(\Seen)", None, tagged(5, Verdict.UNSURE))
        account.visited()
        until(lambda: account.labels() == {4: "spam", 5: "spam"})
        assert not account.tally.failed


def tagged(number, verdict):
    """Return a message as the milter passes it on."""
    return tag(message(number), judgement(verdict), version="1.0", spam_threshold=0.98)


def test_a_client_that_does_not_expunge_is_learned_from(server, tiny, tmp_path):
    """A message that is copied and flagged as deleted was moved, into junk or the archive, even if nobody expunges."""
    with served(server, tmp_path / "state", tiny) as account:
        for number in (0, 2):
            server.deliver(number)
        until(lambda: sum(account.tally.judged.values()) == 2)
        with server.session() as session:
            session.select("INBOX")
            uids = {mark: str(uid) for uid, mark in marks(session).items()}
            session.uid("STORE", uids[0], "+FLAGS", r"(\Seen)")
            for mark, target in ((2, "Junk"), (0, "Archive")):
                session.uid("COPY", uids[mark], target)
                session.uid("STORE", uids[mark], "+FLAGS", r"(\Deleted)")
            until(lambda: account.labels() == {2: "spam", 0: "ham"})
        assert not account.tally.failed


@pytest.mark.timeout(200)
def test_a_change_while_the_daemon_reads_is_learned(server, tiny, tmp_path):
    """An answer of the user that the server reports while the daemon reads another message is learned before it waits.

    Otherwise it would be learned minutes later, when the server says that it is still there or IDLE is renewed.
    """
    with (
        HookedProxy(server.port) as proxy,
        server.session() as session,
        served(server, tmp_path / "state", tiny, port=proxy.port) as account,
    ):
        for number in (0, 3):
            server.deliver(number)
        until(lambda: sum(account.tally.judged.values()) == 2)
        account.visited()
        session.select("INBOX")
        uids = {mark: str(uid) for uid, mark in marks(session).items()}
        proxy.hook = lambda: session.uid("STORE", uids[3], "+FLAGS", r"(\Answered)")
        session.uid("STORE", uids[0], "+FLAGS", r"(\Answered)")
        until(lambda: account.labels() == {0: "ham", 3: "ham"})
        after = proxy.commands[proxy.seen :]
        reads = [at for at, one in enumerate(after) if b"BODY.PEEK[]" in one]
        idles = [at for at, one in enumerate(after) if one.endswith(b"IDLE")]
        assert reads[1] < min(idles, default=len(after))
        assert not account.tally.failed


class HookedProxy(CuttingProxy):
    """A proxy that calls `hook` once, before a command that reads messages reaches the server.

    `seen` then is the number of the commands before it.
    """

    hook = None
    seen = 0

    def _forward(self, block, server):
        if b"BODY.PEEK[]" in block and self.hook:
            hook, self.hook, self.seen = self.hook, None, len(self.commands)
            hook()
        return super()._forward(block, server)


@pytest.mark.parametrize("sent", ["auto", "Outgoing"])
def test_correspondents_are_learned_from_sent_mail(server, tiny, tmp_path, sent):
    """Whom the user writes to while the daemon knows the account is learned once, also after a reconnection.

    Mail from before the first connection is left to `adopt`. Before the first label there is nothing to learn into.
    """
    name = "Sent" if sent == "auto" else sent
    with server.session() as session:
        session.create(name)
        send(session, name, "before")
    with served(server, tmp_path / "state", tiny, sent=sent) as account, server.session() as session:
        server.deliver(2)
        until(lambda: sum(account.tally.judged.values()) == 1)
        moved(session, "INBOX", 2, "Junk", "MOVE")
        until(lambda: account.labels() == {2: "spam"})
        for one in ("first", "second"):
            send(session, name, one)
            account.visited()
            until(lambda one=one: name_key(f"{one}.example") in written(account))
        assert written(account) == {name_key("first.example"), name_key("second.example")}
        assert account.labels() == {2: "spam"}
        assert not account.tally.failed
    assert server.complaints() == []


def send(session, folder, name):
    raw = b"From: ann@x.org\r\nTo: a@%s.example\r\nSubject: hello\r\n\r\nHello\r\n" % name.encode()
    assert session.append(folder, r"(\Seen)", None, raw)[0] == "OK"


def written(account):
    """Return the hashes of the stored correspondents."""
    labels = LabelStore.find(account.loop.state)
    with contextlib.closing(labels):
        return set(labels.written_names.all())
