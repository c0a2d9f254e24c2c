"""The few moves of a message that lose nothing.

No watching and no journal here: the caller writes down what it is about to do, calls one of these, and after a crash
asks `settle` how far it came. Plain system calls, one after the other, so that a test can stop at each.
"""

# os, as in maildir:
# ruff: noqa: PTH104, PTH108, PTH112, PTH118, PTH119, PTH120, PTH123

import contextlib
import fcntl
import os
import signal
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from spamlstm.mail.maildir import PARTS, GoneError, Name, Part, find

# A server that moves messages has a link to each in tmp until it has linked all: up to two seconds are waited for that.
_TICK, _PATIENCE = 0.02, 100


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
        return cls(status.st_ino, status.st_mtime_ns, status.st_size, status.st_nlink)


class Outcome(StrEnum):
    """What became of a move or a replacement that a crash cut short."""

    DONE = "done"
    """The message is in its target, or was there and went on from there by other hands."""

    UNDONE = "undone"
    """The message is as it was, and can be acted on again."""

    GONE = "gone"
    """It is neither here nor there: a user moved or removed it meanwhile."""


def identity(path: str) -> Identity | None:
    """Whose name this is now, or None if nobody's. Other OSErrors are the caller's."""
    try:
        return Identity.of(os.lstat(path))
    except FileNotFoundError:
        return None


def read(path: str) -> tuple[bytes, Identity]:
    """A message's bytes and whose they are, from one open file; no link is followed. GoneError if it is gone."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise GoneError(path) from error
    with open(handle, "rb", buffering=0) as stream:
        return stream.readall(), Identity.of(os.fstat(handle))


def is_being_written(path: str) -> bool:
    """Whether someone has this file open for writing; False where the kernel cannot tell, or the file is gone.

    No delivery by the rules is: what comes by link or rename is complete. But `cat > Maildir/new/x` is done, and to
    replace such a file half-way would lose the rest. The kernel gives nobody a read lease on a file that is open for
    writing, and to the owner (or root) on any other. Not to be asked on file systems of other hosts, where the
    refusal means nothing.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
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


def sync(folders: Iterable[str]) -> None:
    """Bring the names in these folders to disk, each once, in the order given."""
    for folder in dict.fromkeys(folders):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def move(source: str, folder: str, *, name: Name, part: Part) -> tuple[str, ...]:
    """Rename the message at `source` to `name` in `part` of `folder`; gives the folders to `sync`, the target first.

    `name` must have a base from `unique`: a rename overwrites, and only a fresh base makes sure that there is nothing
    to overwrite. (link and unlink would refuse to, but leave two messages at a crash between them.) Bytes, date, owner
    and mode stay. At a crash the message is under its old name or under its new one, never under both or neither.

    GoneError if the source is gone; FileExistsError if the name is not fresh; any other OSError, and nothing happened.
    """
    target = os.path.join(folder, part, str(name.within(part)))
    _rename_to_fresh(source, target)
    return os.path.dirname(target), os.path.dirname(source)


def _rename_to_fresh(source: str, target: str) -> None:
    if os.path.lexists(target):
        raise FileExistsError(f"{target} exists")
    try:
        os.rename(source, target)
    except FileNotFoundError as error:
        if os.path.isdir(os.path.dirname(target)):
            raise GoneError(source) from error
        raise


def replace_with(
    source: str, content: bytes, folder: str, *, name: Name, part: Part, expected: Identity
) -> tuple[str, ...]:
    """Put `content` in place of the message at `source`, as a fresh file; gives the folders yet to `sync`.

    Delivered messages never change, as readers remember their sizes; so it is a new message under a new base, with
    the old one's date, owner and mode. `name` has a base from `unique`; its sizes are made those of `content` here.
    `expected` is what `read` gave with the bytes that `content` was made from.

    What a crash leaves, in this order:

    | state | the old message | tmp of `folder` | the fresh message | what `settle` does |
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
    target = os.path.join(folder, part, str(sized(name, content, base=name.base).within(part)))
    written = prepare(content, folder, base=name.base, like=source)
    try:
        publish(written, target, source=source, expected=expected)
    except BaseException:
        discard(written)
        raise
    return finish(source, folder, base=name.base, target=target, expected=expected)


def sized(name: Name, content: bytes, *, base: str) -> Name:
    """`name` for a fresh file that holds `content`, for the same folder; `elsewhere` then makes it one for another."""
    bare = content.count(b"\n") - content.count(b"\r\n")
    return name.rewritten(base=base, size=len(content), wire_size=len(content) + bare)


def prepare(content: bytes, folder: str, *, base: str, like: str) -> str:
    """Write `content` to tmp of `folder`, on disk and dressed like the message `like`; gives its path.

    GoneError if `like` is gone. After any error nothing is left in tmp.
    """
    try:
        status = os.lstat(like)
    except FileNotFoundError as error:
        raise GoneError(like) from error
    path = os.path.join(folder, "tmp", base)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            _write(handle, content)
            dress(handle, status, stat.S_IMODE(status.st_mode))
            os.utime(handle, ns=(status.st_atime_ns, status.st_mtime_ns))
            os.fsync(handle)
        finally:
            os.close(handle)
    except BaseException:
        discard(path)
        raise
    return path


def _write(handle: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(handle, left) :]


def publish(written: str, target: str, *, source: str, expected: Identity) -> None:
    """Deliver what `prepare` wrote, under a fresh name: from here on readers see it.

    GoneError if the message at `source` is no longer the one expected; FileExistsError if the name is not fresh.
    """
    if identity(source) != expected:
        raise GoneError(source)
    _rename_to_fresh(written, target)


def discard(written: str) -> None:
    """Take away what `prepare` wrote, if it is still in tmp."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(written)


def finish(source: str, folder: str, *, base: str, target: str, expected: Identity) -> tuple[str, ...]:
    """Behind `publish`: retire the old message once the fresh one is on disk, or take the fresh one back (GoneError).

    The fsync between is what a power failure asks for: without it the removal may reach the disk and the delivery not.
    Where the old one is nowhere below its Maildir, the fresh one stays: a user who removed it just now sees it once
    more, but NFS also says 'no such file' of a removal that it did and had to repeat, and then ours is the only one.
    """
    try:
        sync([os.path.dirname(target)])
    except OSError:
        _take_back(source, folder, base=base, expected=expected)
        raise
    return conclude(source, folder, base=base, expected=expected)


def conclude(source: str, folder: str, *, base: str, expected: Identity) -> tuple[str, ...]:
    """The second half of `finish`, for who has synced the fresh message's folder, once for many of them."""
    home = os.path.dirname(os.path.dirname(source))
    with contextlib.ExitStack() as held:
        try:
            handle = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            held.callback(os.close, handle)
            retired = retire(source, expected=expected)
        except FileNotFoundError:
            retired = False
        except OSError:
            _take_back(source, folder, base=base, expected=expected)
            raise
        # To servers a MOVE is a link and then an unlink. Where the first came before ours and the second did not, the
        # user's copy is the message: ours would be its double.
        if retired and _was_linked(os.fstat(handle), expected, less=1) and _lies_elsewhere(home, expected):
            retract(folder, base)
            raise GoneError(source)
    if not retired and _take_back(source, folder, base=base, expected=expected) is not None:
        raise GoneError(source)
    return (os.path.dirname(source),)


def give_way(target: str, *, home: str, expected: Identity) -> None:
    """Behind a `move` of a message of the Maildir `home`: if a user's MOVE linked it to another folder at that moment,
    take away our name for it (GoneError).
    """
    if _was_linked(os.lstat(target), expected) and _lies_elsewhere(home, expected, but=target):
        os.unlink(target)
        raise GoneError(target)


def _was_linked(status: os.stat_result, expected: Identity, *, less: int = 0) -> bool:
    """Whether a file has got another name since it was read; `less` of those that it had are gone by our own hand."""
    return expected.links is not None and status.st_nlink > expected.links - less


def _take_back(source: str, folder: str, *, base: str, expected: Identity) -> Outcome | None:
    """Remove the fresh message if the old one still exists: UNDONE where that lies, GONE if a user took it elsewhere.

    None if the old one is nowhere to be found, or is the fresh one, renamed. Nothing is removed then.
    """
    if _lies_near(source, expected):
        retract(folder, base)
        return Outcome.UNDONE
    fresh = [identity(entry.path) for entry in find(folder, base)]
    home = os.path.dirname(os.path.dirname(source))
    if any(one is not None and one.inode != expected.inode for one in fresh) and _lies_elsewhere(home, expected):
        retract(folder, base)
        return Outcome.GONE
    return None


def _lies_near(source: str, expected: Identity) -> bool:
    """Whether a message is in its folder under its base. Its inode tells it from another that was given its name."""
    origin, name = os.path.dirname(os.path.dirname(source)), Name.parse(os.path.basename(source))
    # A listing may miss a name that changes while it is read, so that one look proves presence and only two absence.
    return any(identity(entry.path) == expected for _ in range(2) for entry in find(origin, name.base))


def is_moving(path: str, home: str, expected: Identity) -> bool:
    """Whether a message that was just read lies in another folder of its Maildir too: its user moves or copies it."""
    if expected.links is None or expected.links < 2:
        return False
    # Postfix delivers by a link from tmp, which for a moment is a second name as well.
    now = identity(path)
    return now is not None and (now.links or 0) > 1 and _lies_elsewhere(home, expected, but=path)


def _lies_elsewhere(home: str, expected: Identity, *, but: str = "") -> bool:
    """Whether a message went to another folder of its Maildir. Servers and clients move by link or rename: its inode
    stays. Looked for only when it left at the very moment that it was acted on, so that it may take its time.

    Dovecot links it to the tmp of that folder first. What lies there may still be given up, so this waits for its end.
    """
    for _ in range(_PATIENCE):
        parts = {os.path.basename(os.path.dirname(path)) for path in _links(home, expected) if path != but}
        if parts != {"tmp"}:
            return bool(parts)
        time.sleep(_TICK)
    return False


def _links(home: str, expected: Identity) -> Iterator[str]:
    """The names of a message in the folders of its Maildir. tmp is listed first, as names go from there to new and cur;
    that of the inbox is not, where the server delivers.
    """
    for path, folders, _ in os.walk(home):
        folders.sort(key=lambda name: name != "tmp")
        if path == home and "tmp" in folders:
            folders.remove("tmp")
        if os.path.basename(path) in PARTS:
            folders.clear()
            with os.scandir(path) as entries:
                same = [entry.path for entry in entries if entry.inode() == expected.inode]
            yield from (one for one in same if identity(one) == expected)


def retire(source: str, *, expected: Identity) -> bool:
    """Remove the old message, if it still is under its name; False if not, or if the name is another's by now."""
    if identity(source) != expected:
        return False
    try:
        os.unlink(source)
    except FileNotFoundError:
        return False
    return True


def retract(folder: str, base: str) -> bool:
    """Remove our own fresh message wherever readers renamed it to in `folder`; False if it is nowhere.

    A reader may rename it once more between the look and the removal, so this looks again.
    """
    for _ in range(20):
        entries = find(folder, base)
        if not entries:
            return False
        for entry in entries:
            try:
                os.unlink(entry.path)
            except FileNotFoundError:
                continue
            return True
    raise TimeoutError(f"{base} in {folder} is renamed faster than it can be removed")


def settle(source: str, folder: str, *, base: str, expected: Identity) -> Outcome:
    """After a crash: bring a `move` or `replace_with` to an end, by what is on disk. Safe to repeat.

    The arguments are what the journal noted before the act: the source path, the target folder, the fresh base in it,
    and the identity of the message. The message is looked for under its base, as readers go on renaming. Where both
    the old and the fresh one exist the fresh one goes: the old one is what was delivered.
    """
    discard(os.path.join(folder, "tmp", base))
    taken_back = _take_back(source, folder, base=base, expected=expected)
    if taken_back is not None:
        return taken_back
    return Outcome.DONE if find(folder, base) else Outcome.GONE


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
