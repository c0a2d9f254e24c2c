"""How many Maildirs are watched, and sentences for the administrator about those that are not."""

import errno
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

# Refused Maildirs are named one by one in the log, up to this number; more are only counted.
MOST_NAMED = 20
LIMITS = Path("/proc/sys/fs/inotify")


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many Maildirs the kernel reports on, how many are polled, are missing, or cannot be used.

    `remarks` are sentences for the administrator, one for each reason why Maildirs are polled or refused.
    """

    watched: int = 0
    polled: int = 0
    missing: int = 0
    remarks: tuple[str, ...] = ()
    refused: int = 0

    def without(self, refused: Mapping[str, Exception]) -> Self:
        """Return the coverage with these refused Maildirs, by path; the first ones are named in the remarks."""
        reasons = [str(error) for _, error in zip(range(MOST_NAMED), refused.values(), strict=False)]
        return replace(self, refused=len(refused), remarks=(*self.remarks, *reasons))

    def counts(self) -> dict[str, int]:
        """Return the numbers by name; refused only if there are any."""
        counts = {"watched": self.watched, "polled": self.polled, "missing": self.missing, "refused": self.refused}
        return {name: count for name, count in counts.items() if count or name != "refused"}


def watch_remarks(error: int, *, unwatched: int, remote: int, total: int) -> Iterator[str]:
    """Yield why Maildirs are polled: `remote` ones, and `unwatched` ones refused with the errno `error`."""
    instead = "they are polled every few seconds instead"
    if remote:
        yield (
            f"{remote} of {total} Maildirs are on file systems where other hosts deliver without notice (NFS, …): "
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
            f"the kernel gives this user no further inotify instance{'' if most is None else f' of its {most}'}: "
            f"{instead}; raise the limit with sysctl fs.inotify.max_user_instances"
        )
    else:
        reason = os.strerror(error) if error else "they vanish"
        yield f"{unwatched} of {total} Maildirs cannot be watched ({reason}): {instead}"


def inotify_limit(name: str) -> int | None:
    """Return the kernel's limit `max_user_watches` or `max_user_instances`; None if it cannot be read."""
    try:
        return int((LIMITS / name).read_text())
    except (OSError, ValueError):
        return None
