"""What is promised of any bytes that come as mail, and what each step costs."""

import math
import re
import time
from collections.abc import Callable
from functools import partial

from spamlstm.features.render import MARKS
from spamlstm.maildir import arrival, headers
from spamlstm.maildir.content_id import content_id
from spamlstm.message.html import read_page
from spamlstm.message.page import Page
from spamlstm.model import personal_features
from spamlstm.model.reading import MessageReader, Reading
from spamlstm.verdict import Judgement, Verdict

NOW = 2_000_000_000.0
# The windows of the shipped model.
READER = MessageReader(window_bytes=1000, max_windows=6, style=True, runs=True)
SPAM = Judgement(Verdict.SPAM, 0.999, 6.9, "score", "fuzz 1")
# A field name may be long. The sections of the header are not cut to the size of a window.
MOST_WINDOW_CHARACTERS = 20_000

_MARK = re.compile("⟦[^⟦⟧]*⟧")
_BRACKETS = re.compile("[⟦⟧]")
# A window of text without spaces may begin or end in the middle of a mark.
_CUT_MARK = re.compile(r"(?<=⟦body⟧ )[a-z]*⟧|⟦[a-z]*\Z")


class BrokenPromiseError(AssertionError):
    """A result that a docstring of the project rules out."""


def read(raw: bytes) -> Reading:
    """What is read of a message; `Reader.read` itself turns our mistakes into a sentence."""
    reading = READER.read(raw)
    if reading.failure:
        READER._read(raw)  # noqa: SLF001  for the exception itself
        raise BrokenPromiseError(reading.failure)
    return reading


def tag(raw: bytes) -> bytes:
    """The message as it is delivered to a junk folder."""
    return headers.tag(raw, SPAM, version="1.0", spam_threshold=0.98)


def as_page(raw: bytes) -> Page:
    """The bytes read as one HTML page, without the parts that lie before it in a message."""
    return read_page(raw.decode("utf-8", "replace"))


STEPS: dict[str, Callable[[bytes], object]] = {
    "content_id": content_id,
    "read": read,
    "runs": personal_features.runs,
    "untag": headers.untag,
    "tag": tag,
    "arrived": partial(arrival.arrived, stored=NOW),
    "html": as_page,
}


def costs(raw: bytes) -> dict[str, float]:
    """Seconds of processor time that each step takes."""
    found = {}
    for name, step in STEPS.items():
        start = time.process_time()
        step(raw)
        found[name] = time.process_time() - start
    return found


def check(raw: bytes, *, twice: bool) -> None:
    """Raise unless all promises are kept; `twice` also asks whether a second reading gives the same."""
    reading = read(raw)
    _check_reading(reading)
    if twice:
        _demand(read(raw)[:3] == reading[:3], "a second reading gives something else")
    _check_tags(raw)
    _check_content(raw)
    moment = arrival.arrived(raw, stored=NOW)
    _demand(math.isfinite(moment) and 0 < moment <= NOW + 86_400, "it arrived at no time, or in the future")
    as_page(raw)


def digest(raw: bytes) -> str:
    """All that is read of a message, for a comparison with what another process reads."""
    reading = read(raw)
    return content_id(
        repr((reading.windows, reading.evidence, reading.defects, as_page(raw))).encode("utf-8", "replace")
    )


def _check_reading(reading: Reading) -> None:
    _demand(len(reading.windows) <= READER.max_windows, "there are too many windows")
    for window in reading.windows:
        _demand(len(window) <= MOST_WINDOW_CHARACTERS, "a window is too long")
        foreign = sorted(set(_MARK.findall(window)) - set(MARKS))
        _demand(not foreign, "a mark is not one of ours")
        _demand(
            not _BRACKETS.search(_MARK.sub("", _CUT_MARK.sub("", window))), "a bracket of a mark came in by the message"
        )
        window.encode()


def _check_tags(raw: bytes) -> None:
    bare, tagged = headers.untag(raw), tag(raw)
    _demand(headers.untag(tagged) == bare, "untag(tag(raw)) is not untag(raw)")
    _demand(headers.untag(bare) == bare, "untagging twice is not untagging once")
    _demand(tag(tagged) == tagged, "tagging twice is not tagging once")
    _demand(tagged == bare or headers.is_tagged(tagged), "a tagged message does not say so")


def _check_content(raw: bytes) -> None:
    known, bare, tagged = content_id(raw), headers.untag(raw), tag(raw)
    _demand(content_id(tagged) == known, "a tagged message has another content id")
    _demand(content_id(bare) == known, "an untagged message has another content id")
    # A carriage return at the end would become part of it, and a head without a body ends with its own.
    if b"\n\n" in raw and not raw.endswith(b"\r"):
        _demand(content_id(raw + b"\n") == known, "a line end more makes another content id")
    if b"\r" not in raw:
        _demand(content_id(raw.replace(b"\n", b"\r\n")) == known, "other line ends make another content id")
    _demand(
        list(personal_features.runs(tagged)) == list(personal_features.runs(raw)), "a tagged message has other runs"
    )


def _demand(kept: bool, otherwise: str) -> None:  # noqa: FBT001  as assert
    if not kept:
        raise BrokenPromiseError(otherwise)
