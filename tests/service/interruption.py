"""Something that happens before the n-th call that our code makes of the operating system."""

import os
from collections.abc import Callable
from typing import Self
from unittest.mock import patch

CALLS = ("open", "write", "close", "fsync", "rename", "unlink", "mkdir", "scandir", "lstat", "utime", "fchmod")


class CrashError(BaseException):
    """The end of the process, as far as our code can tell."""


class Interruption:
    """Within the block the `number`-th call (from 0) of a function in CALLS is preceded by `act`, which may raise.

    What `act` itself calls is not counted. After a CrashError every call raises it: no handler of ours does anything
    any more, as in a process that is gone. `happened` tells whether it came to that call.
    """

    def __init__(self, number: int, act: Callable[[], None]) -> None:
        self._left = number
        self._act = act
        self._crashed = False
        self.happened = False
        self._patches = [patch.object(os, name, self._wrapped(getattr(os, name))) for name in CALLS]

    def __enter__(self) -> Self:
        for one in self._patches:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._patches:
            one.stop()

    def _wrapped(self, real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            if self._crashed:
                raise CrashError
            if self._left == 0 and not self.happened:
                self.happened = True
                self._interrupt()
            elif not self.happened:
                self._left -= 1
            return real(*arguments, **named)

        return call

    def _interrupt(self) -> None:
        for one in self._patches:
            one.stop()
        try:
            self._act()
        except CrashError:
            self._crashed = True
            raise
        finally:
            for one in self._patches:
                one.start()


def crash() -> None:
    """The act that ends all."""
    raise CrashError
