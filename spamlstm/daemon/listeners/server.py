"""The server: the listeners of a daemon as they are configured. One thread accepts the connections of all listeners.

The protocols run in this thread and do no long work. They send messages to the daemon's loop, which classifies them
(`judging`). A slow client therefore delays nobody.
"""

import contextlib
import logging
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, assert_never

from spamlstm.config import AnyListener, Config, FilterConfig, HttpConfig, MilterConfig, SpamdConfig
from spamlstm.config.addresses import UNIX, Address, parse_address
from spamlstm.config.passwords import read_password
from spamlstm.daemon.listeners.answer_queue import AnswerQueue
from spamlstm.daemon.listeners.byte_stream import BLOCK
from spamlstm.daemon.listeners.judging import Judging
from spamlstm.daemon.listeners.listener import Listener, Protocol
from spamlstm.daemon.listeners.listener_counts import ListenerCounts
from spamlstm.daemon.listeners.listener_thread import ListenerThread
from spamlstm.daemon.listeners.milter import serve_milter
from spamlstm.daemon.listeners.own import serve_filter
from spamlstm.daemon.listeners.receiving_budget import ReceivingBudget
from spamlstm.daemon.listeners.rspamd import serve_rspamd
from spamlstm.daemon.listeners.sockets import opened_socket, own_socket
from spamlstm.daemon.listeners.spamd import serve_spamd
from spamlstm.errors import UserError
from spamlstm.filtering.event_log import emit
from spamlstm.xdg import FILTER_SOCKET

OWN = "own"
"""The name of the listener in the state folder."""


class Listeners:
    """The listeners of a daemon. Only one thread may call the methods, except `snapshot`.

    A socket in the state folder `state` is always served. The others are configured. A listener uses the socket of
    `passed` that has its address, if any, and otherwise opens a socket.

    If an error ends the thread, no client is served any more. The thread then calls `failed`, and `check` raises the
    error, which should end the process: after a restart, clients are served again.
    """

    def __init__(
        self,
        judging: Judging,
        *,
        state: Path,
        passed: Mapping[Address, socket.socket] | None = None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._judging = judging
        self._state = state
        self._passed = passed or {}
        self._budget = ReceivingBudget()
        self._listeners: dict[str, Listener] = {}
        self._configured: dict[str, AnyListener] = {}
        self._ending: list[Future[None]] = []
        self._thread = ListenerThread(failed)
        self._answers = AnswerQueue(self._thread.loop)
        self._block = memoryview(bytearray(BLOCK))

    def start(self, config: Config) -> None:
        """Listen on the socket in the state folder and as configured. Raises UserError if an address cannot be used."""
        with own_socket(self._state) as opened:
            self._add(OWN, serve_filter, opened, f"unix:{self._state / FILTER_SOCKET}")
        self.reconfigure(config)

    def reconfigure(self, config: Config) -> None:
        """Listen as configured, and read the files with passwords again.

        A listener that keeps its address and group keeps its connections, which go on with the previous settings.
        Otherwise the mail of open SMTP sessions would pass without a verdict.

        Raises UserError if an address cannot be used. This listener then stays as it was, and the others run.
        """
        wanted = {name: _dry(one) if config.daemon.dry_run else one for name, one in config.listeners().items()}
        ended = {name: one for name, one in self._configured.items() if _socket_of(wanted.get(name)) != _socket_of(one)}
        for name in ended:
            del self._configured[name]
            self._end(name)
        failures = []
        for name, one in wanted.items():
            try:
                self._serve(name, one)
            except UserError as error:
                failures.append(error)
        for name in (ended.keys() & wanted.keys()) - self._configured.keys():
            with contextlib.suppress(UserError):  # another listener may have the address now
                self._serve(name, ended[name])
        for address in self._passed.keys() - {parse_address(one.listen or "") for one in wanted.values()}:
            emit(logging.WARNING, "socket-unused", address=str(address), why="no listener has this address")
        if failures:
            raise failures[0]

    def _serve(self, name: str, one: AnyListener) -> None:
        """Serve a listener as configured. Its socket is opened unless it is open already."""
        protocol = _protocol(one)
        if name in self._configured:
            self._listeners[name].protocol = protocol
        else:
            self._add(name, protocol, self._opened(one, name), str(one.listen))
        self._configured[name] = one

    def snapshot(self) -> dict[str, Any]:
        """Return the numbers of each listener as a JSON-serializable dict."""
        return {name: one.counts.snapshot() for name, one in list(self._listeners.items())}

    def check(self) -> None:
        """Raise the error that ended the thread of the listeners, if any: MemoryError, or a bug."""
        self._thread.check()

    def close(self) -> None:
        """Refuse new connections, let answered requests end, and close all connections.

        Requests that wait for the daemon's loop are answered only if the loop runs or `Judging.close` was called.
        """
        if self._thread.has_failed:
            self._thread.join()
            for one in self._listeners.values():
                one.close_socket()
                _remove_socket(one)
        else:
            for name in list(self._listeners):
                self._end(name)
            for ending in self._ending:
                self._thread.result(ending)
        self._thread.stop()

    def _opened(self, one: AnyListener, name: str) -> socket.socket:
        passed = self._passed.get(parse_address(one.listen or ""))
        return opened_socket(one, name) if passed is None else passed.dup()

    def _add(self, name: str, protocol: Protocol, opened: socket.socket, address: str) -> None:
        async def add() -> None:
            self._listeners[name] = Listener(
                name,
                opened,
                protocol,
                counts=ListenerCounts(address),
                judging=self._judging,
                answers=self._answers,
                budget=self._budget,
                block=self._block,
            )

        self._thread.call(add())
        emit(logging.INFO, "listening", listener=name, address=address)

    def _end(self, name: str) -> None:
        """Stop listening, and let the connections end. This does not wait for them: their answers need the loop."""
        listener = self._listeners.pop(name)
        self._thread.call(listener.stop_listening())
        self._ending = [one for one in self._ending if not one.done()]
        self._ending.append(self._thread.begin(listener.end()))
        _remove_socket(listener)


def _remove_socket(listener: Listener) -> None:
    """Remove the socket file of a listener, so that clients find at once that nobody listens."""
    if listener.counts.address.startswith(UNIX):
        with contextlib.suppress(OSError):
            Path(listener.counts.address.removeprefix(UNIX)).unlink()


def _socket_of(listener: AnyListener | None) -> tuple[str | None, str | None] | None:
    """Return the settings that decide which socket a listener opens."""
    return None if listener is None else (listener.listen, listener.group)


def _dry(one: AnyListener) -> AnyListener:
    """Return the settings of a listener in a dry run: the milter adds headers, but keeps and rejects no message."""
    return replace(one, quarantine_above=None, reject_above=None) if isinstance(one, MilterConfig) else one


def _protocol(listener: AnyListener) -> Protocol:
    """Return the protocol of a configured listener. Raises ConfigError if a password cannot be read."""
    match listener:
        case FilterConfig():
            return serve_filter
        case HttpConfig(password_file=file):
            return partial(serve_rspamd, password=None if file is None else read_password(file))
        case MilterConfig():
            return partial(serve_milter, config=listener)
        case SpamdConfig(allow_tell=allow_tell):
            return partial(serve_spamd, allow_tell=allow_tell)
        case _:
            assert_never(listener)
