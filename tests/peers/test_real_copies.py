"""Programs that copy and move whole mailboxes: doveadm, dsync, OfflineIMAP and a user who drags a folder.

No label follows from a copy, a move is a label, no message is lost, and none is filed twice.
"""

import shutil
import subprocess

import maildirs
import pytest
from dovecot import running
from watching import numbers, until, watching

pytestmark = [
    pytest.mark.peers,
    pytest.mark.timeout(240),
    pytest.mark.skipif(shutil.which("doveadm") is None, reason="doveadm is not installed here"),
]

MAIL = range(6)
"""Messages 0 and 3 are ham, 1 and 4 spam, 2 and 5 unsure."""


def admin(server, act, *arguments):
    """Run doveadm on the mailbox of `ann`."""
    command = ["doveadm", "-c", server.folder / "dovecot.conf", act, "-u", "ann", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def places(server, *names):
    """Return the marks in the inbox, and in each folder."""
    return [sorted(numbers(server.maildir / name)) for name in ("", *names)]


@pytest.fixture
def filled(dovecot, daemon, visited):
    """Six messages, judged, of which two are in Junk; the labels of a visit."""
    for number in MAIL:
        dovecot.deliver(number)
    until(lambda: places(dovecot, ".Junk") == [[0, 2, 3, 5], [1, 4]])
    assert visited() == {}
    yield visited
    assert daemon.failures() == []
    assert dovecot.complaints() == []


def test_an_administrator_copies_and_moves(dovecot, filled):
    """`doveadm copy` gives no label; `doveadm move` out of Junk, into it, and to an archive of a year is learned."""
    admin(dovecot, "copy", "Archive", "mailbox", "Junk", "all")
    assert filled() == {}
    admin(dovecot, "copy", "Junk", "mailbox", "INBOX", "header", "X-Mark", "3")
    assert filled() == {}
    admin(dovecot, "move", "Junk", "mailbox", "INBOX", "header", "X-Mark", "2")
    assert filled() == {2: "spam"}
    admin(dovecot, "move", "INBOX", "mailbox", "Junk", "header", "X-Mark", "4")
    assert filled() == {2: "spam", 4: "ham"}
    assert filled() == {2: "spam", 4: "ham"}
    assert places(dovecot, ".Junk", ".Archive") == [[0, 3, 4, 5], [1, 2, 3], [1, 4]]


def test_expired_and_archived_junk(dovecot, filled):
    """A job copies Junk to an archive and expunges it a visit later, as for a report of what was filed."""
    admin(dovecot, "copy", "Archive", "mailbox", "Junk", "all")
    assert filled() == {}
    admin(dovecot, "move", "Trash", "mailbox", "Junk", "all")
    assert filled() == {}
    assert filled() == {}
    assert places(dovecot, ".Junk", ".Archive", ".Trash") == [[0, 2, 3, 5], [], [1, 4], [1, 4]]


def test_a_folder_is_dragged(dovecot, filled):
    """A user drags Junk with its folders into Trash, and a folder of read mail below Junk: no message was moved."""
    with dovecot.session() as session:
        session.create("Junk.2026")
        session.create("Work")
        session.select("Junk")
        session.copy("1:*", "Junk.2026")
        session.select("INBOX")
        session.store("1:*", "+FLAGS", r"(\Seen)")
        session.copy("1:*", "Work")
        session.select("INBOX")
    assert filled() == {}
    with dovecot.session() as session:
        assert session.rename("Junk.2026", "Trash.2026")[0] == "OK"
        assert session.rename("Work", "Junk.Work")[0] == "OK"
    for _ in range(2):
        assert filled() == {}
    with dovecot.session() as session:
        assert session.rename("Junk.Work", "Work")[0] == "OK"
        assert session.rename("Trash.2026", "Junk.2026")[0] == "OK"
    for _ in range(2):
        assert filled() == {}


def test_a_folder_is_copied_and_deleted(dovecot, filled):
    """Outlook drags a folder by copying its mail and deleting it: junk that goes to Trash so gives no label."""
    with dovecot.session() as session:
        session.create("Junk.2026")
        session.select("Junk")
        session.copy("1:*", "Junk.2026")
    assert filled() == {}
    with dovecot.session() as session:
        session.create("Trash.2026")
        session.select("Junk.2026")
        session.copy("1:*", "Trash.2026")
        session.close()
        session.delete("Junk.2026")
    for _ in range(2):
        assert filled() == {}


def moved_elsewhere(server, box, sync, *, visited):
    """What a user moves on the other side is a label here, and copies are no labels. Message 4 is in Junk."""
    assert visited() == {}
    admin(server, "copy", "Archive", "mailbox", "Junk", "all")
    sync()
    assert visited() == {}
    admin(server, "move", "INBOX", "mailbox", "Junk", "header", "X-Mark", "4")
    admin(server, "move", "Junk", "mailbox", "INBOX", "header", "X-Mark", "2")
    sync()
    assert visited() == {2: "spam", 4: "ham"}
    sync()
    assert visited() == {2: "spam", 4: "ham"}
    for side in (server.maildir, box):
        there = [sorted(numbers(side / name)) for name in ("", ".Junk", ".Archive")]
        assert there == [[0, 1, 3, 4, 5], [2], [4]]
    assert server.complaints() == []


@pytest.fixture
def server():
    """A server with six messages, of which its user has moved one to Junk."""
    with running() as one:
        for number in MAIL:
            one.deliver(number)
        admin(one, "move", "Junk", "mailbox", "INBOX", "header", "X-Mark", "4")
        yield one


def test_dsync(server, tiny, tmp_path, visits):
    """The Maildir is a replica that dsync makes and keeps equal to the mailbox of a server."""
    box = server.folder / "home" / "replica"

    def sync():
        admin(server, "sync", f"maildir:{box}")

    sync()
    sync()
    with watching(box, model=tiny, folder=tmp_path) as daemon:
        moved_elsewhere(server, box, sync, visited=visits(daemon))
        assert daemon.failures() == []


OFFLINEIMAP = """
[general]
accounts = ann
metadata = {folder}/offlineimap
[Account ann]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {box}
sep = .
nametrans = lambda name: "INBOX" if name in ("", ".") else name.removeprefix(".")
[Repository far]
type = IMAP
remotehost = 127.0.0.1
remoteport = {port}
remoteuser = ann
remotepass = secret
ssl = no
starttls = no
auth_mechanisms = LOGIN
createfolders = no
folderfilter = lambda name: name in ("INBOX", "Junk", "Archive")
nametrans = lambda name: "" if name == "INBOX" else "." + name
"""


@pytest.mark.skipif(shutil.which("offlineimap") is None, reason="offlineimap is not installed here")
def test_offlineimap(server, tiny, tmp_path, visits):
    """The Maildir is the copy that OfflineIMAP keeps of an account."""
    box, config = tmp_path / "box", tmp_path / "offlineimaprc"
    maildirs.make(box)
    config.write_text(OFFLINEIMAP.format(folder=tmp_path, box=box, port=server.port))

    def sync():
        command = ["offlineimap", "-c", config, "-o", "-1", "-u", "quiet"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    sync()
    with watching(box, model=tiny, folder=tmp_path) as daemon:
        moved_elsewhere(server, box, sync, visited=visits(daemon))
        assert daemon.failures() == []
