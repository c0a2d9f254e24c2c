"""Transfers of messages within a Maildir, in batches. A crash neither loses nor duplicates a message.

The caller journals its transfers and calls `carry_out`. After a crash the caller calls `settle` for each transfer,
which completes or undoes the transfer and returns the result. All system calls are in a fixed order, so that a test can
simulate a crash before each call.

A transfer without content is a rename, which keeps the bytes, the date, the owner and the mode. After a crash the
message has either its old name or its new name. (A link and an unlink would refuse to overwrite, but would leave two
messages in between.)

Delivered messages never change, because mail programs remember their sizes. So a transfer with content delivers a fresh
file, with the old message's date, owner and mode, and then removes the old file. A crash leaves one of these states, in
this order:

| state | old message | tmp of the folder | fresh message | `settle` |
|---|---|---|---|---|
| before | exists | - | - | does nothing: UNDONE |
| writing | exists | a part, or all | - | removes the file in tmp: UNDONE |
| published | exists | - | exists | removes the fresh message: UNDONE |
| concluded | - | - | exists | does nothing: DONE |

In the third state a mail program shows the message twice, until the next fsync or until `settle`. In the opposite order
of removal and delivery, the message would be in tmp only, where servers remove old files. A duplicate is better than a
loss.
"""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum

from spamlstm.maildir.entry import Entry
from spamlstm.maildir.message_file import Identity, file_identity, is_linked_elsewhere, was_linked
from spamlstm.maildir.names import GoneError, Name
from spamlstm.maildir.opened import OpenFolder
from spamlstm.maildir.owner import copy_owner

# The number of threads that write fresh files. Four threads take 0.2 ms a file, and one takes 0.6 to 4 ms.
_WRITERS = 4


class TransferResult(StrEnum):
    """The result of a transfer."""

    DONE = "done"
    """The message is at its target, or was there before another program moved it."""

    UNDONE = "undone"
    """The message is unchanged and can be transferred again."""

    GONE = "gone"
    """A user or a mail program moved or removed the message meanwhile."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """A message and its new place. The target is a fresh file with `content`, or the renamed file if `content` is None.

    `expected` is the identity that `read_message` returned for `source`. The name of `target` has a base name from
    `names.unique`, because a rename overwrites. Only the rename that sets a keyword keeps the base name.
    """

    source: Entry
    expected: Identity
    target: Entry
    content: bytes | None = None


@dataclass(slots=True)
class Attempt:
    """A transfer that is or was carried out. `error` is the error that made the transfer impossible.

    `result` is None after an error if the place of the message is unknown, because a folder cannot be read. The caller
    then calls `settle` later.
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
        """Do the next step, unless an earlier step ended the attempt."""
        if self.is_running:
            try:
                act(self)
            except GoneError:
                self.result = TransferResult.GONE
            except FileExistsError as error:
                # Nothing has changed. `settle` would take the file of that name for our fresh file and remove it.
                self.result, self.error = TransferResult.UNDONE, error
            except OSError as error:
                self.error = error


def carry_out(transfers: Iterable[Transfer]) -> list[Attempt]:
    """Carry out transfers and make them durable (fsynced). Their intents must be on disk. Never raises OSError.

    A result is DONE, GONE if a mail program or a user changed the message first, or UNDONE with the error that made the
    transfer impossible. An unknown result is None.
    """
    attempts = [Attempt(one) for one in transfers]
    # If this process is root, the messages of each Maildir are moved as the owner of the Maildir.
    for mailbox, some in itertools.groupby(attempts, lambda attempt: attempt.transfer.source.folder.mailbox):
        with mailbox.owner.acting():
            _carry_out(list(some))
    return attempts


def _carry_out(attempts: Sequence[Attempt]) -> None:
    """Do each step for all attempts before the next step, so that one fsync of a folder serves all attempts."""
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
        # The folder is opened before the threads start, because otherwise each thread would open it.
        one.step(lambda attempt: attempt.transfer.target.folder.open_all())
    with ThreadPoolExecutor(_WRITERS) as writers, contextlib.suppress(RuntimeError):
        list(writers.map(lambda attempt: attempt.step(_write), attempts))
    # If no thread can be started (RLIMIT_NPROC, TasksMax), this thread writes the remaining files.
    for one in attempts:
        if one.written is None:
            one.step(_write)


def _write(attempt: Attempt) -> None:
    """Write the fresh file to tmp and to disk, with the date and the mode of the old file. Remove it after an error."""
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
            # Set-id bits are not copied, so that a message does not become a program with the rights of its writer.
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
    """Deliver the fresh file, so that mail programs see it. Raises FileExistsError if the name exists."""
    transfer, written = attempt.transfer, attempt.written
    assert written is not None  # noqa: S101  `_write` succeeded
    try:
        _check(transfer)
        written.rename(transfer.target)
    except (OSError, GoneError):
        _discard(written)
        raise


def _rename(attempt: Attempt) -> None:
    """Rename the message.

    Raises GoneError if a user's MOVE has just linked the message to another folder. The new name is then removed.
    """
    transfer = attempt.transfer
    _check(transfer)
    transfer.source.rename(transfer.target)
    if was_linked(transfer.target.status(), transfer.expected) and is_linked_elsewhere(
        transfer.target, transfer.expected
    ):
        transfer.target.unlink()
        raise GoneError(transfer.target.path)


def _check(transfer: Transfer) -> None:
    """Raise GoneError unless the file at the source still has the expected identity."""
    if file_identity(transfer.source) != transfer.expected:
        raise GoneError(transfer.source.path)


def _sync(attempts: Sequence[Attempt], entry_of: Callable[[Transfer], Entry]) -> None:
    """Make the names in each directory durable with one fsync, for all running attempts with an entry in the directory.

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
    """Remove the old message, or remove the fresh message if a mail program or a user changed the old message.

    If the old message is nowhere in its Maildir, the fresh message stays. A user who has just removed the old message
    then sees the message again. But NFS also reports 'no such file' for a successful removal that it repeats, and the
    fresh message is then the only message. Raises GoneError if the fresh message was removed.
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
        # Servers move a message by a link and then an unlink. If the link came before our removal and the unlink did
        # not, the user's copy is the message, and the fresh message would be a duplicate.
        if retired and was_linked(os.fstat(handle), expected, less=1) and is_linked_elsewhere(source, expected):
            _retract(folder, base)
            raise GoneError(source.path)
    if not retired and _take_back(source, folder, base, expected) is not None:
        raise GoneError(source.path)


def settle(source: Entry, folder: OpenFolder, name: Name, *, expected: Identity) -> TransferResult:
    """Complete or undo an interrupted transfer according to the files on disk, and return the result. Safe to repeat.

    The caller has journaled the arguments, which are the source, the folder and the name of the target, and the
    identity of the message. The message is looked up by its base name, because mail programs may rename it. If both the
    old and the fresh message exist, the fresh message is removed, because the old message is the delivered file. Raises
    OSError if the folders cannot be read.
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
    """Return the result of a rename that sets or removes keywords, the only transfer that keeps the base name."""
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
    """Remove the old message. Returns False if its name is missing or belongs to another message."""
    if file_identity(source) != expected:
        return False
    try:
        source.unlink()
    except FileNotFoundError:
        return False
    return True


def _take_back(source: Entry, folder: OpenFolder, base: str, expected: Identity) -> TransferResult | None:
    """Remove the fresh message if the old message still exists, and return UNDONE or GONE.

    The result is GONE if a user moved the old message elsewhere. Returns None and removes nothing if the old message is
    not found, or if the fresh message is the renamed old message.
    """
    old = Name.parse(source.name).base
    # A listing may miss a name that changes during the listing. One listing proves presence, but only two prove
    # absence. The identity distinguishes the old message from another message with its name.
    if any(file_identity(entry) == expected for _ in range(2) for entry in source.folder.find(old)):
        _retract(folder, base)
        return TransferResult.UNDONE
    fresh = [file_identity(entry) for entry in folder.find(base)]
    if any(one is not None and one.inode != expected.inode for one in fresh) and is_linked_elsewhere(source, expected):
        _retract(folder, base)
        return TransferResult.GONE
    return None


def _retract(folder: OpenFolder, base: str) -> None:
    """Remove our fresh message in `folder`, under any name that a mail program has given it.

    If a mail program renames the message between the lookup and the removal, the lookup is repeated.
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
