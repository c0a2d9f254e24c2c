"""Progress of training: counts of messages that come in batches, and lines with the time of day."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime

from rich.console import Console

from spamlstm.progress import show_progress

Tick = Callable[[int], None]


def silent(_: int) -> None:
    """Show nothing."""


def say(console: Console, line: str) -> None:
    """Print a line with the time of day, above the progress bar if there is one."""
    now = datetime.now().astimezone().strftime("%H:%M:%S")
    console.print(f"{now} {line}", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def shown(console: Console, what: str, *, each: int | None = None) -> Generator[Tick]:
    """Yield a function to call with the number of further messages done. `console` is the one of standard error.

    `each` is the number of messages in a round, such as an epoch; the bar starts again after each.
    """
    with show_progress(console, what, each, rounds=each is not None) as tell:
        done = 0

        def tick(more: int) -> None:
            nonlocal done
            done += more
            tell(done)

        yield tick
