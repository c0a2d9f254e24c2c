"""The user is subscribed to a new folder, in the lists that exist, and nothing else changes."""

# As in the module, paths are handled by os:
# ruff: noqa: PTH118, PTH208

import os
import stat
from pathlib import Path

import on_disk
import pytest
from maildirs import make
from readers_and_kills import killed_before

# Other tests may have left threads, which the forked processes that are killed here do not need.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.mark.parametrize(
    ("name", "listed", "before", "after"),
    [
        (".Junk", "subscriptions", b"V\t2\n\nSent\n", b"V\t2\n\nSent\nJunk\n"),
        (".Lists.Junk", "subscriptions", b"V\t2\n\nSent\n", b"V\t2\n\nSent\nLists\tJunk\n"),
        ("Lists/Junk", "subscriptions", b"V\t2\n\nSent\n", b"V\t2\n\nSent\nLists\tJunk\n"),
        (".INBOX.Junk", "subscriptions", b"V\t2\n\n", b"V\t2\n\nINBOX\tJunk\n"),
        (".Lists.Junk", "subscriptions", b"Sent\n", b"Sent\nLists.Junk\n"),
        ("Lists/Junk", "subscriptions", b"Sent\n", b"Sent\nLists/Junk\n"),
        (".Junk", "subscriptions", b"Sent", b"Sent\nJunk\n"),
        (".Junk", "subscriptions", b"", b"Junk\n"),
        (".Junk", "subscriptions", b"Junk\nSent\n", b"Junk\nSent\n"),
        (".Lists.Junk", "subscriptions", b"V\t2\n\nLists\tJunk\n", b"V\t2\n\nLists\tJunk\n"),
        (".Ind&AOk-sirable", "subscriptions", b"V\t2\n\n", b"V\t2\n\nInd&AOk-sirable\n"),
        (".Junk", "courierimapsubscribed", b"INBOX.Sent\n", b"INBOX.Sent\nINBOX.Junk\n"),
        (".Lists.Junk", "courierimapsubscribed", b"INBOX\n", b"INBOX\nINBOX.Lists.Junk\n"),
    ],
)
def test_a_new_folder_is_subscribed(root, name, listed, before, after):
    """The line has the form that Dovecot or Courier writes; owner and mode of the list stay, no other file appears."""
    path = Path(root, listed)
    path.write_bytes(before)
    path.chmod(0o640)
    on_disk.create_folder(root, os.path.join(root, name))
    assert path.read_bytes() == after
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(os.listdir(root)) == sorted({"new", "cur", "tmp", listed, name.split("/")[0]})


def test_only_what_is_there_and_safe_changes(root, tmp_path):
    """No list is created, none is followed by a link, none is changed while the server has it locked."""
    on_disk.create_folder(root, os.path.join(root, ".A"))
    assert sorted(os.listdir(root)) == [".A", "cur", "new", "tmp"]
    (tmp_path / "mine").write_text("secret\n")
    Path(root, "subscriptions").symlink_to(tmp_path / "mine")
    on_disk.create_folder(root, os.path.join(root, ".B"))
    assert (tmp_path / "mine").read_text() == "secret\n"
    assert Path(root, "subscriptions").is_symlink()
    Path(root, "subscriptions").unlink()
    Path(root, "subscriptions").write_text("Sent\n")
    Path(root, "subscriptions.lock").touch()
    on_disk.create_folder(root, os.path.join(root, ".C"))
    assert Path(root, "subscriptions").read_text() == "Sent\n"
    assert Path(root, "subscriptions.lock").exists()


def test_an_existing_folder_is_not_subscribed(root):
    """A user who unsubscribed from the junk folder is not subscribed again, although the folder lacks its marker."""
    make(Path(root, ".Junk"))
    Path(root, "subscriptions").write_text("Sent\n")
    on_disk.create_folder(root, os.path.join(root, ".Junk"))
    assert Path(root, "subscriptions").read_text() == "Sent\n"


def test_a_kill_leaves_a_whole_list(root):
    """After a kill at any point the list is the old or the new one, and the next call completes the folder."""
    path = Path(root, "subscriptions")
    for number in range(1, 1000):
        path.write_bytes(b"V\t2\n\nSent\n")
        name = f".Junk{number}"
        killed = killed_before(number, lambda name=name: on_disk.create_folder(root, os.path.join(root, name)))
        assert path.read_bytes() in (b"V\t2\n\nSent\n", f"V\t2\n\nSent\nJunk{number}\n".encode())
        # Dovecot removes a lock that a crash left behind.
        Path(root, "subscriptions.lock").unlink(missing_ok=True)
        on_disk.create_folder(root, os.path.join(root, name))
        assert Path(root, name, "maildirfolder").exists()
        if not killed:
            break
    assert number > 30
