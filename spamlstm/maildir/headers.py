"""The headers that tell other programs what was decided: written at the top of a message, and taken out again.

For a user's sieve rule or mail program:

| header | when | for whom |
|---|---|---|
| `X-Spam-Flag: YES` | spam | the simple test that most filters and readers make |
| `X-Spam-Unsure: YES` | unsure | its counterpart, for those who want a folder to look through |
| `X-Spam-Status: Yes, score=8.7 required=5.0 tests=…` | always; Yes for spam, else No | Dovecot, Thunderbird |
| `X-Spam-Level: ********` | from 1 point on; a star each, 50 at most | `:contains "*****"` where sieve lacks numbers |
| `X-Spam-Checker-Version: spamlstm 1.0 (model)` | always | whoever wonders who wrote this |

The Subject, and every other byte of the message, stays as it is.
"""

import io
import itertools
import math
import re
from collections.abc import Iterable

from spamlstm.message.head import HeaderNames, end_of_head, end_of_header
from spamlstm.verdict import Judgement, Verdict

# SpamAssassin's own bar, which rules that users bring along are written for.
REQUIRED = 5.0
MOST_STARS = 50
# Log-odds beyond this say nothing more, and columns of mail programs are narrow.
MOST_POINTS = 99.9
# The reasons of spamlstm.model.policy that speak of the probability; with any other the verdict alone counts.
_BY_MODEL = ("score", "labels")

# Ours, and a bare X-Spam, which some rules look for: what comes in under these names is forged.
_OURS = HeaderNames(
    "x-spam",
    *(f"x-spam-{rest}" for rest in ("flag", "unsure", "status", "level", "checker-version")),
)
_CHECKER = re.compile(rb"^x-spam-checker-version[ \t]*+:[ \t]*+spamlstm\b", re.IGNORECASE | re.MULTILINE)
_SEPARATOR = re.compile(rb">?From [^\n]*+\n")
_NOT_WORD = re.compile(r"[^A-Za-z0-9_]+")
_NOT_PRINTED = re.compile(r"[^ -~]+")


def tag(raw: bytes, judgement: Judgement, *, version: str, spam_threshold: float, required: float = REQUIRED) -> bytes:
    """`raw` with what was decided on top of its headers, and without any such headers that it came with.

    `bar` is the probability from which on the policy says spam, `version` that of this program. Never raises on mail;
    tagging twice is tagging once. Lines end as those of the message do. Bytes that are no more than one folded line
    without an end have no place for a header and come back as they are.
    """
    end = end_of_head(raw)
    top = _OURS.skip(raw, 0, end)
    place = _place(raw, top, end)
    if place > top and raw[place - 1 : place] != b"\n":
        return untag(raw)
    first = raw.find(b"\n", top)
    line_end = b"\r\n" if first > top and raw[first - 1 : first] == b"\r" else b"\n"
    lines = headers(judgement, version=version, spam_threshold=spam_threshold, required=required)
    ours = b"".join(f"{name}: {value}".encode("ascii") + line_end for name, value in lines)
    view = memoryview(raw)
    return _joined(itertools.chain([view[top:place], ours], _OURS.left_out(raw, place, end), [view[end:]]))


def untag(raw: bytes) -> bytes:
    """`raw` without the headers that `tag` writes, from whomever they are: `untag(tag(raw))` is `untag(raw)`.

    So it is `raw` itself if that came with none of them. Only the top headers are touched, up to the first blank line;
    all of them, however many there are.
    """
    end = end_of_head(raw)
    first = _OURS.find(raw, 0, end)
    if first == end:
        return raw
    view = memoryview(raw)
    return _joined(itertools.chain([view[:first]], _OURS.left_out(raw, first, end), [view[end:]]))


def is_tagged(raw: bytes) -> bool:
    """Whether the message carries what `tag` writes, be it from us or from someone who wants to look so."""
    return _CHECKER.search(raw, 0, end_of_head(raw)) is not None


def _place(raw: bytes, top: int, end: int) -> int:
    """Where in the header block raw[top:end] our headers go.

    An mbox separator stays the first line; and a folded line without a header must not become part of ours.
    """
    separator = _SEPARATOR.match(raw, top, end)
    place = separator.end() if separator else top
    return end_of_header(raw, place, end) if raw.startswith((b" ", b"\t"), place) else place


def _joined(pieces: Iterable[bytes | memoryview]) -> bytes:
    """One after the other, in the memory of the result alone: a list of the pieces would take as much again."""
    result = io.BytesIO()
    for piece in pieces:
        result.write(piece)
    return result.getvalue()


def headers(
    judgement: Judgement, *, version: str, spam_threshold: float, required: float = REQUIRED
) -> tuple[tuple[str, str], ...]:
    """The headers that tell of `judgement`, name and value, each one line of printable ASCII whatever it holds."""
    shown = points(judgement, spam_threshold=spam_threshold, required=required)
    spam, unsure = judgement.verdict is Verdict.SPAM, judgement.verdict is Verdict.UNSURE
    status = (
        f"{'Yes' if spam else 'No'}, score={shown:.1f} required={_tenths(required) / 10:.1f}"
        f" tests=SPAMLSTM_{_NOT_WORD.sub('_', judgement.reason.upper())[:40] or 'NONE'}"
    )
    stars = "*" * min(int(shown), MOST_STARS)
    checker = f"spamlstm {_printed(version)}" + (f" ({_printed(judgement.model)})" if judgement.model else "")
    return (
        *((("X-Spam-Flag", "YES"),) if spam else ()),
        *((("X-Spam-Unsure", "YES"),) if unsure else ()),
        ("X-Spam-Status", status),
        *((("X-Spam-Level", stars),) if stars else ()),
        ("X-Spam-Checker-Version", checker),
    )


def points(judgement: Judgement, *, spam_threshold: float, required: float = REQUIRED) -> float:
    """The score as other filters count: from 0 up, with one decimal, and at least `required` exactly for spam.

    With p the probability of spam and b the bar: required · p / b below the bar, required + logit(p) - logit(b) from
    it on, to 99.9 at most. It grows with p and never is negative, which sieve could not compare. Where not the
    probability decided (allow and deny lists, GTUBE, nothing to read) ham is 0, unsure half of `required`, and
    spam `required`: a rule that deletes from some high score on must not meet what only a list says.
    """
    least = _tenths(required)
    tenths = _model_tenths(judgement, spam_threshold=spam_threshold, least=least)
    # The verdict has the last word, over rounding and over a bar that has changed since.
    if judgement.verdict is Verdict.SPAM:
        return max(tenths, least) / 10
    return min(tenths, least - 1) / 10


def _tenths(required: float) -> int:
    return max(1, round(required * 10))


def _model_tenths(judgement: Judgement, *, spam_threshold: float, least: int) -> int:
    p, score = judgement.probability, judgement.score
    if judgement.reason not in _BY_MODEL or p is None or not 0.0 <= p <= 1.0:
        return {Verdict.HAM: 0, Verdict.UNSURE: least // 2, Verdict.SPAM: least}[judgement.verdict]
    if p < spam_threshold:
        return int(least * p / spam_threshold)
    # Near certainty p has no digits left to tell, and the log-odds still do.
    odds = score if score is not None and not math.isnan(score) else _logit(p)
    # Infinite odds over an infinite bar are no number.
    over = odds - _logit(spam_threshold) if math.isfinite(_logit(spam_threshold)) else 0.0
    most = max(round(MOST_POINTS * 10), least)
    return int(min(least + 10 * max(over, 0.0), most))


def _logit(p: float) -> float:
    if 0.0 < p < 1.0:
        return math.log(p) - math.log1p(-p)
    return math.inf if p >= 1.0 else -math.inf


def _printed(text: str) -> str:
    """No line end, and nothing else that would take encoding, gets into a header by way of a name."""
    return _NOT_PRINTED.sub("_", text)[:60].strip() or "unknown"
