"""The few moves of a message that lose nothing.

No watching and no journal here: the caller writes down what it is about to do, calls one of these, and after a crash
asks `settle` how far it came. Plain system calls, one after the other, so that a test can stop at each.
"""

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from spamlstm.database import MOST_INTEGER
from spamlstm.maildir.descriptors import RefusedError
from spamlstm.maildir.folders import below
from spamlstm.maildir.names import AnyPart, GoneError, Name
from spamlstm.maildir.opened import Entry, OpenFolder
from spamlstm.message.head import end_of_head

# How often a link to a message in the tmp of another folder is looked at again while a server still moves it.
_TICK = 0.02
# Mail servers cut headers at a fraction of this (Postfix at 100 KB). To find forged ones among 64 MB takes seconds.
MOST_HEAD_BYTES = 16 << 20
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells a file from another that was later given its name (procmail does that). A rename keeps all of it.

    `links` is how many names it had when it was looked at, None where that was not noted; it does not tell files apart.
    """

    inode: int
    mtime_ns: int
    size: int
    links: int | None = field(default=None, compare=False)

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """The identity in what stat gave."""
        # A date beyond the year 2262 is more than the journal can hold.
        return cls(status.st_ino, status.st_mtime_ns & MOST_INTEGER, status.st_size, status.st_nlink)


class TransferResult(StrEnum):
    """What became of a move or a replacement that a crash cut short."""

    DONE = "done"
    """The message is in its target, or was there and went on from there by other hands."""

    UNDONE = "undone"
    """The message is as it was, and can be acted on again."""

    GONE = "gone"
    """It is neither here nor there: a user moved or removed it meanwhile."""


class TooLargeError(Exception):
    """The message is not read to its end; the error says why, as a sentence that begins with the message."""


def file_identity(entry: Entry) -> Identity | None:
    """Identity of the file of this name, or None if there is none. Other OSErrors are the caller's."""
    try:
        return Identity.of(entry.status())
    except FileNotFoundError:
        return None


def read_message(entry: Entry, *, most: int) -> tuple[bytes, Identity]:
    """A message's bytes and its identity, from one descriptor.

    GoneError if it is gone, TooLargeError above `most` bytes or MOST_HEAD_BYTES of headers. The size is that of the
    descriptor, and no more than `most` bytes and one are read: a file may grow meanwhile.
    """
    try:
        handle = entry.open()
    except FileNotFoundError as error:
        raise GoneError(entry.path) from error
    try:
        known = Identity.of(os.fstat(handle))
        content = _read(handle, known.size, most) if known.size <= most else b""
    finally:
        os.close(handle)
    if max(known.size, len(content)) > most:
        raise TooLargeError(f"it has more than {most >> 20} MiB")
    if len(content) > MOST_HEAD_BYTES and end_of_head(content) > MOST_HEAD_BYTES:
        raise TooLargeError(f"its headers have more than {MOST_HEAD_BYTES >> 20} MiB")
    return content, known


def _read(handle: int, size: int, most: int) -> bytes:
    """The bytes of a file of about this size, at most `most` and one."""
    pieces: list[bytes] = []
    left, ask = most + 1, size + 1
    while left > 0 and (piece := os.read(handle, min(ask, left))):
        pieces.append(piece)
        left -= len(piece)
        ask = _BLOCK
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def is_being_written(entry: Entry) -> bool:
    """Whether someone has this file open for writing; False where the kernel cannot tell, or the file is gone.

    No delivery by the rules is: what comes by link or rename is complete. But `cat > Maildir/new/x` is done, and to
    replace such a file half-way would lose the rest. The kernel gives nobody a read lease on a file that is open for
    writing, and to the owner (or root) on any other. Not to be asked on file systems of other hosts, where the
    refusal means nothing.
    """
    try:
        handle = entry.open()
    except OSError:
        return False
    try:
        with entry.folder.mailbox.owner.acting():
            # A writer that comes between the two calls is told to us by a signal: one that is ignored unless asked for.
            fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def move(source: Entry, target: Entry) -> None:
    """Rename a message; the caller syncs the parts, the target's first.

    `target` must have a base from `unique`: a rename overwrites, and only a fresh base makes sure that there is nothing
    to overwrite. (link and unlink would refuse to, but leave two messages at a crash between them.) Bytes, date, owner
    and mode stay. At a crash the message is under its old name or under its new one, never under both or neither.

    GoneError if the source is gone; FileExistsError if the name is not fresh; any other OSError, and nothing happened.
    """
    source.rename(target)


def replace_with(source: Entry, content: bytes, target: Entry, *, expected: Identity) -> None:
    """Put `content` in place of the message at `source`, as a fresh file; the caller yet syncs the part of the source.

    Delivered messages never change, as readers remember their sizes; so it is a new message under a new base, with
    the old one's date, owner and mode. The name of `target` has a base from `unique` and the sizes of `content`.
    `expected` is what `read` gave with the bytes that `content` was made from.

    What a crash leaves, in this order:

    | state | the old message | tmp of the folder | the fresh message | what `settle` does |
    |---|---|---|---|---|
    | before | there | - | - | nothing |
    | after `prepare` began | there | a part, or all | - | removes the one in tmp |
    | after `publish` | there | - | there | removes the fresh one |
    | after `retire` | - | - | there | nothing: done |

    In the third state a reader shows the message twice, for the time of one fsync or until `settle`. The other order
    would hide it in tmp meanwhile, where servers delete what looks old: twice is better than never.
    GoneError if the old message was renamed or removed by others before it could be retired: nothing has changed
    then, the fresh one is taken back (but see `finish`). Any OSError (disk full, read-only) leaves the old one alone.
    """
    written = prepare(content, target, like=source)
    try:
        publish(written, target, source=source, expected=expected)
    except BaseException:
        discard(written)
        raise
    finish(source, target, expected=expected)


def sized(name: Name, content: bytes, *, base: str) -> Name:
    """`name` for a fresh file that holds `content`, for the same folder; `elsewhere` then makes it one for another."""
    bare = content.count(b"\n") - content.count(b"\r\n")
    return name.rewritten(base=base, size=len(content), wire_size=len(content) + bare)


def prepare(content: bytes, target: Entry, *, like: Entry) -> Entry:
    """Write `content` to the tmp of the target's folder, on disk and with the date and mode of `like`; gives the file.

    GoneError if `like` is gone. After any error nothing is left in tmp.
    """
    try:
        status = like.status()
    except FileNotFoundError as error:
        raise GoneError(like.path) from error
    written = target.folder.entry("tmp", Name.parse(target.name).base)
    handle = written.create()
    try:
        try:
            _write(handle, content)
            # No set-id bits: a mail must not become a program of whoever rewrites it.
            dress(handle, status, status.st_mode & 0o666)
            os.utime(handle, ns=(status.st_atime_ns, status.st_mtime_ns))
            os.fsync(handle)
        finally:
            os.close(handle)
    except BaseException:
        discard(written)
        raise
    return written


def _write(handle: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(handle, left) :]


def publish(written: Entry, target: Entry, *, source: Entry, expected: Identity) -> None:
    """Deliver what `prepare` wrote, under a fresh name: from here on readers see it.

    GoneError if the message at `source` is no longer the one expected; FileExistsError if the name is not fresh.
    """
    if file_identity(source) != expected:
        raise GoneError(source.path)
    written.rename(target)


def discard(written: Entry) -> None:
    """Remove what `prepare` wrote, if it is still in tmp."""
    with contextlib.suppress(FileNotFoundError):
        written.unlink()


def finish(source: Entry, target: Entry, *, expected: Identity) -> None:
    """Behind `publish`: retire the old message once the fresh one is on disk, or take the fresh one back (GoneError).

    The fsync between is what a power failure asks for: without it the removal may reach the disk and the delivery not.
    Where the old one is nowhere below its Maildir, the fresh one stays: a user who removed it just now sees it once
    more, but NFS also says 'no such file' of a removal that it did and had to repeat, and then ours is the only one.
    """
    try:
        target.folder.sync(target.part)
    except OSError:
        _take_back(source, target.folder, Name.parse(target.name).base, expected)
        raise
    conclude(source, target, expected=expected)


def conclude(source: Entry, target: Entry, *, expected: Identity) -> None:
    """The second half of `finish`, for who has synced the fresh message's folder, once for many of them."""
    folder, base = target.folder, Name.parse(target.name).base
    with contextlib.ExitStack() as held:
        try:
            handle = source.open()
            held.callback(os.close, handle)
            retired = retire(source, expected=expected)
        except FileNotFoundError:
            retired = False
        except OSError:
            _take_back(source, folder, base, expected)
            raise
        # To servers a MOVE is a link and then an unlink. Where the first came before ours and the second did not, the
        # user's copy is the message: ours would be its double.
        if retired and _was_linked(os.fstat(handle), expected, less=1) and _lies_elsewhere(source, expected):
            retract(folder, base)
            raise GoneError(source.path)
    if not retired and _take_back(source, folder, base, expected) is not None:
        raise GoneError(source.path)


def give_way(target: Entry, *, expected: Identity) -> None:
    """Behind a `move`: if a user's MOVE linked the message to another folder at that moment, remove our name for it.

    Then it is a GoneError.
    """
    if _was_linked(target.status(), expected) and _lies_elsewhere(target, expected):
        target.unlink()
        raise GoneError(target.path)


def _was_linked(status: os.stat_result, expected: Identity, *, less: int = 0) -> bool:
    """Whether a file has got another name since it was read; `less` of those that it had are gone by our own hand."""
    return expected.links is not None and status.st_nlink > expected.links - less


def _take_back(source: Entry, folder: OpenFolder, base: str, expected: Identity) -> TransferResult | None:
    """Remove the fresh message if the old one still exists: UNDONE where that lies, GONE if a user took it elsewhere.

    None if the old one is nowhere to be found, or is the fresh one, renamed. Nothing is removed then.
    """
    if _lies_near(source, expected):
        retract(folder, base)
        return TransferResult.UNDONE
    fresh = [file_identity(entry) for entry in folder.find(base)]
    if any(one is not None and one.inode != expected.inode for one in fresh) and _lies_elsewhere(source, expected):
        retract(folder, base)
        return TransferResult.GONE
    return None


def _lies_near(source: Entry, expected: Identity) -> bool:
    """Whether a message is in its folder under its base. Its inode tells it from another that was given its name."""
    base = Name.parse(source.name).base
    # A listing may miss a name that changes while it is read, so that one look proves presence and only two absence.
    return any(file_identity(entry) == expected for _ in range(2) for entry in source.folder.find(base))


def is_moving(entry: Entry, expected: Identity) -> bool:
    """Whether a message that was just read lies in another folder of its Maildir too: its user moves or copies it."""
    if expected.links is None or expected.links < 2:
        return False
    # Postfix delivers by a link from tmp, which for a moment is a second name as well.
    now = file_identity(entry)
    return now is not None and (now.links or 0) > 1 and _lies_elsewhere(entry, expected)


def _lies_elsewhere(entry: Entry, expected: Identity) -> bool:
    """Whether a message has a name in another place of its Maildir than that of `entry`.

    Servers and clients move by link or rename: the inode stays. Dovecot links it to the tmp of the other folder first.
    What lies there may still be given up, so this waits for its end, as long as this visit has patience left: a server
    that died may have left such a link for good. The tmp of the inbox does not count, as servers deliver from there.
    """
    mailbox = entry.folder.mailbox
    # Each change to the owner's identity and back takes as long as ten looks; no wait is within.
    with mailbox.owner.acting():
        folders = list(below(mailbox))
        # Names go from tmp to new and cur: looked at in this order, none is missed.
        linked = list(_names([folder for folder in folders if folder.name], ("tmp",), expected))
    for one in linked:
        while mailbox.patience > 0 and file_identity(one) == expected:
            mailbox.patience -= _TICK
            time.sleep(_TICK)
    with mailbox.owner.acting():
        return any(one.path != entry.path for one in _names(folders, ("new", "cur"), expected))


def _names(folders: Iterable[OpenFolder], parts: Sequence[AnyPart], expected: Identity) -> Iterator[Entry]:
    """The names of a message in these parts of folders, as long as this visit may search on."""
    for folder in folders:
        for part in parts:
            if folder.mailbox.search <= 0:
                return
            with contextlib.suppress(FileNotFoundError, NotADirectoryError, RefusedError):
                folder.mailbox.search -= 1
                listed = folder.listed(part)
                folder.mailbox.search -= len(listed)
                same = [folder.entry(part, one.name) for one in listed if one.inode() == expected.inode]
                yield from (one for one in same if file_identity(one) == expected)


def retire(source: Entry, *, expected: Identity) -> bool:
    """Remove the old message, if it still is under its name; False if not, or if the name is another's by now."""
    if file_identity(source) != expected:
        return False
    try:
        source.unlink()
    except FileNotFoundError:
        return False
    return True


def retract(folder: OpenFolder, base: str) -> bool:
    """Remove our own fresh message wherever readers renamed it to in `folder`; False if it is nowhere.

    A reader may rename it once more between the look and the removal, so this looks again.
    """
    for _ in range(20):
        entries = folder.find(base)
        if not entries:
            return False
        for entry in entries:
            try:
                entry.unlink()
            except FileNotFoundError:
                continue
            return True
    raise TimeoutError(f"{base} in {folder.path} is renamed faster than it can be removed")


def settle(source: Entry, folder: OpenFolder, *, base: str, expected: Identity) -> TransferResult:
    """After a crash: bring a `move` or `replace_with` to an end, by what is on disk. Safe to repeat.

    The arguments are what the journal noted before the act: the source, the target folder, the fresh base in it,
    and the identity of the message. The message is looked for under its base, as readers go on renaming. Where both
    the old and the fresh one exist the fresh one goes: the old one is what was delivered.
    """
    discard(folder.entry("tmp", base))
    taken_back = _take_back(source, folder, base, expected)
    if taken_back is not None:
        return taken_back
    return TransferResult.DONE if folder.find(base) else TransferResult.GONE


def dress(handle: int, like: os.stat_result, mode: int) -> None:
    """Give a file or folder the owner, the group and a mode of another.

    Owner first, as a change of owner takes mode bits away.
    """
    mine = os.fstat(handle)
    if (mine.st_uid, mine.st_gid) != (like.st_uid, like.st_gid):
        try:
            os.fchown(handle, like.st_uid, like.st_gid)
        except PermissionError:
            # Only root may give files away. Anyone else runs as the owner, and at most a group cannot be kept.
            if os.geteuid() == 0:
                raise
    os.fchmod(handle, mode)
