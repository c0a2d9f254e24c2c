"""Progress reports for long runs: a bar on a terminal, periodic lines in a log."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from spamlstm.wording import counted

LOG_EVERY_SECONDS = 10.0
REDRAW_EVERY = 64  # in messages; calling rich for each of 75,000 messages takes a tenth of the run


@contextmanager
def show_progress(
    console: Console, what: str, total: int | None = None, *, rounds: bool = False
) -> Generator[Callable[[int], None], None, None]:
    """Yield a function to call with the number of messages done. `console` is the console for standard error.

    With `rounds` the run consists of repeated rounds of `total` messages, and the bar starts again after each round.
    """
    if not console.is_terminal:
        yield _lines(console, what, None if rounds else total)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task, drawn = bar.add_task(what, total=total), 0

        def show(done: int) -> None:
            nonlocal drawn
            if done - drawn >= REDRAW_EVERY:
                drawn = done
                bar.update(task, completed=done % total if rounds and total else done)

        yield show


def _lines(console: Console, what: str, total: int | None) -> Callable[[int], None]:
    start = last = time.monotonic()

    def show(done: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= LOG_EVERY_SECONDS:
            last = now
            number = f"{done:,} of {counted(total, 'message')}" if total else counted(done, "message")
            speed = f"{done / (now - start):,.0f} a second"
            console.print(f"{what}: {number}, {speed}", markup=False, highlight=False, soft_wrap=True)

    return show
