"""On which file systems the kernel can tell what happens, and on which other machines write unseen."""

import os
from pathlib import Path

# inotify tells of what this kernel does. On these another host, or a program behind FUSE, delivers unnoticed.
REMOTE = frozenset("9p afs ceph cifs fuse.glusterfs fuse.sshfs gfs2 lustre ncpfs nfs nfs4 ocfs2 smb3 smbfs".split())

TABLE = Path("/proc/self/mountinfo")


def remote_devices(table: Path = TABLE) -> frozenset[int]:
    """The device numbers (st_dev) of the mounted file systems that other hosts write to; none if nobody can say.

    One look at the mount table serves for any number of folders, where asking each would ask a server.
    """
    try:
        lines = table.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return frozenset()
    return frozenset(device for line in lines if (device := _remote(line)) is not None)


def _remote(line: str) -> int | None:
    """`36 35 98:0 /root /at options [optional fields] - type source options`, see proc(5)."""
    before, _, after = line.partition(" - ")
    fields, kind = before.split(), after.partition(" ")[0]
    if len(fields) < 3 or kind not in REMOTE:
        return None
    major, _, minor = fields[2].partition(":")
    return os.makedev(int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None
