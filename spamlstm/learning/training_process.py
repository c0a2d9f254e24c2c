"""The process that trains a model: it has the lowest priority, few cores and bounded memory."""

import os
import resource
import signal
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from spamlstm.errors import TemporaryError
from spamlstm.model.workers import same_modules

# The most memory that the training process may write to. Its resident memory stays below this limit (measured by
# benchmarks/retraining.py).
MOST_BYTES = 1_500 << 20
CORES = 2


@contextmanager
def ended_by_signals() -> Generator[None]:
    """End the `with` block at SIGTERM and SIGHUP as at Ctrl-C, so that it cleans up, and then end this process by them.

    Without this, the training process would go on, and copies of mail would stay on the disk. A signal that is ignored,
    as by nohup, stays ignored.
    """
    received: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        if len(received) == 1:  # a further signal, such as a second Ctrl-C, must not interrupt the cleaning up
            raise KeyboardInterrupt

    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    handlers = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in handlers:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if received:
            signal.raise_signal(received[0])


def run_training(command: Sequence[str], *, lock: int) -> None:
    """Run a training command with the lowest priority, on two cores and in bounded memory.

    The training process inherits the file descriptor `lock`. The lock is therefore held until that process ends, even
    if the calling process is killed. An exception, such as that of Ctrl-C, ends the training process.

    Raises TemporaryError if the command fails.
    """
    # PASSIVE, because busy-waiting threads make training ten times slower on a busy machine.
    environment = {**same_modules(), "OMP_WAIT_POLICY": "PASSIVE"}
    # The training process inherits the mask. A terminal sends Ctrl-C to both processes, and the training process would
    # show a traceback.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        process = subprocess.Popen(command, env=environment, pass_fds=[lock])  # noqa: S603  our own program
    except BaseException:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        raise
    with process:
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            _limit(process.pid)
            status = process.wait()
        except BaseException:
            process.kill()
            raise
    if status:
        ended = f"by signal {-status}" if status < 0 else f"with status {status}"
        raise TemporaryError(
            f"the training ended {ended}, so the model in use is unchanged; the messages of the training are above"
        )


def _limit(process: int) -> None:
    cores = sorted(os.sched_getaffinity(0))[-CORES:]
    for set_limit in (
        lambda: os.setpriority(os.PRIO_PROCESS, process, 19),
        lambda: resource.prlimit(process, resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES)),
        lambda: os.sched_setaffinity(process, cores),
        lambda: os.sched_setscheduler(process, os.SCHED_BATCH, os.sched_param(0)),
    ):
        # The process may have ended. A sandbox may forbid these calls and have its own limits.
        with suppress(ProcessLookupError, PermissionError):
            set_limit()
