"""How far a long run is: a bar where someone watches, a line now and then where a log does."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

LOG_EVERY_SECONDS = 30.0

Tick = Callable[[int], None]


def silent(_: int) -> None:
    """Shows nothing."""


def say(console: Console, line: str) -> None:
    """One line with the time of day; above the bar, if there is one."""
    now = datetime.now().astimezone().strftime("%H:%M:%S")
    console.print(f"{now} {line}", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def shown(console: Console, what: str, *, each: int | None = None) -> Generator[Tick]:
    """Give a function to call with how many more messages are done. `console` is the one of standard error.

    With `each` the bar shows rounds of so many messages, as epochs are; else it only counts.
    """
    if not console.is_terminal:
        yield _lines(console, what)
        return
    text = TextColumn("{task.description}")
    with Progress(
        SpinnerColumn(), text, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console, transient=True
    ) as bar:
        task, done = bar.add_task(what, total=each), 0

        def tick(more: int) -> None:
            nonlocal done
            done += more
            bar.update(task, completed=done % each if each else done)

        yield tick


def _lines(console: Console, what: str) -> Tick:
    start = last = time.monotonic()
    done = 0

    def tick(more: int) -> None:
        nonlocal done, last
        done += more
        now = time.monotonic()
        if now - last >= LOG_EVERY_SECONDS:
            last = now
            say(console, f"{what}: {done:,} messages, {done / (now - start):,.0f} a second")

    return tick
