"""How far a long run is: a bar where someone watches, a line now and then where a log does."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LOG_EVERY_SECONDS = 10.0
REDRAW_EVERY = 64  # messages; asking rich for each of 75,000 costs a tenth of the run


@contextmanager
def show_progress(
    console: Console, what: str, total: int | None = None
) -> Generator[Callable[[int], None], None, None]:
    """Give a function to call with the number of messages done. `console` is the one of standard error."""
    if not console.is_terminal:
        yield _lines(console, what, total)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)

        def tell(done: int) -> None:
            if done % REDRAW_EVERY == 0:
                bar.update(task, completed=done)

        yield tell


def _lines(console: Console, what: str, total: int | None) -> Callable[[int], None]:
    start = last = time.monotonic()

    def tell(done: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= LOG_EVERY_SECONDS:
            last = now
            of = f" of {total}" if total else ""
            rate = done / (now - start)
            console.print(f"{what}: {done}{of} messages, {rate:.0f} a second", highlight=False, soft_wrap=True)

    return tell
