"""What the mount table says about the file systems of Maildirs."""

import os

import on_disk
import pytest
from maildirs import make

from spamlstm.maildir.file_systems import remote_devices, separator_in


def test_remote_devices(tmp_path):
    """The mount table gives them by type of file system, whatever optional fields come before it."""
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
        "30 22 0:51 / /var/vmail rw shared:7 master:1 - nfs4 server:/vmail rw,vers=4.2\n"
        "31 22 0:52 / /with\\040space rw - fuse.sshfs me@host: rw\n"
        "broken\n"
    )
    assert remote_devices(table) == {os.makedev(0, 51), os.makedev(0, 52)}
    assert remote_devices(tmp_path / "none") == frozenset()


@pytest.mark.parametrize(
    ("there", "file_system", "separator"),
    [
        ((), "ext4", ":"),
        ((), "vfat", ";"),
        ((), "exfat", ";"),
        (("a",), "vfat", ";"),
        (("a", "b!2,S"), "vfat", "!"),
        (("b!2,S",), "ext4", "!"),
        (("a:2,",), "vfat", ":"),
        ((".b!2,S",), "ext4", ":"),
    ],
)
def test_the_separator_of_a_folder(tmp_path, there, file_system, separator):
    """A name gets the separator that its folder uses; an empty folder gets one that its file system can store."""
    root = make(tmp_path / "Maildir")
    for name in there:
        (tmp_path / "Maildir" / "cur" / name).touch()
    device = (tmp_path / "Maildir").stat().st_dev
    table = tmp_path / "mountinfo"
    table.write_text(f"36 35 {os.major(device)}:{os.minor(device)} / / rw - {file_system} /dev/x rw\n")

    assert separator_in(on_disk.opened(root), table) == separator
