"""File systems: which of them are remote, and which cannot store the separator of the names in cur."""

import itertools
import os
from pathlib import Path

from spamlstm.maildir.names import COLON, SEMICOLON, split_info
from spamlstm.maildir.opened import OpenFolder

# inotify and leases only cover writes through this kernel. On these file systems another host, or a program behind
# FUSE, writes unnoticed.
REMOTE = frozenset("9p afs ceph cifs fuse.glusterfs fuse.sshfs gfs2 lustre ncpfs nfs nfs4 ocfs2 smb3 smbfs".split())
# File systems that cannot store a colon.
_WITHOUT_COLON = frozenset({"exfat", "msdos", "vfat"})
MOUNT_TABLE = Path("/proc/self/mountinfo")
# The largest number of names that are read to detect the separator of a folder.
_MOST_FOR_SEPARATOR = 100


def remote_devices(table: Path = MOUNT_TABLE) -> frozenset[int]:
    """Return the device numbers (st_dev) of the mounted REMOTE file systems. Empty if the table cannot be read.

    One read of the mount table serves any number of folders. A status call for each folder would contact its server.
    """
    return _devices(REMOTE, table)


def separator_in(folder: OpenFolder, table: Path = MOUNT_TABLE) -> str:
    """Return the character that separates the flags from the rest of a name in cur of `folder`.

    This is the separator of the first names with flags that are found. If there are none, it is a colon, or a semicolon
    on a file system that cannot store a colon. Raises OSError if cur cannot be read.
    """
    handle = folder.handle("cur")
    with folder.mailbox.owner.acting(), os.scandir(handle) as entries:
        for entry in itertools.islice(entries, _MOST_FOR_SEPARATOR):
            if not entry.name.startswith(".") and (separator := split_info(entry.name)[1]):
                return separator
    return SEMICOLON if os.fstat(handle).st_dev in _devices(_WITHOUT_COLON, table) else COLON


def _devices(types: frozenset[str], table: Path) -> frozenset[int]:
    found = set()
    try:
        lines = table.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return frozenset()
    for line in lines:
        # `36 35 98:0 /root /at options [optional fields] - type source options`, see proc(5).
        before, _, after = line.partition(" - ")
        if after.partition(" ")[0] in types and len(fields := before.split()) > 2:
            major, _, minor = fields[2].partition(":")
            if major.isdecimal() and minor.isdecimal():
                found.add(os.makedev(int(major), int(minor)))
    return frozenset(found)
