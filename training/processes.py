"""Train several networks at the same time, each in a process with one thread.

Small networks gain little from a second thread: two processes with one thread each take two thirds of the time of one
after the other with two threads each.
"""

import contextlib
import multiprocessing
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import torch

from spamlstm.errors import UserError

Work = Callable[[Callable[[str], None]], object]
"""A function that does the work and gets a function to which it says its progress."""


def run_together(work: Sequence[tuple[str, Work]], *, most: int, say: Callable[[str], None]) -> None:
    """Run each function in a process of its own, at most `most` at a time, in order.

    The processes start as copies of this process, so the functions may use any object; their results are the files that
    they write. `say` gets their lines, each after the name of the function. A UserError ends only its process.
    """
    context = multiprocessing.get_context("fork")
    waiting = list(work)
    running: dict[Connection, tuple[str, BaseProcess]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < most:
                name, each = waiting.pop(0)
                reader, writer = context.Pipe(duplex=False)
                started = context.Process(target=_run, args=(each, writer), daemon=True)
                started.start()
                writer.close()  # so that the pipe ends with the process
                running[reader] = name, started
            ready = wait(running)
            for reader in [each for each in running if each in ready]:
                name, process = running[reader]
                try:
                    say(f"{name}: {reader.recv()}")
                except EOFError:
                    process.join()
                    del running[reader]
    finally:
        for _, process in running.values():
            process.terminate()
            process.join()


def _run(work: Work, lines: Connection) -> None:
    torch.set_num_threads(1)
    with contextlib.suppress(KeyboardInterrupt, UserError):
        work(lines.send)
