"""The owner of a Maildir and its files. A process of root takes the owner's identity while it works in the Maildir."""

import contextlib
import os
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from spamlstm.errors import UnavailableError

_NOBODY = 65534
_UNCHANGED = contextlib.nullcontext()
IDENTITY = threading.Lock()
"""Held while the process has the identity of an owner, and by other threads that open files or start programs."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The user and the group that own a Maildir."""

    uid: int
    gid: int
    by_root: bool
    """True if this process is root and must act as the owner."""

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """Return the owner of a directory.

        If a user other than root owns the directory, root's group is replaced by nobody's group.
        """
        gid = status.st_gid or _NOBODY if status.st_uid else 0
        return cls(status.st_uid, gid, os.getuid() == 0)

    def acting(self) -> contextlib.AbstractContextManager[None]:
        """Return a context in which a root process has only the rights of this user and group.

        For other processes, the context changes nothing. Raises UnavailableError if root may not change its identity.
        """
        if not self.by_root or not self.uid or os.geteuid() == self.uid:
            return _UNCHANGED
        return _Acting(self)

    def owns(self, handle: int) -> bool:
        """Return whether an open directory belongs to this user.

        Always returns True if this process is not root, because the kernel then checks the permissions.
        """
        return not self.by_root or os.fstat(handle).st_uid == self.uid


class _Acting:
    """A context in which all threads of the process have the effective user and group of an owner."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._before: tuple[list[int], int] = [], 0

    def __enter__(self) -> None:
        if os.geteuid() != 0:
            raise RuntimeError("this process acts as another user already")
        IDENTITY.acquire()
        try:
            self._before = os.getgroups(), os.getegid()
        except BaseException:  # without memory or by Ctrl-C; nothing has changed yet
            IDENTITY.release()
            raise
        try:
            os.setgroups([])
            os.setegid(self._owner.gid)
            os.seteuid(self._owner.uid)
        except OSError as error:
            self._give_back()
            # A user namespace has no number for a user who is not mapped (EINVAL).
            is_refused = isinstance(error, PermissionError)
            why = "CAP_SETUID and CAP_SETGID are missing" if is_refused else f"user {self._owner.uid}: {error.strerror}"
            raise UnavailableError(
                f"root may not act as the owner of a Maildir here ({why}); run spamlstm as the user who owns the mail"
            ) from error
        except BaseException:  # Ctrl-C
            self._give_back()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._give_back()

    def _give_back(self) -> None:
        groups, gid = self._before
        try:
            self._restore(groups, gid)
        finally:
            IDENTITY.release()

    def _restore(self, groups: list[int], gid: int) -> None:
        # The user is restored first, because only root may change the groups.
        os.seteuid(0)
        os.setegid(gid)
        with contextlib.suppress(PermissionError):
            os.setgroups(groups)


def copy_owner(handle: int, like: os.stat_result, mode: int) -> None:
    """Set the owner and the group of an open file or folder to those of `like`, and its mode to `mode`.

    The owner is set first, because a change of owner clears mode bits.
    """
    mine = os.fstat(handle)
    if (mine.st_uid, mine.st_gid) != (like.st_uid, like.st_gid):
        try:
            os.fchown(handle, like.st_uid, like.st_gid)
        except PermissionError:
            # Only root may change the owner of a file. Another user owns the file already, and at worst cannot set the
            # group.
            if os.geteuid() == 0:
                raise
    os.fchmod(handle, mode)
