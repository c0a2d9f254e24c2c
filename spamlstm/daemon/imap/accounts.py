"""All IMAP accounts of a daemon: their threads, which a reload starts and ends, and the package that they need."""

import codecs
import importlib
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spamlstm.config import Config, DaemonConfig, ImapConfig, LearningConfig
from spamlstm.daemon.imap.account import ImapAccount
from spamlstm.daemon.listeners.judging import Judging
from spamlstm.errors import UnavailableError
from spamlstm.learning.train_extra import install_command, is_installed
from spamlstm.message.charset import import_codecs

IMAP_REQUIREMENT = "imapclient>=3.0,<5"
"""The requirement of the `imap` extra in pyproject.toml."""
STOP_SECONDS = 1.5
"""At the stop of the daemon, the time after which the connections of all accounts are closed."""
_SHUT_SECONDS = 0.5


def check_imap_installed() -> None:
    """Check that the package for IMAP accounts is installed. Raises UnavailableError if it is missing."""
    if not is_installed("imapclient"):
        command = install_command([IMAP_REQUIREMENT], environment=Path(sys.prefix))
        raise UnavailableError(f"IMAP accounts need imapclient; to install, run: {command}")


@dataclass(frozen=True, slots=True)
class _Settings:
    """The settings on which the thread of an account depends."""

    account: ImapConfig
    daemon: DaemonConfig
    learning: LearningConfig


def import_for_threads() -> None:
    """Import what the threads need to connect and, as root, to read mail.

    While the main thread acts as the owner of a Maildir, other threads may lack the right to read Python's files.
    """
    importlib.import_module("imapclient")
    codecs.lookup("idna")
    if os.getuid() == 0:
        import_codecs()


class Accounts:
    """The threads of all accounts. Only one thread may call the methods, except `snapshot`."""

    def __init__(self, requests: Judging, *, state: Path) -> None:
        self._requests = requests
        self._state = state
        self._running: dict[_Settings, ImapAccount] = {}
        self._ending: list[ImapAccount] = []

    def reconfigure(self, config: Config) -> None:
        """Serve the accounts of a configuration. Accounts whose settings are unchanged keep their connections.

        This does not wait for the end of threads: they may need answers from the loop, which calls this method. A new
        thread waits until the previous threads of its account have ended.
        """
        if config.accounts:
            import_for_threads()
        wanted = {_Settings(one, config.daemon, config.learning): one for one in config.accounts}
        self._end([one for one in self._running if one not in wanted])
        for settings, account in wanted.items():
            if settings not in self._running:
                previous = [one for one in self._ending if one.key == account.key]
                thread = ImapAccount(
                    account, config=config, state=self._state, requests=self._requests, previous=previous
                )
                thread.start()
                self._running[settings] = thread

    def snapshot(self) -> dict[str, Any]:
        """Return the numbers of each account, by its name, as a JSON-serializable dict."""
        return {one.account.label: thread.tally.snapshot() for one, thread in list(self._running.items())}

    def close(self) -> None:
        """End all threads. A thread that does not end within 2 s ends with the process."""
        self._end(list(self._running))
        self._wait(STOP_SECONDS)
        for thread in self._ending:
            thread.shut()
        self._wait(_SHUT_SECONDS)

    def _end(self, settings: list[_Settings]) -> None:
        """Make threads end, without waiting for them."""
        self._wait(0)
        for one in settings:
            thread = self._running.pop(one)
            thread.stop()
            self._ending.append(thread)

    def _wait(self, seconds: float) -> None:
        """Wait until the threads that are to end have ended, and forget these."""
        until = time.monotonic() + seconds
        self._ending = [one for one in self._ending if not one.join(until - time.monotonic())]
