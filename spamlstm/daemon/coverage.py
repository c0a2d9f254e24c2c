"""The number of watched Maildirs, and the reasons why other Maildirs are not watched, for the administrator."""

import errno
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

# The log names at most this number of refused Maildirs. Further refused Maildirs are only counted.
MOST_NAMED = 20
LIMITS = Path("/proc/sys/fs/inotify")


@dataclass(frozen=True, slots=True)
class Coverage:
    """Numbers of Maildirs that are watched by inotify, polled, missing or refused (not usable).

    `remarks` are sentences for the administrator, one for each reason why Maildirs are polled or refused.
    """

    watched: int = 0
    polled: int = 0
    missing: int = 0
    remarks: tuple[str, ...] = ()
    refused: int = 0

    def without(self, refused: Mapping[str, Exception]) -> Self:
        """Return a copy of the coverage with the refused Maildirs added: their number, and the first errors as remarks.

        `refused` has the error by Maildir path.
        """
        reasons = [str(error) for _, error in zip(range(MOST_NAMED), refused.values(), strict=False)]
        return replace(self, refused=len(refused), remarks=(*self.remarks, *reasons))

    def counts(self) -> dict[str, int]:
        """Return the numbers by name. The number of refused Maildirs is left out if it is 0."""
        counts = {"watched": self.watched, "polled": self.polled, "missing": self.missing, "refused": self.refused}
        return {name: count for name, count in counts.items() if count or name != "refused"}


def watch_remarks(error: int, *, unwatched: int, remote: int, total: int) -> Iterator[str]:
    """Yield a sentence for each reason why Maildirs are polled instead of watched.

    `remote` Maildirs are on network file systems. The kernel refused watches for `unwatched` Maildirs, with the errno
    `error`. `total` is the number of existing Maildirs.
    """
    instead = "they are polled every few seconds instead"
    if remote:
        yield (
            f"{remote} of {total} Maildirs are on file systems (NFS, …) that do not report deliveries by other hosts: "
            f"{instead}"
        )
    if unwatched <= 0:
        return
    if error == errno.ENOSPC:
        most = inotify_limit("max_user_watches")
        yield (
            f"the kernel allows this user {'no more' if most is None else f'only {most}'} inotify watches, too few for"
            f" {unwatched} of {total} Maildirs: {instead}; raise the limit with"
            f" sysctl fs.inotify.max_user_watches={max(65_536, -(-2 * total // 8192) * 8192)}"
        )
    elif error == errno.EMFILE:
        most = inotify_limit("max_user_instances")
        yield (
            f"the kernel allows this user no further inotify instance{'' if most is None else f' beyond {most}'}: "
            f"{instead}; raise the limit with sysctl fs.inotify.max_user_instances"
        )
    else:
        reason = os.strerror(error) if error else "they disappeared"
        yield f"{unwatched} of {total} Maildirs cannot be watched ({reason}): {instead}"


def inotify_limit(name: str) -> int | None:
    """Return the inotify limit of the kernel with this name, or None if the limit cannot be read.

    `name` is `max_user_watches` or `max_user_instances`.
    """
    try:
        return int((LIMITS / name).read_text())
    except (OSError, ValueError):
        return None
