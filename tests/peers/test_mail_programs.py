"""mbsync, mutt and notmuch work on a Maildir while mail arrives and we file it.

At the end each message exists once, with its bytes, in the right folder, and the program reports no error.
`DELIVERIES=2001 pytest -m peers tests/peers` runs more deliveries.
"""

import contextlib
import multiprocessing
import os
import pty
import select
import shutil
import subprocess
from collections import Counter

import maildirs
import pytest
from clients import moved
from dovecot import running
from watching import DELIVERIES, deliver, deliver_all, message, number_of, numbers, on_disk, until, watching

from spamlstm.maildir.content_id import content_id

HAM, SPAM, UNSURE = range(3)

pytestmark = [pytest.mark.peers, pytest.mark.timeout(240 + DELIVERIES)]


def needs(program):
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed here")


@pytest.fixture
def box(tmp_path):
    """An empty Maildir."""
    path = tmp_path / "box"
    maildirs.make(path)
    return path


@contextlib.contextmanager
def arriving(maildir, *, owner=(-1, -1)):
    """Deliver during the block; give a function that returns whether more will come.

    Another process delivers: a program started from this one would inherit a file that is being written, and the daemon
    would wait for that file.
    """
    server = multiprocessing.get_context("spawn").Process(target=deliver_all, args=(maildir, owner), daemon=True)
    server.start()
    yield server.is_alive
    server.join()


def verdicts(folder):
    """Return the number of messages of each verdict in a folder; check that each exists once and has its bytes.

    Headers that mbsync, mutt and we write are ignored, as the content id leaves them out.
    """
    raws = {number_of(raw): raw for raw in on_disk(folder)}
    assert len(raws) == len(on_disk(folder)), "a message is there twice"
    assert all(content_id(raw) == content_id(message(number)) for number, raw in raws.items())
    return Counter(number % 3 for number in raws)


def all_filed(box):
    """Return whether all spam is in the junk folder."""
    return sum(number % 3 == SPAM for number in set(numbers(box / ".Junk"))) == DELIVERIES // 3


# --- mbsync -----------------------------------------------------------------------------------------------------------

MBSYNC = """
IMAPStore far
Host 127.0.0.1
Port {port}
User ann
Pass secret
SSLType None
AuthMechs LOGIN

MaildirStore near
Inbox {box}
SubFolders Maildir++

Channel all
Far :far:
Near :near:
Patterns {folders}
Create Both
Expunge Both
SyncState *
"""
# mbsync prints this at each login without TLS.
NO_TLS = "*** IMAP Warning *** Password is being sent in the clear\n"


def synchronizer(server, box, folder, *, folders):
    """Return a function that runs mbsync once between a server and a Maildir."""
    config = folder / "mbsyncrc"
    config.write_text(MBSYNC.format(port=server.port, box=box, folders=folders))

    def sync():
        command = ["mbsync", "--quiet", "--all", "--config", str(config)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr.replace(NO_TLS, "")) == (0, "", "")

    return sync


@needs("mbsync")
@needs("dovecot")
def test_mbsync(box, tiny, tmp_path):
    """A message that we file in the local copy is filed on the server too; neither side has one twice."""
    with running() as server:
        sync = synchronizer(server, box, tmp_path, folders="INBOX Junk")
        sync()
        with watching(box, model=tiny, folder=tmp_path) as daemon:
            with arriving(server.maildir, owner=(server.uid, server.gid)) as more:
                while more():
                    sync()
            sync()
            until(lambda: all_filed(box))
            sync()
        for side in (box, server.maildir):
            assert verdicts(side) == {HAM: DELIVERIES // 3, UNSURE: DELIVERIES // 3}
            assert verdicts(side / ".Junk") == {SPAM: DELIVERIES // 3}
        assert server.complaints() == []
        assert daemon.failures() == []


@needs("mbsync")
@needs("dovecot")
def test_moves_on_the_server_that_mbsync_brings(box, tiny, tmp_path, visits):
    """A user moves mail with another client; mbsync brings the moves folder by folder, in any order: they are labels.

    Spam that this user deletes there, and that is delivered again, gives no label, and is filed again.
    """
    with running(mailboxes=("Archive", "Junk", "Work")) as server:
        sync = synchronizer(server, box, tmp_path, folders="INBOX Archive Junk Work")
        for number in range(5):
            server.deliver(number)
        sync()
        with watching(box, model=tiny, folder=tmp_path) as daemon, server.session() as session:
            visited = visits(daemon)
            server.deliver(7)
            sync()
            until(lambda: numbers(box / ".Junk") == [7])
            assert visited() == {}
            sync()
            session.select("Junk")
            session.store("1", "+FLAGS", r"(\Deleted)")
            session.expunge()
            sync()
            assert visited() == {}
            again = server.maildir / "tmp" / "again"
            again.write_bytes(b"Received: by mx id again\r\n" + message(7))
            os.chown(again, server.uid, server.gid)
            again.rename(server.maildir / "new" / "again")
            sync()
            until(lambda: numbers(box / ".Junk") == [7])
            assert visited() == {}
            # What was there before the daemon is not judged, and the user sorts it on the server.
            for acts, labels in [
                ((("INBOX", 1, "Junk"), ("INBOX", 4, "Junk")), {1: "spam", 4: "spam"}),
                ((("Junk", 1, "INBOX"),), {1: "ham", 4: "spam"}),
                ((("Junk", 4, "Work"), ("INBOX", 1, "Junk")), {1: "spam", 4: "ham"}),
                ((("Junk", 1, "Archive"),), {1: "ham", 4: "ham"}),
            ]:
                for source, mark, target in acts:
                    moved(session, source, mark, target, "MOVE")
                sync()
                assert visited() == labels, acts
        assert server.complaints() == []
        assert daemon.failures() == []


# --- mutt -------------------------------------------------------------------------------------------------------------

MUTT = (
    'set folder={box} spoolfile={box} mbox_type=Maildir record="" '
    "sleep_time=0 quit=yes delete=yes confirmappend=no move=no mark_old=no\n"
    'push "<tag-pattern>~A<enter><tag-prefix><flag-message><untag-pattern>~A<enter>'
    '<tag-pattern>~i [.]ham@<enter><tag-prefix-cond><save-message>=.Archive<enter><end-cond><sync-mailbox><quit>"\n'
)


@needs("mutt")
def test_mutt(box, tiny, tmp_path):
    """All messages are flagged by mutt, and the ham is saved to another folder.

    Only the ham: mutt saves a message by copying it and then removing the old name. If we rename the message in
    between, both stay, and such a copy looks like one that the user wanted.
    """
    archive = box / ".Archive"
    shutil.copytree(box, archive)
    config = tmp_path / "muttrc"
    config.write_text(MUTT.format(box=box))
    with watching(box, model=tiny, folder=tmp_path) as daemon:
        with arriving(box) as more:
            while more():
                mutt(config, box)
        until(lambda: all_filed(box))
        mutt(config, box)
    assert verdicts(archive) == {HAM: DELIVERIES // 3}
    assert verdicts(box) == {UNSURE: DELIVERIES // 3}
    assert all("F" in path.name.partition(":2,")[2] for path in (box / "cur").iterdir())
    assert daemon.failures() == []


NEOMUTT = (
    "set folder={box} spoolfile={box} mbox_type=Maildir trash={box}/.Trash sleep_time=0 quit=yes delete=yes "
    "confirmappend=no move=no mark_old=no\n"
    'push "<tag-pattern>~A<enter><tag-prefix>{act}<sync-mailbox><quit>"\n'
)


@needs("neomutt")
def test_neomutt_by_way_of_the_trash(box, tiny, tmp_path, visits):
    """A message that is thrown away, and then saved from Trash to junk, is spam: NeoMutt copies it both times."""
    for name in (".Trash", ".Junk"):
        maildirs.make(box / name)
    config = tmp_path / "neomuttrc"
    with watching(box, model=tiny, folder=tmp_path) as daemon:
        visited = visits(daemon)
        deliver(box, HAM)
        until(lambda: daemon.log.read_text().count("verdict=ham"))
        assert visited() == {}
        for folder, act in ((box, "<delete-message>"), (box / ".Trash", "<save-message>=.Junk<enter>")):
            config.write_text(NEOMUTT.format(box=box, act=act))
            mutt(config, folder, program="neomutt")
            labels = visited()
        assert numbers(box / ".Junk") == [HAM]
        assert labels == {HAM: "spam"}
        assert daemon.failures() == []


def mutt(config, box, *, program="mutt"):
    """Run one session on a pseudo-terminal.

    If a listed message vanishes while mutt writes flags, mutt reports it, drops the remaining keys and waits: then they
    are sent again.
    """
    ours, theirs = pty.openpty()
    command = [program, "-n", "-F", str(config), "-f", str(box)]
    terminal = {"stdin": theirs, "stdout": theirs, "stderr": theirs, "start_new_session": True}
    with subprocess.Popen(command, env={**os.environ, "TERM": "vt100"}, **terminal) as process:
        os.close(theirs)
        shown = bytearray()
        with contextlib.suppress(OSError):  # this is how Linux reports the end of a terminal
            for _ in range(30):
                while select.select([ours], [], [], 1)[0]:
                    shown += os.read(ours, 1 << 16)
                os.write(ours, b"$q")  # sync-mailbox, quit
            process.kill()
    os.close(ours)
    assert process.returncode == 0, shown.decode(errors="replace")
    assert b"rror" not in shown, shown.decode(errors="replace")


# --- notmuch ----------------------------------------------------------------------------------------------------------

# notmuch needs a setting to ignore the empty file that marks a folder of Maildir++.
NOTMUCH = """
[database]
path={box}
[user]
name=Ann
primary_email=ann@x.org
[new]
tags=new
ignore=maildirfolder
[maildir]
synchronize_flags=true
"""
TRY_AGAIN = 75


@needs("notmuch")
def test_notmuch(box, tiny, tmp_path):
    """The index of notmuch has one file for each message, also after notmuch has flagged, and so renamed, all.

    If a listed message is moved before notmuch reads it, notmuch exits with 'try again', as with any mail program.
    """
    config = tmp_path / "notmuch-config"
    config.write_text(NOTMUCH.format(box=box))

    def notmuch(*arguments, allowed=(0,)):
        command = ["notmuch", f"--config={config}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode in allowed
        assert done.returncode == TRY_AGAIN or done.stderr == ""
        return done.stdout

    def index(*how, **allowed):
        notmuch("new", "--quiet", *how, **allowed)
        notmuch("tag", "+flagged", "-new", "--", "tag:new", **allowed)

    index()
    with watching(box, model=tiny, folder=tmp_path) as daemon:
        with arriving(box) as more:
            while more():
                index(allowed=(0, TRY_AGAIN))
        until(lambda: all_filed(box))
        index(allowed=(0, TRY_AGAIN))
    # notmuch skips folders with old times, even one that it read in part: a full scan finds the rest.
    index("--full-scan")
    assert verdicts(box) == {HAM: DELIVERIES // 3, UNSURE: DELIVERIES // 3}
    assert verdicts(box / ".Junk") == {SPAM: DELIVERIES // 3}
    listed = notmuch("search", "--output=files", "*").splitlines()
    there = [str(path) for folder in (box, box / ".Junk") for path in folder.glob("[nc][eu][wr]/*")]
    assert sorted(listed) == sorted(there)
    assert len(listed) == int(notmuch("count", "*"))
    assert daemon.failures() == []
