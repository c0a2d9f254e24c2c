"""Other processes that read mail while this one scores it.

Reading is Python and holds the interpreter; scoring is not. So one process with the network and a light one for each
further core keep all cores at work, in less memory than a network in each would take. A reader gets a chunk through a
pipe and answers it. One that dies costs nothing but speed: its chunks are read here.
"""

import contextlib
import os
import pickle
import queue
import subprocess
import sys
from pathlib import Path
from typing import IO, Self

from spamlstm.model.reading import Chunk, Reader, Reading, read_chunk

_START = "from spamlstm.model.reading import serve; serve()"


class ReaderProcess:
    """One light process that reads chunks, one at a time."""

    def __init__(self, reader: Reader) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}
        self._process = subprocess.Popen(  # noqa: S603  our own interpreter and code
            [sys.executable, "-c", _START], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        self._in: IO[bytes] = self._process.stdin  # type: ignore[assignment]  # a pipe, as we asked
        self._out: IO[bytes] = self._process.stdout  # type: ignore[assignment]  # the same
        with contextlib.suppress(OSError):
            self._send(reader)

    def read(self, chunk: Chunk) -> list[Reading] | None:
        """What was read of each message of a chunk; None if the process is gone."""
        # An answer that ends in its middle is no pickle.
        with contextlib.suppress(OSError, EOFError, pickle.UnpicklingError):
            self._send(chunk)
            readings: list[Reading] = pickle.load(self._out)  # noqa: S301  from a process of our own
            return readings
        return None

    def _send(self, what: Reader | Chunk) -> None:
        self._in.write(pickle.dumps(what))
        self._in.flush()

    def close(self) -> None:
        """End the process and wait for its end."""
        self._process.terminate()
        self._process.communicate()


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
