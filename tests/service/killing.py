"""A process that is killed before its k-th system call: kill -9 at any point, SQLite's own calls among them.

Its parent traces it (ptrace, as strace does), counts where it enters system calls, and kills it there: the call is not
made any more. Linux only; where tracing is forbidden `can_trace` says so.
"""

import ctypes
import os
import signal
from collections.abc import Callable

_TRACEME, _SYSCALL, _SETOPTIONS = 0, 24, 0x4200
_MARK_SYSCALLS, _KILL_WITH_PARENT = 1, 1 << 20
_AT_SYSCALL = signal.SIGTRAP | 0x80

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_libc.ptrace.restype = ctypes.c_long


def killed_before(call: int, work: Callable[[Callable[[], None]], None]) -> bool:
    """Run `work` in a copy of this process, killed before its `call`-th system call (from 1); False if it had fewer.

    `work` is given a function that it calls where the counting is to begin. AssertionError if it fails by itself.
    """
    return _calls(work, most=call - 1) is None


def calls_of(work: Callable[[Callable[[], None]], None]) -> int:
    """Run `work` in a copy of this process to its end; gives how many system calls it made."""
    made = _calls(work)
    assert made is not None
    return made


def _calls(work: Callable[[Callable[[], None]], None], *, most: int | None = None) -> int | None:
    """How many system calls `work` made; None if it was killed before making more than `most`."""
    child = os.fork()
    if child == 0:
        _child(work)
    _wait_for_start(child)
    entered, calls = False, 0
    stop = 0
    while True:
        if _libc.ptrace(_SYSCALL, child, None, stop or None):
            raise OSError(ctypes.get_errno(), "ptrace")
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0, f"the work failed by itself with {os.WEXITSTATUS(status)}"
            return calls
        assert os.WIFSTOPPED(status), f"the work was ended by signal {os.WTERMSIG(status)}"
        stop = os.WSTOPSIG(status)
        if stop != _AT_SYSCALL:
            continue
        stop = 0
        entered = not entered
        calls += entered
        if most is not None and calls > most:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None


def can_trace() -> bool:
    """Whether this machine lets a process trace its child."""
    try:
        return killed_before(1, lambda start: start())
    except (OSError, AssertionError):
        return False


def _child(work: Callable[[Callable[[], None]], None]) -> None:
    def start() -> None:
        if _libc.ptrace(_TRACEME, 0, None, None):
            os._exit(77)
        os.kill(os.getpid(), signal.SIGSTOP)

    try:
        work(start)
    except BaseException:  # noqa: BLE001  nothing of this may reach the test runner that this is a copy of
        import traceback

        traceback.print_exc()
        os._exit(70)
    os._exit(0)


def _wait_for_start(child: int) -> None:
    _, status = os.waitpid(child, 0)
    if not os.WIFSTOPPED(status):
        raise OSError(0, "the child could not ask to be traced")
    _libc.ptrace(_SETOPTIONS, child, None, _MARK_SYSCALLS | _KILL_WITH_PARENT)
