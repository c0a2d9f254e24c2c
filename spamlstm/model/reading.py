"""Reading: converts raw mail to windows of text for the network and evidence for the policy.

Reading happens in this process or in a reader process. Evidence is what the policy considers besides the probability.
"""

import contextlib
import gc
import itertools
import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from spamlstm.corpus.paths import MOST_BYTES
from spamlstm.errors import reason_of
from spamlstm.features.disguise import is_decorated
from spamlstm.features.normalise import normalise
from spamlstm.features.render import cut_windows, render
from spamlstm.features.route import Route
from spamlstm.features.sender_identity import SenderIdentity, sender_identity
from spamlstm.features.style import is_picture, may_contain_letter
from spamlstm.message.beginning import begins_like_mail
from spamlstm.message.compression import compression_defect
from spamlstm.message.message import Message, addresses, parse_message
from spamlstm.model.policy import NO_EVIDENCE, Evidence

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from queue import SimpleQueue

    from spamlstm.model.personal_features import PersonalFeatures

GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"

# A message with fewer words than this in subject and body together is not scored.
FEWEST_WORDS = 3
# A body with fewer words than this is the footer of content that cannot be read: of pictures, of a page of at least
# _LARGE_PAGE characters, of an encrypted part, or of text that was damaged.
FEWEST_BODY_WORDS = 10
_LARGE_PAGE = 4_000
_DAMAGED = frozenset(("broken base64", "page too complex", "too much text", "too many parts", "wrong charset"))
NO_BODY_TEXT = "no text in the body"

# A run of letters, or one character of a script that is written without spaces.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]|[^\W\d_]+")
# A line of base64 without a header, with the spaces around it. It matches only at the beginning of a run of spaces or
# letters, because long runs would otherwise take quadratic time.
_DATA = re.compile(r"(?>(?<!\s)\s++)?+(?<![A-Za-z0-9+/=])[A-Za-z0-9+/=]{48,}+\s*+")
_CONTROLS = bytes(sorted({*range(32), 127} - {*b"\t\n\r\f\x1b"}))
_LOOK = 4096


class Source(Protocol):
    """An object from which a raw message can be read, in this process or in a reader process."""

    def read(self) -> bytes:
        """Return the raw message. Raises OSError if reading fails."""
        ...


Chunk = Sequence[bytes | Source]
ChunkTask: TypeAlias = "tuple[MessageReader, Chunk] | None"
"""A chunk for a reader process with the reader to use, or None if there are no more chunks."""


class Reading(NamedTuple):
    """The result of reading one message: windows for the network and evidence for the policy.

    `failure` is the reason why the message could not be read, otherwise ''. `runs` are features for a personal layer
    and `sender` is the proven sender, if requested. A NamedTuple is used because pickling a dataclass to another
    process takes twice as long.
    """

    windows: tuple[str, ...] = ()
    evidence: Evidence = NO_EVIDENCE
    defects: tuple[str, ...] = ()
    failure: str = ""
    ms: float = 0.0
    runs: "PersonalFeatures | None" = None
    sender: SenderIdentity | None = None


@dataclass(frozen=True, slots=True)
class MessageReader:
    """A reader of messages with the parameters of one bundle. It is small because it is sent with each chunk."""

    window_bytes: int
    max_windows: int
    style: bool
    runs: bool = False

    def read(self, raw: bytes) -> Reading:
        """Return the reading of one message, given as arbitrary bytes. Never raises an exception."""
        start = time.perf_counter()
        try:
            reading = self._read(raw)
            runs = None
            if self.runs:
                from spamlstm.model import personal_features  # imports numpy, which is not needed without runs

                runs = personal_features.runs(raw)
        except Exception as error:  # noqa: BLE001  one bad message never stops the next
            failure = f"it could not be read, which is a bug in spamlstm ({type(error).__name__}: {error})"
            return Reading(failure=failure, ms=_since(start))
        return reading._replace(ms=_since(start), runs=runs)

    def _read(self, raw: bytes) -> Reading:
        cut = len(raw) > MOST_BYTES
        more = ("cut at 64 MiB",) if cut else ()
        if not_mail(raw):
            defect = compression_defect(raw)
            return Reading((), Evidence(not_mail=True), ("not mail", *((defect,) if defect else ()), *more))
        message = parse_message(raw[:MOST_BYTES] if cut else raw)
        route = Route(message)
        rendered = render(message, route)
        evidence = evidence_of(message)
        sender = sender_identity(message, route) if self.runs else None
        if evidence.no_text:
            if any(part.size for part in message.parts):
                more = (NO_BODY_TEXT, *more)
            if _is_almost_empty(message) or _is_data(message):
                return Reading((), evidence, (*message.defects, *more), sender=sender)
        windows = cut_windows(rendered, size=self.window_bytes, most=self.max_windows, style=self.style)
        return Reading(tuple(windows), evidence, (*message.defects, *more), sender=sender)


def serve() -> None:
    """Run a reader process: receive chunks from a socket and send back their readings.

    The first command-line argument is the file descriptor of the socket.
    """
    from multiprocessing.connection import Connection
    from queue import SimpleQueue
    from threading import Thread

    # Ctrl-C is sent to all processes of a terminal. The parent decides when its readers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Reading creates hardly any reference cycles.
    gc.set_threshold(50_000)
    tasks: SimpleQueue[ChunkTask] = SimpleQueue()
    answers: SimpleQueue[list[Reading]] = SimpleQueue()
    with Connection(int(sys.argv[1])) as channel:
        # With two threads, this process can receive while it sends. Otherwise, both processes could wait for ever to
        # send, because an answer may be larger than the buffer of the socket.
        Thread(target=_receive, args=(channel, tasks), daemon=True).start()
        Thread(target=_send, args=(channel, tasks, answers), daemon=True).start()
        while task := tasks.get():
            answers.put(read_chunk(*task))
            del task  # frees its mail before the next chunk arrives


def _receive(channel: "Connection", tasks: "SimpleQueue[ChunkTask]") -> None:
    try:
        with contextlib.suppress(EOFError, OSError):
            while True:
                tasks.put(channel.recv())
    finally:
        tasks.put(None)


def _send(channel: "Connection", tasks: "SimpleQueue[ChunkTask]", answers: "SimpleQueue[list[Reading]]") -> None:
    try:
        with contextlib.suppress(OSError):
            while True:
                channel.send(answers.get())
    finally:
        tasks.put(None)


def read_chunk(reader: MessageReader, chunk: Chunk, *, beat: Callable[[], None] = lambda: None) -> list[Reading]:
    """Return the readings of the messages of a chunk. A message that cannot be read has a `failure`.

    `beat` is called before each message, so that the caller can notify a watchdog.
    """
    readings = []
    for source in chunk:
        beat()
        try:
            raw = source if isinstance(source, bytes) else source.read()
        except OSError as error:
            readings.append(Reading(failure=reason_of(error)))
        except MemoryError:
            readings.append(Reading(failure="there is not enough memory to read it"))
        else:
            readings.append(reader.read(raw))
    return readings


def evidence_of(message: Message) -> Evidence:
    """Return the evidence for the policy, except for `unknown_text`, which depends on the vocabulary."""
    words = _words(message.text, FEWEST_BODY_WORDS)
    if words == 0 and not message.text.isascii():
        # Letters may be in disguise, for example pictures of letters.
        words = _words(normalise(message.text[:_LOOK])[0], FEWEST_BODY_WORDS)
    return Evidence(
        senders=addresses(message.first.get("from", "")),
        further_senders=tuple(map(addresses, message.all("from")[1:])),
        list_id=message.list_id,
        gtube=GTUBE in message.text or GTUBE in message.subject or GTUBE in message.plain,
        no_text=words == 0 or (words < FEWEST_WORDS and _is_almost_empty(message)) or _is_data(message),
        little_text=message.page.elsewhere
        or ((words < FEWEST_BODY_WORDS or _has_little_page(message)) and _has_unread_content(message)),
        decorated=is_decorated(message.text[:_LOOK]),
    )


def _is_almost_empty(message: Message) -> bool:
    """Return whether subject and body together have too few words to be scored."""
    return _words(message.subject, FEWEST_WORDS) + _words(message.text, FEWEST_WORDS) < FEWEST_WORDS


def _has_little_page(message: Message) -> bool:
    """Return whether a letter of two forms has few words in its page. Few programs show the plain form."""
    has_two_forms = message.page.size and "alternative" in message.structure.split(maxsplit=2)[:2]
    return bool(has_two_forms) and _words(message.page.visible, FEWEST_BODY_WORDS) < FEWEST_BODY_WORDS


def _has_unread_content(message: Message) -> bool:
    """Return whether the body contains something that a reader sees and that is not text."""
    return (
        bool(message.page.images)
        or message.page.pictured
        or message.page.size >= _LARGE_PAGE
        or any(is_picture(part) or may_contain_letter(part) for part in message.parts)
        or not _DAMAGED.isdisjoint(message.defects)
    )


def not_mail(raw: bytes) -> bool:
    """Return whether the bytes are binary data: no header at the top, and control characters in the text.

    Text without a header and UTF-16 text are treated as mail. A picture, a program or /dev/zero is not mail.
    """
    start = raw[:_LOOK]
    if begins_like_mail(start):
        return False
    return len(start) - len(start.translate(None, _CONTROLS)) > len(start) // 50


def holds_mail(raw: bytes) -> bool:
    """Return whether the bytes may be labelled. An empty or blank message and binary data say nothing about mail."""
    return bool(raw.strip()) and not not_mail(raw)


def _is_data(message: Message) -> bool:
    """Return whether the message consists only of base64 data, which looks like words but contains none."""
    text = message.text
    return not message.subject and _DATA.match(text) is not None and len(_DATA.sub("", text)) < len(text) / 10


def _words(passage: str, most: int) -> int:
    """Return the number of words in `passage`. Counting stops at `most`."""
    return sum(1 for _ in itertools.islice(_WORD.finditer(passage), most))


def _since(start: float) -> float:
    return (time.perf_counter() - start) * 1000
