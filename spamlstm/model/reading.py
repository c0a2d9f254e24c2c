"""From raw bytes to what the network and the policy need of them: the part of judging that needs no network."""

import contextlib
import gc
import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from spamlstm.corpus.paths import MOST_BYTES, begins_like_mail
from spamlstm.errors import reason_of
from spamlstm.features.render import render
from spamlstm.features.windows import cut_windows
from spamlstm.message.message import Message, parse_message
from spamlstm.model.policy import NO_EVIDENCE, Evidence

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from queue import SimpleQueue

    from spamlstm.model.personal_features import PersonalFeatures

GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"

# Below this many words in subject and body together there is nothing that a verdict could rest on.
FEWEST_WORDS = 3

# A run of letters; of the scripts that write without spaces each sign is a word.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]|[^\W\d_]+")
# A line of base64, as it stands where data lost its header or never had one, with the spaces around it. It is looked
# for where a run of spaces or letters begins and nowhere within it: else long runs cost the square of their length.
_DATA = re.compile(r"(?:(?<!\s)\s++)?+(?<![A-Za-z0-9+/=])[A-Za-z0-9+/=]{48,}+\s*+")
_CONTROLS = bytes(sorted({*range(32), 127} - {*b"\t\n\r\f\x1b"}))
_LOOK = 4096


class Source(Protocol):
    """Something that a raw message can be read from, here or in another process; `read` may raise OSError."""

    def read(self) -> bytes:
        """The raw message."""
        ...


Chunk = Sequence[bytes | Source]
Given: TypeAlias = "tuple[MessageReader, Chunk] | None"
"""What a reader process is to read, None when there will be no more."""


class Reading(NamedTuple):
    """One message, read: its windows for the network, and what the policy asks. `failure` is why it could not be.

    `runs` is what a personal layer asks for, if there is one. A tuple, as it travels between processes: pickle takes
    twice as long for a dataclass.
    """

    windows: tuple[str, ...] = ()
    evidence: Evidence = NO_EVIDENCE
    defects: tuple[str, ...] = ()
    failure: str = ""
    ms: float = 0.0
    runs: "PersonalFeatures | None" = None


@dataclass(frozen=True, slots=True)
class MessageReader:
    """Reads messages for one bundle, whose window sizes it holds. Small enough to be sent to another process."""

    window_bytes: int
    max_windows: int
    style: bool
    runs: bool = False

    def read(self, raw: bytes) -> Reading:
        """The windows and the evidence of one message; takes any bytes, and never raises."""
        start = time.perf_counter()
        try:
            windows, evidence, defects = self._read(raw)
            runs = _runs(raw) if self.runs else None
        except Exception as error:  # noqa: BLE001  contract 7: one bad message never stops the next, whatever our mistake is
            failure = f"it could not be read, which is a bug in spamlstm ({type(error).__name__}: {error})"
            return Reading(failure=failure, ms=_since(start))
        return Reading(windows, evidence, defects, ms=_since(start), runs=runs)

    def _read(self, raw: bytes) -> tuple[tuple[str, ...], Evidence, tuple[str, ...]]:
        cut = len(raw) > MOST_BYTES
        more = ("cut at 64 MiB",) if cut else ()
        if not_mail(raw):
            return (), Evidence(not_mail=True), ("not mail", *more)
        message = parse_message(raw[:MOST_BYTES] if cut else raw)
        rendered = render(message)
        evidence = evidence_of(message)
        if evidence.no_text:
            return (), evidence, (*message.defects, *more)
        windows = cut_windows(rendered, size=self.window_bytes, most=self.max_windows, style=self.style)
        return tuple(windows), evidence, (*message.defects, *more)


def serve() -> None:
    """The whole life of a reader process: chunks come through the socket that its argument names, readings go back."""
    from multiprocessing.connection import Connection
    from queue import SimpleQueue
    from threading import Thread

    # Ctrl-C reaches the whole terminal; the process that gives the work decides when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Reading leaves next to no cycles behind.
    gc.set_threshold(50_000)
    given: SimpleQueue[Given] = SimpleQueue()
    read: SimpleQueue[list[Reading]] = SimpleQueue()
    with Connection(int(sys.argv[1])) as channel:
        # Chunks are taken at once, or two processes could each wait for the other to take what it sends; and no answer
        # keeps the next chunk waiting, as it may be larger than what a socket holds.
        Thread(target=_take, args=(channel, given), daemon=True).start()
        Thread(target=_answer, args=(channel, given, read), daemon=True).start()
        while task := given.get():
            read.put(read_chunk(*task))
            del task  # its mail need not stay in memory until the next chunk comes


def _take(channel: "Connection", given: "SimpleQueue[Given]") -> None:
    try:
        with contextlib.suppress(EOFError, OSError):
            while True:
                given.put(channel.recv())
    finally:
        given.put(None)


def _answer(channel: "Connection", given: "SimpleQueue[Given]", read: "SimpleQueue[list[Reading]]") -> None:
    try:
        with contextlib.suppress(OSError):
            while True:
                channel.send(read.get())
    finally:
        given.put(None)


def _runs(raw: bytes) -> "PersonalFeatures":
    from spamlstm.model.personal_features import runs  # numpy, which reader processes without a layer need not load

    return runs(raw)


def read_chunk(reader: MessageReader, chunk: Chunk, *, beat: Callable[[], None] = lambda: None) -> list[Reading]:
    """Read each message of a chunk; one that cannot be read says why and does not stop the next.

    `beat` is called before each message, for a caller who must show that the process makes progress.
    """
    readings = []
    for source in chunk:
        beat()
        readings.append(_read_one(reader, source))
    return readings


def _read_one(reader: MessageReader, source: bytes | Source) -> Reading:
    try:
        raw = source if isinstance(source, bytes) else source.read()
    except OSError as error:
        return Reading(failure=reason_of(error))
    except MemoryError:
        return Reading(failure="there is not enough memory to read it")
    return reader.read(raw)


def evidence_of(message: Message) -> Evidence:
    """What the policy asks of a message, but for what only the vocabulary can tell."""
    return Evidence(
        sender=message.sender,
        list_id=message.list_id,
        gtube=GTUBE in message.text or GTUBE in message.subject,
        no_text=_words(message.subject) + _words(message.text) < FEWEST_WORDS or _is_data(message),
    )


def not_mail(raw: bytes) -> bool:
    """Whether the bytes are binary data of another kind: no header at the top, and control characters in the text.

    Text without a header is mail still, as is UTF-16 text; a picture, a program or /dev/zero is not.
    """
    start = raw[:_LOOK]
    if begins_like_mail(start) or start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return False
    return len(start) - len(start.translate(None, _CONTROLS)) > len(start) // 50


def _is_data(message: Message) -> bool:
    """Whether there is nothing but data written in letters: it has no words, whatever it looks like."""
    text = message.text
    return not message.subject and _DATA.match(text) is not None and len(_DATA.sub("", text)) < len(text) / 10


def _words(passage: str) -> int:
    """How many words there are, counted no further than FEWEST_WORDS."""
    count = 0
    for _ in _WORD.finditer(passage):
        count += 1
        if count == FEWEST_WORDS:
            break
    return count


def _since(start: float) -> float:
    return (time.perf_counter() - start) * 1000
