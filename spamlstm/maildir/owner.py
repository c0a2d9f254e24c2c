"""The owner of a Maildir, and acting as that user if this process is root."""

import contextlib
import os
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from spamlstm.errors import UnavailableError

_NOBODY = 65534
_UNCHANGED = contextlib.nullcontext()


@dataclass(frozen=True, slots=True)
class Owner:
    """The user and the group that a Maildir belongs to."""

    uid: int
    gid: int
    by_root: bool
    """True if this process is root, which must act as the owner."""

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """Return the owner of a directory. For another user than root, the group root is replaced by nobody's."""
        gid = status.st_gid or _NOBODY if status.st_uid else 0
        return cls(status.st_uid, gid, os.getuid() == 0)

    def acting(self) -> contextlib.AbstractContextManager[None]:
        """Return a context in which a root process has the rights of this user and group and no others.

        UnavailableError if root may not change its identity.
        """
        if not self.by_root or not self.uid or os.geteuid() == self.uid:
            return _UNCHANGED
        return _Acting(self)

    def owns(self, handle: int) -> bool:
        """Return whether an open directory is this user's. Always true unless this is root: then the kernel checks."""
        return not self.by_root or os.fstat(handle).st_uid == self.uid


class _Acting:
    """Takes the effective user and group of an owner and gives them back, for all threads of the process."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._before: tuple[list[int], int] = [], 0

    def __enter__(self) -> None:
        if os.geteuid() != 0:
            raise RuntimeError("this process acts as another user already")
        self._before = os.getgroups(), os.getegid()
        try:
            os.setgroups([])
            os.setegid(self._owner.gid)
            os.seteuid(self._owner.uid)
        except PermissionError as error:
            self._give_back()
            raise UnavailableError(
                "root may not act as the owner of a Maildir here (CAP_SETUID and CAP_SETGID are missing); run spamlstm"
                " as the user who owns the mail"
            ) from error

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._give_back()

    def _give_back(self) -> None:
        groups, gid = self._before
        # The user first, as only root may change the groups.
        os.seteuid(0)
        os.setegid(gid)
        with contextlib.suppress(PermissionError):
            os.setgroups(groups)
