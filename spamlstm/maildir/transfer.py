"""Transfers of messages within a Maildir, many at once. No crash loses or doubles one: each is done or undone.

The caller journals its transfers and calls `carry_out`. After a crash it calls `settle` for each, which returns how far
it came. All system calls are in a fixed order, so that a test can stop before each one.

A transfer without content is a rename: the bytes, the date, the owner and the mode stay. After a crash the message has
its old name or its new one. (A link and an unlink would refuse to overwrite, but leave two messages in between.)

Delivered messages never change, as readers remember their sizes. So a transfer with content delivers a fresh file, with
the old message's date, owner and mode, and then removes the old one. What a crash leaves, in this order:

| state | old message | tmp of the folder | fresh message | `settle` |
|---|---|---|---|---|
| before | there | - | - | does nothing: UNDONE |
| writing | there | a part, or all | - | removes the file in tmp: UNDONE |
| published | there | - | there | removes the fresh one: UNDONE |
| concluded | - | - | there | does nothing: DONE |

In the third state a reader shows the message twice, until the next fsync or until `settle`. In the other order it would
be in tmp only, where servers remove what looks old: twice is better than never.
"""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum

from spamlstm.maildir.message_file import Identity, copy_owner, file_identity, is_linked_elsewhere, was_linked
from spamlstm.maildir.names import GoneError, Name
from spamlstm.maildir.opened import Entry, OpenFolder

# Threads that write fresh files: four take 0.2 ms a file, one takes 0.6 to 4 ms.
_WRITERS = 4


class TransferResult(StrEnum):
    """The result of a transfer."""

    DONE = "done"
    """The message is in its target, or was there and was moved on by others."""
    UNDONE = "undone"
    """The message is as it was, and can be transferred again."""
    GONE = "gone"
    """A user or a reader moved or removed the message meanwhile."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """A message and its new place: a fresh file with `content` there, or a rename if that is None.

    `expected` is the identity that `read_message` gave for `source`. The name of `target` has a base from
    `names.unique`, as a rename overwrites; only the rename that sets a keyword keeps the base.
    """

    source: Entry
    expected: Identity
    target: Entry
    content: bytes | None = None


@dataclass(slots=True)
class Attempt:
    """A transfer that is or was carried out. `error` says what made it impossible.

    `result` stays None if it is unknown where the message is, as a folder cannot be read: call `settle` later.
    """

    transfer: Transfer
    result: TransferResult | None = None
    error: OSError | None = None
    written: Entry | None = None
    """The fresh file in tmp."""

    @property
    def is_running(self) -> bool:
        """Return whether the attempt has neither a result nor an error yet."""
        return self.result is None and self.error is None

    def step(self, act: Callable[["Attempt"], None]) -> None:
        """Do the next step unless an earlier one ended the attempt."""
        if self.is_running:
            try:
                act(self)
            except GoneError:
                self.result = TransferResult.GONE
            except FileExistsError as error:
                # Nothing has changed. `settle` would take the file of that name for ours, and remove it.
                self.result, self.error = TransferResult.UNDONE, error
            except OSError as error:
                self.error = error


def carry_out(transfers: Iterable[Transfer]) -> list[Attempt]:
    """Carry out transfers whose intents are on disk; all is on disk when this returns. Raises no OSError.

    Each is DONE, GONE if a reader or a user was there first, or UNDONE with the error that made it impossible.
    """
    attempts = [Attempt(one) for one in transfers]
    # As root, the messages of each Maildir are moved as its owner.
    for mailbox, some in itertools.groupby(attempts, lambda attempt: attempt.transfer.source.folder.mailbox):
        with mailbox.owner.acting():
            _carry_out(list(some))
    return attempts


def _carry_out(attempts: Sequence[Attempt]) -> None:
    """Do each step for all of them, so that they share the fsync of each folder."""
    fresh = [one for one in attempts if one.transfer.content is not None]
    _write_all(fresh)
    for one in attempts:
        one.step(_rename if one.transfer.content is None else _publish)
    _sync(attempts, lambda transfer: transfer.target)
    for one in fresh:
        one.step(_conclude)
    _sync(attempts, lambda transfer: transfer.source)
    for one in attempts:
        if one.result is None:
            with contextlib.suppress(OSError):
                one.result = TransferResult.DONE if one.error is None else _settle(one.transfer)


def _write_all(attempts: Sequence[Attempt]) -> None:
    if len(attempts) < 2:
        for one in attempts:
            one.step(_write)
        return
    for one in attempts:
        # Before there are threads, as each would open what is not open.
        one.step(lambda attempt: attempt.transfer.target.folder.open_all())
    with ThreadPoolExecutor(_WRITERS) as writers:
        list(writers.map(lambda attempt: attempt.step(_write), attempts))


def _write(attempt: Attempt) -> None:
    """Write the fresh file to tmp and to disk, with the date and the mode of the old one; nothing after an error."""
    old, target = attempt.transfer.source, attempt.transfer.target
    try:
        status = old.status()
    except FileNotFoundError as error:
        raise GoneError(old.path) from error
    written = target.folder.entry("tmp", Name.parse(target.name).base)
    handle = written.create()
    try:
        try:
            left = memoryview(attempt.transfer.content or b"")
            while left:
                left = left[os.write(handle, left) :]
            # No set-id bits: a message must not become a program with the rights of whoever rewrites it.
            copy_owner(handle, status, status.st_mode & 0o666)
            os.utime(handle, ns=(status.st_atime_ns, status.st_mtime_ns))
            os.fsync(handle)
        finally:
            os.close(handle)
    except BaseException:
        _discard(written)
        raise
    attempt.written = written


def _publish(attempt: Attempt) -> None:
    """Deliver the fresh file: from here on readers see it. FileExistsError if the name is not fresh."""
    transfer, written = attempt.transfer, attempt.written
    assert written is not None  # noqa: S101  it was written without an error
    try:
        _check(transfer)
        written.rename(transfer.target)
    except (OSError, GoneError):
        _discard(written)
        raise


def _rename(attempt: Attempt) -> None:
    """Rename the message. If a user's MOVE has just linked it to another folder, remove our name for it (GoneError)."""
    transfer = attempt.transfer
    _check(transfer)
    transfer.source.rename(transfer.target)
    if was_linked(transfer.target.status(), transfer.expected) and is_linked_elsewhere(
        transfer.target, transfer.expected
    ):
        transfer.target.unlink()
        raise GoneError(transfer.target.path)


def _check(transfer: Transfer) -> None:
    """Raise GoneError unless the message is still what was read."""
    if file_identity(transfer.source) != transfer.expected:
        raise GoneError(transfer.source.path)


def _sync(attempts: Sequence[Attempt], entry_of: Callable[[Transfer], Entry]) -> None:
    """Bring each directory to disk once, for all the attempts that it matters to.

    Without the fsync between `_publish` and `_conclude`, a power failure may keep the removal and lose the delivery.
    """
    concerned: dict[tuple[str, str], list[Attempt]] = {}
    for one in attempts:
        if one.is_running:
            entry = entry_of(one.transfer)
            concerned.setdefault((entry.folder.path, entry.part), []).append(one)
    for some in concerned.values():
        entry = entry_of(some[0].transfer)
        try:
            entry.folder.sync(entry.part)
        except OSError as error:
            for one in some:
                one.error = error


def _conclude(attempt: Attempt) -> None:
    """Remove the old message, or take the fresh one back (GoneError) if readers or users changed the old one.

    If the old one is nowhere in its Maildir, the fresh one stays. A user who has just removed it sees it once more. But
    NFS reports 'no such file' for a removal that it has done and repeats, and then the fresh one is the only one.
    """
    transfer = attempt.transfer
    source, expected = transfer.source, transfer.expected
    folder, base = transfer.target.folder, Name.parse(transfer.target.name).base
    with contextlib.ExitStack() as held:
        try:
            handle = source.open()
            held.callback(os.close, handle)
            retired = _retire(source, expected)
        except FileNotFoundError:
            retired = False
        except OSError:
            _take_back(source, folder, base, expected)
            raise
        # Servers move by a link and then an unlink. If the link came before our removal and the unlink did not, the
        # user's copy is the message, and the fresh one would be its double.
        if retired and was_linked(os.fstat(handle), expected, less=1) and is_linked_elsewhere(source, expected):
            _retract(folder, base)
            raise GoneError(source.path)
    if not retired and _take_back(source, folder, base, expected) is not None:
        raise GoneError(source.path)


def settle(source: Entry, folder: OpenFolder, name: Name, *, expected: Identity) -> TransferResult:
    """Complete or undo a transfer that a crash or an error cut short, by what is on disk. Safe to repeat.

    The caller has journaled the arguments: the source, the target's folder and name, and the identity of the
    message. It is looked for under its base, as readers go on renaming it. Where both the old and the fresh message
    exist, the fresh one is removed: the old one is what was delivered. OSError if the folders cannot be read.
    """
    with source.folder.mailbox.owner.acting():
        old = Name.parse(source.name)
        if name.base == old.base:
            return _settle_keyword(folder, name, set(name.keywords) ^ set(old.keywords))
        try:
            folder.handle()
        except FileNotFoundError:
            # The target folder is gone. If the message is gone too, another program removed both.
            near = map(file_identity, source.folder.find(old.base))
            return TransferResult.UNDONE if expected in near else TransferResult.GONE
        _discard(folder.entry("tmp", name.base))
        taken_back = _take_back(source, folder, name.base, expected)
        if taken_back is not None:
            return taken_back
        return TransferResult.DONE if folder.find(name.base) else TransferResult.GONE


def _settle(transfer: Transfer) -> TransferResult:
    target = transfer.target
    return settle(transfer.source, target.folder, Name.parse(target.name), expected=transfer.expected)


def _settle_keyword(folder: OpenFolder, name: Name, changed: set[str]) -> TransferResult:
    """Return the result of a rename that sets a keyword, the only transfer that keeps the base name."""
    entries = folder.find(name.base)
    if not entries:
        return TransferResult.GONE
    now = Name.parse(entries[-1].name)
    same = all((letter in now.keywords) == (letter in name.keywords) for letter in changed)
    return TransferResult.DONE if same else TransferResult.UNDONE


def _discard(written: Entry) -> None:
    """Remove a fresh file that is still in tmp."""
    with contextlib.suppress(FileNotFoundError):
        written.unlink()


def _retire(source: Entry, expected: Identity) -> bool:
    """Remove the old message; False if it is not under its name any more, or if the name is another message's."""
    if file_identity(source) != expected:
        return False
    try:
        source.unlink()
    except FileNotFoundError:
        return False
    return True


def _take_back(source: Entry, folder: OpenFolder, base: str, expected: Identity) -> TransferResult | None:
    """Remove the fresh message if the old one still exists: UNDONE, or GONE if a user took the old one elsewhere.

    Returns None and removes nothing if the old one is not found, or is the fresh one, renamed.
    """
    old = Name.parse(source.name).base
    # A listing may miss a name that changes while it is read: one look proves presence, and only two prove absence.
    # The identity tells the old message from another that was given its name.
    if any(file_identity(entry) == expected for _ in range(2) for entry in source.folder.find(old)):
        _retract(folder, base)
        return TransferResult.UNDONE
    fresh = [file_identity(entry) for entry in folder.find(base)]
    if any(one is not None and one.inode != expected.inode for one in fresh) and is_linked_elsewhere(source, expected):
        _retract(folder, base)
        return TransferResult.GONE
    return None


def _retract(folder: OpenFolder, base: str) -> None:
    """Remove our fresh message, wherever readers renamed it to in `folder`.

    A reader may rename it again between the look and the removal, so this looks again.
    """
    for _ in range(20):
        entries = folder.find(base)
        if not entries:
            return
        for entry in entries:
            try:
                entry.unlink()
            except FileNotFoundError:
                continue
            return
    raise TimeoutError(f"{base} in {folder.path} is renamed faster than it can be removed")
