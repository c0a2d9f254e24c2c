"""Other processes that read mail while this one scores it.

Reading is Python and holds the interpreter; scoring is not. So one process with the network and a light one for each
further core keep all cores at work, in less memory than a network in each would take. A reader gets a chunk over a
socket and answers it. One that dies costs nothing but speed: its chunks are read here.
"""

import contextlib
import os
import queue
import signal
import socket
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

from spamlstm.model.reading import Chunk, Reader, Reading, read_chunk

_STARTED = "from spamlstm.model.readers import serve; serve({fd})"


class ReaderProcess:
    """One light process that reads chunks, one at a time."""

    def __init__(self, reader: Reader) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            fd = theirs.fileno()
            command = [sys.executable, "-c", _STARTED.format(fd=fd)]
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}
            self._process = subprocess.Popen(  # noqa: S603  our own interpreter and code
                command, pass_fds=[fd], stdin=subprocess.DEVNULL, env=environment
            )
        self._connection = Connection(ours.detach())
        self._connection.send(reader)

    def read(self, chunk: Chunk) -> list[Reading] | None:
        """What was read of each message of a chunk; None if the process is gone."""
        with contextlib.suppress(OSError, EOFError):
            self._connection.send(chunk)
            readings: list[Reading] = self._connection.recv()
            return readings
        return None

    def close(self) -> None:
        """End the process and wait for its end."""
        self._connection.close()
        self._process.terminate()
        self._process.wait()


class ReaderPool:
    """A few reader processes, to be borrowed by threads; with a count of 0, none. Used in `with`."""

    def __init__(self, reader: Reader, count: int) -> None:
        self._reader = reader
        self._all: list[ReaderProcess] = []
        self._free: queue.SimpleQueue[ReaderProcess] = queue.SimpleQueue()
        for _ in range(count):
            # Without leave to start a process all is read here.
            with contextlib.suppress(OSError):
                self._all.append(ReaderProcess(reader))
        for process in self._all:
            self._free.put(process)

    def read(self, chunk: Chunk) -> list[Reading]:
        """Read a chunk by a process that is free, else, or if it dies, in this one. For use by several threads."""
        try:
            process = self._free.get_nowait()
        except queue.Empty:
            return read_chunk(self._reader, chunk)
        readings = process.read(chunk)
        if readings is None:
            return read_chunk(self._reader, chunk)
        self._free.put(process)
        return readings

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all readers, however the work ended."""
        for process in self._all:
            process.close()


def serve(fd: int) -> None:
    """The whole life of a reader process: read chunks from socket `fd` and answer, until the other end closes."""
    # Ctrl-C reaches the whole terminal; the process that gives the work decides when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(fd)
    with contextlib.suppress(EOFError, OSError):
        reader: Reader = connection.recv()
        while True:
            connection.send(read_chunk(reader, connection.recv()))
