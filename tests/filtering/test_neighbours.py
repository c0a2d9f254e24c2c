"""Root works in the Maildirs of users: whatever one user does with their folders, no other user's are touched."""

# ruff: noqa: PTH116, PTH118

import os
from pathlib import Path

import pytest
from inbox import Inbox, raw
from interruption import Interruption
from maildirs import give, make

from spamlstm.config import Action
from spamlstm.filtering.outcome import Status
from spamlstm.maildir.headers import untag

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can work on the Maildirs of two users")
ANN, BOB = 20_001, 20_002


class Ann:
    """A user who has a Maildir that root's daemon watches, beside Bob's and a folder of root's."""

    def __init__(self, tmp_path, monkeypatch, spam):
        for one in (tmp_path, *tmp_path.parents[:2]):
            one.chmod(0o755)
        self.inbox = Inbox(make(tmp_path / "ann"), tmp_path / "state", {"spam": spam})
        self.root = Path(self.inbox.root)
        self.bob = Path(make(tmp_path / "bob"))
        self.secret = tmp_path / "secret"
        make(self.secret)
        for folder in (self.bob, self.secret):
            for part in ("new", "cur", "tmp"):
                (folder / part / "1.host").write_bytes(raw("spam", 1))
                (folder / part / "passwd").write_text("root")
        give(self.root, ANN)
        give(self.bob, BOB)
        self.inbox.watch()
        self.before = self.others()

    def others(self):
        """Everything that is not Ann's: bytes, owners and modes."""
        found = {}
        for folder in (self.bob, self.secret):
            for above, folders, files in os.walk(folder):
                for name in (*folders, *files):
                    path = Path(above, name)
                    status = path.lstat()
                    content = path.read_bytes() if path.is_file() else b""
                    found[str(path)] = (status.st_uid, status.st_gid, status.st_mode, status.st_ino, content)
        return found

    def deliver(self, name="1.host"):
        path = self.inbox.deliver(name=name)
        os.chown(path, ANN, ANN)
        return Path(path).read_bytes()


@pytest.fixture(params=["bob", "secret"])
def victim(request):
    """The owner of the folder that Ann makes a link to."""
    return request.param


@pytest.fixture
def ann(tmp_path, monkeypatch):
    return lambda spam=(Action.TAG, Action.FILE): Ann(tmp_path, monkeypatch, spam)


@pytest.mark.parametrize("name", ["new", "cur", "tmp", ".Junk", ".Junk/new", ".Junk/tmp", ".Junk/cur", "INBOX"])
def test_a_link_in_place_of_a_folder(ann, victim, name):
    """The link is an error for Ann's mail alone, with a sentence that names it."""
    one = ann()
    path = one.root / name
    if name.startswith(".Junk/"):
        make(path.parent)
        give(path.parent, ANN)
    if path.is_dir():
        path.rmdir()
    path.symlink_to(getattr(one, victim) / (name.rpartition("/")[2] if name[0] != "I" and name != ".Junk" else ""))
    if name != "new":
        one.deliver()

    outcomes = one.inbox.run()

    assert one.others() == one.before
    if name not in ("new", "cur", "INBOX"):
        assert [outcome.status for outcome in outcomes] == [Status.FAILED]
        assert name.rpartition("/")[2] in outcomes[0].failure


@pytest.mark.parametrize("name", ["new", ".Junk", ".Junk/new", ".Junk/tmp", ""])
@pytest.mark.parametrize(
    "spam", [(Action.TAG,), (Action.FILE,), (Action.TAG, Action.FILE)], ids=["tag", "file", "both"]
)
def test_a_link_that_comes_at_any_moment(ann, victim, name, spam):
    """Ann swaps a folder for a link before any system call: her mail is there once, and nothing of others changes."""
    one = ann(spam)
    make(one.root / ".Junk")
    (one.root / ".Junk" / "maildirfolder").touch()
    give(one.root, ANN)
    path, away = one.root / name, one.root.parent / "away"
    target = getattr(one, victim) / (name.rpartition("/")[2] if "/" in name or name == "new" else "")

    def swap():
        acting = os.geteuid()
        os.seteuid(0)
        path.rename(away)
        path.symlink_to(target)
        os.lchown(path, ANN, ANN)
        os.seteuid(acting)

    for number in range(200):
        delivered = one.deliver()
        with Interruption(number, swap) as interruption:
            one.inbox.run()
        if interruption.happened:
            path.unlink()
            away.rename(path)
        assert one.others() == one.before
        found = one.inbox.contents() + one.inbox.contents(one.inbox.junk)
        assert list(map(untag, found)) == [untag(delivered)]
        one.inbox.clock.now += 1000
        one.inbox.run()
        for folder in (one.inbox.root, one.inbox.junk):
            for part, message in one.inbox.names(folder):
                os.unlink(os.path.join(folder, part, message))  # noqa: PTH108
        if not interruption.happened:
            break
    assert number > 15


def test_a_maildir_that_is_a_link_to_anothers(ann):
    """Bob's mail is not judged under Ann's name."""
    one = ann()
    one.root.rename(one.root.parent / "away")
    one.root.symlink_to(one.bob)
    os.lchown(one.root, ANN, ANN)

    assert one.inbox.run() == []
    assert one.others() == one.before


def test_root_files_the_mail_of_users(ann):
    """Files and folders that root makes in a user's Maildir belong to the user."""
    one = ann()
    delivered = one.deliver()
    (outcome,) = one.inbox.run()

    assert outcome.status is Status.DONE
    assert [untag(found) for found in one.inbox.contents(one.inbox.junk)] == [untag(delivered)]
    for above, folders, files in os.walk(one.root):
        for name in (*folders, *files):
            assert os.stat(os.path.join(above, name)).st_uid == ANN
    assert os.geteuid() == 0
