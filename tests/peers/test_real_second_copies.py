"""Second copies of messages are not moves: a POP fetcher that lost its list, and a Sieve rule that copies all mail.

No label follows from a copy, no message is lost, and what the user said stays.
"""

import pwd
import shutil
import subprocess
from collections import Counter

import pytest
from clients import marks, moved
from dovecot import has_pigeonhole, running
from watching import numbers, until, watching

pytestmark = [
    pytest.mark.peers,
    pytest.mark.timeout(240),
    pytest.mark.skipif(shutil.which("dovecot") is None, reason="dovecot is not installed here"),
]

MAIL = range(6)
"""Messages 0 and 3 are ham, 1 and 4 spam, 2 and 5 unsure."""
GETMAIL = """
[retriever]
type = SimplePOP3Retriever
server = 127.0.0.1
port = {port}
username = ann
password = secret
[destination]
type = Maildir
path = {maildir}/
user = {user}
[options]
read_all = false
received = {headers}
delivered_to = {headers}
"""
COPY = 'require ["copy", "fileinto"];\nfileinto :copy "Archive";\n'


@pytest.fixture(params=[True, False], ids=["with trace headers", "same bytes"])
def fetch(request, dovecot, tmp_path):
    """Fetch the mail of another server into the watched Maildir; `anew` loses the list of what was fetched."""
    if shutil.which("getmail") is None:
        pytest.skip("getmail is not installed here")
    folder = tmp_path / "getmail"
    folder.mkdir()
    with running() as provider:
        for number in MAIL:
            provider.deliver(number)
        user = pwd.getpwuid(dovecot.uid).pw_name
        settings = {"port": provider.pop_port, "maildir": dovecot.maildir, "user": user, "headers": request.param}
        (folder / "getmailrc").write_text(GETMAIL.format(**settings))

        def run(*, anew=False):
            for known in folder.glob("oldmail-*") if anew else ():
                known.unlink()
            done = subprocess.run(["getmail", "-g", folder], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            assert "6 messages" in done.stdout, done.stdout

        yield run


def places(server):
    """Return the marks in the inbox, in Junk and in Archive."""
    return [sorted(numbers(server.maildir / name)) for name in ("", ".Junk", ".Archive")]


def is_there_twice(server):
    """Return whether two copies of each message are there."""
    inbox, junk, _ = places(server)
    return Counter(inbox + junk) == dict.fromkeys(MAIL, 2)


def test_a_mailbox_that_is_fetched_again(dovecot, daemon, visited, fetch):
    """Each message comes again, and no label follows: what the user said stays, and known mail is filed or left.

    The user took message 1 out of Junk and moved message 2 there, and left 4, which we filed, in Junk.
    """
    fetch()
    until(lambda: places(dovecot) == [[0, 2, 3, 5], [1, 4], []])
    assert visited() == {}
    with dovecot.session() as session:
        moved(session, "Junk", 1, "INBOX", "MOVE")
        moved(session, "INBOX", 2, "Junk", "MOVE")
    assert visited() == {1: "ham", 2: "spam"}
    fetch(anew=True)
    until(lambda: is_there_twice(dovecot))
    for _ in range(2):
        assert visited() == {1: "ham", 2: "spam"}
    inbox, junk, _ = places(dovecot)
    assert is_there_twice(dovecot)
    assert [mark for mark in inbox if mark in {0, 1, 3}] == [0, 0, 1, 1, 3, 3]
    assert {2, 4} <= set(junk)  # and maybe the second 5, which has the text of 2
    assert daemon.failures() == []
    assert dovecot.complaints() == []


@pytest.mark.skipif(not has_pigeonhole(), reason="Dovecot's Sieve is not installed here")
class TestRule:
    """A Sieve rule copies all mail to Archive, before the inbox gets its copy."""

    @pytest.fixture
    def dovecot(self):
        with running(sieve=COPY) as server:
            yield server

    def test_each_inbox_copy_is_judged(self, dovecot, daemon, visited):
        """The copies in Archive keep no message from being judged, and give no label; moves still do."""
        for number in MAIL:
            dovecot.receive(number)
        until(lambda: places(dovecot) == [[0, 2, 3, 5], [1, 4], [*MAIL]])
        assert visited() == {}
        assert visited() == {}
        with dovecot.session() as session:
            moved(session, "Junk", 1, "INBOX", "MOVE")
            assert visited() == {1: "ham"}
            moved(session, "INBOX", 2, "Junk", "COPY")
            assert visited() == {1: "ham", 2: "spam"}
        assert places(dovecot) == [[0, 1, 3, 5], [2, 4], [*MAIL]]
        assert daemon.failures() == []
        assert dovecot.complaints() == []


FOLDERS = {
    "ann": "[Gmail].Spam",
    "bob": '"Junk E-mail"',
    "cid": '"Courrier ind&AOk-sirable"',
    "dan": "&BCEEPwQwBDw-",
    "eve": "INBOX.Junk",
    "fay": "",
}
"""The junk folder of each user, as mail programs and other servers call it. The last one has none."""


def test_the_junk_folder_that_clients_show_is_used(tiny, tmp_path):
    """Spam is filed to the folder that is there; a new one is listed and subscribed, so that clients show it."""
    with running(mailboxes=(), location="boxes/%u") as server:
        boxes = {user: server.folder / "boxes" / user for user in FOLDERS}
        for user, name in FOLDERS.items():
            with server.session(user) as session:
                session.select("INBOX")
                session.subscribe("INBOX")
                if name:
                    assert session.create(name)[0] == "OK"
        folders = {user: boxes[user] / f".{name.strip(chr(34)) or 'Junk'}" for user, name in FOLDERS.items()}
        with watching(*boxes.values(), model=tiny, folder=tmp_path) as daemon:
            for user in FOLDERS:
                server.receive(1, user)
                until(lambda user=user: numbers(folders[user]) == [1])
            assert daemon.failures() == []
        assert {user: [one.name for one in box.glob(".*")] for user, box in boxes.items()} == {
            user: [folder.name] for user, folder in folders.items()
        }
        with server.session("fay") as session:
            for command in (session.list, session.lsub):
                assert b"Junk" in [line.split()[-1] for line in command()[1] if line]
        assert server.complaints() == []


def test_a_copy_and_a_removal_seen_half_way(dovecot, daemon, visited):
    """A client copies a message, the daemon visits, and the client removes the first: Dovecot keeps the name."""
    for number in MAIL:
        dovecot.deliver(number)
    until(lambda: places(dovecot) == [[0, 2, 3, 5], [1, 4], []])
    assert visited() == {}
    with dovecot.session() as session:
        for folder, mark, target in (("Junk", 1, "INBOX"), ("INBOX", 2, "Junk")):
            session.select(folder)
            (uid,) = [str(uid) for uid, one in marks(session).items() if one == mark]
            assert session.uid("COPY", uid, target)[0] == "OK"
            visited()
            session.uid("STORE", uid, "+FLAGS", r"(\Deleted)")
            session.expunge()
    assert visited() == {1: "ham", 2: "spam"}
    assert places(dovecot) == [[0, 1, 3, 5], [2, 4], []]
    assert daemon.failures() == []


LAZY_EXPUNGE = """
mail_plugins = $mail_plugins lazy_expunge
plugin {
  lazy_expunge = EXPUNGED
}
"""


class TestLazyExpunge:
    """Dovecot keeps what leaves a folder in EXPUNGED for a while, also the original of a message that was moved."""

    @pytest.fixture
    def dovecot(self):
        with running(LAZY_EXPUNGE, mailboxes=("EXPUNGED", "Archive", "Junk", "Trash")) as server:
            yield server

    def test_expunged_mail_gives_no_label(self, dovecot, daemon, visited):
        """Spam that its user, or autoexpunge, removes from Junk does not become ham; moves are still learned."""
        for number in MAIL:
            dovecot.deliver(number)
        until(lambda: places(dovecot) == [[0, 2, 3, 5], [1, 4], []])
        assert visited() == {}
        with dovecot.session() as session:
            moved(session, "Junk", 1, "INBOX", "MOVE")
            moved(session, "INBOX", 2, "Junk", "COPY")
            assert visited() == {1: "ham", 2: "spam"}
            session.select("Junk")
            session.store("1:*", "+FLAGS", r"(\Deleted)")
            session.expunge()
        assert visited() == {1: "ham", 2: "spam"}
        assert sorted(numbers(dovecot.maildir / ".EXPUNGED")) == [1, 2, 2, 4]
        assert daemon.failures() == []
