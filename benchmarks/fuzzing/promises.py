"""The promises about any bytes that arrive as mail, and the cost of each step."""

import math
import re
import time
from collections.abc import Callable
from functools import partial

from fuzzing.findings import BrokenPromiseError, require

from spamlstm.features.render import MARKS
from spamlstm.maildir import headers
from spamlstm.maildir.content_id import arrived, content_id
from spamlstm.message.html import read_page
from spamlstm.message.page import Page
from spamlstm.model import personal_features
from spamlstm.model.reading import MessageReader, Reading
from spamlstm.verdict import Judgement, Verdict

NOW = 2_000_000_000.0
# The windows of the shipped model.
READER = MessageReader(window_bytes=1000, max_windows=6, style=True, runs=True)
SPAM = Judgement(Verdict.SPAM, 0.999, 6.9, "score", "fuzz 1")
# The header sections of a window are not limited by the window size, and a field name may be long.
MOST_WINDOW_CHARACTERS = 20_000

_MARK = re.compile("⟦[^⟦⟧]*⟧")
_BRACKETS = re.compile("[⟦⟧]")
# A window of text without spaces may start or end within a mark.
_CUT_MARK = re.compile(r"(?<=⟦body⟧ )[a-z]*⟧|⟦[a-z]*\Z")


def read(raw: bytes) -> Reading:
    """Read a message, and raise the exceptions that `MessageReader.read` turns into a failure."""
    reading = READER.read(raw)
    if reading.failure:
        READER._read(raw)  # noqa: SLF001  for the exception itself
        raise BrokenPromiseError(reading.failure)
    return reading


def tag(raw: bytes) -> bytes:
    """Return the message as it is filed into a junk folder."""
    return headers.tag(raw, SPAM, version="1.0", spam_threshold=0.98)


def as_page(raw: bytes) -> Page:
    """Read all bytes as one HTML page."""
    return read_page(raw.decode("utf-8", "replace"))


STEPS: dict[str, Callable[[bytes], object]] = {
    "content_id": content_id,
    "read": read,
    "runs": personal_features.runs,
    "untag": headers.untag,
    "tag": tag,
    "arrived": partial(arrived, stored=NOW),
    "html": as_page,
}


def costs(raw: bytes) -> dict[str, float]:
    """Return the processor time of each step."""
    found = {}
    for name, step in STEPS.items():
        start = time.process_time()
        step(raw)
        found[name] = time.process_time() - start
    return found


def check(raw: bytes, *, twice: bool) -> None:
    """Raise unless all promises are kept; with `twice`, a second reading must give the same result."""
    reading = read(raw)
    _check_reading(reading)
    if twice:
        require(read(raw)[:3] == reading[:3], "a second reading gives another result")
    _check_tags(raw)
    _check_content(raw)
    moment = arrived(raw, stored=NOW)
    require(math.isfinite(moment) and 0 < moment <= NOW + 86_400, "the arrival is not a time, or in the future")
    as_page(raw)


def digest(raw: bytes) -> str:
    """Return a digest of everything read from a message, to compare with another process."""
    reading = read(raw)
    return content_id(
        repr((reading.windows, reading.evidence, reading.defects, as_page(raw))).encode("utf-8", "replace")
    )


def _check_reading(reading: Reading) -> None:
    require(len(reading.windows) <= READER.max_windows, "too many windows")
    for window in reading.windows:
        require(len(window) <= MOST_WINDOW_CHARACTERS, "a window is too long")
        foreign = sorted(set(_MARK.findall(window)) - set(MARKS))
        require(not foreign, "an unknown mark")
        require(
            not _BRACKETS.search(_MARK.sub("", _CUT_MARK.sub("", window))), "a mark's bracket comes from the message"
        )
        window.encode()


def _check_tags(raw: bytes) -> None:
    bare, tagged = headers.untag(raw), tag(raw)
    require(headers.untag(tagged) == bare, "untag(tag(raw)) is not untag(raw)")
    require(headers.untag(bare) == bare, "untagging twice is not untagging once")
    require(tag(tagged) == tagged, "tagging twice is not tagging once")
    require(tagged == bare or headers.is_tagged(tagged), "a tagged message is not recognized")


def _check_content(raw: bytes) -> None:
    known, bare, tagged = content_id(raw), headers.untag(raw), tag(raw)
    require(content_id(tagged) == known, "a tagged message has another content id")
    require(content_id(bare) == known, "an untagged message has another content id")
    # Not after a carriage return, with which the line end would combine, and not in a head without body.
    if b"\n\n" in raw and not raw.endswith(b"\r"):
        require(content_id(raw + b"\n") == known, "a further line end changes the content id")
    if b"\r" not in raw:
        require(content_id(raw.replace(b"\n", b"\r\n")) == known, "other line ends change the content id")
    require(
        list(personal_features.runs(tagged)) == list(personal_features.runs(raw)), "a tagged message has other runs"
    )
