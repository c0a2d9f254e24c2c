"""The X-Spam headers: written at the top of a message for sieve rules and mail programs, and removed again.

| header | when | for |
|---|---|---|
| `X-Spam-Flag: YES` | spam | the simple test of most filters and mail programs |
| `X-Spam-Unsure: YES` | unsure | rules that file unsure mail to a folder of its own |
| `X-Spam-Status: Yes, score=8.7 required=5.0 tests=…` | always; Yes for spam, else No | Dovecot, Thunderbird |
| `X-Spam-Level: ********` | from 1 point on; one star each, at most 50 | `:contains "*****"` in sieve without numbers |
| `X-Spam-Checker-Version: spamlstm 1.0 (model)` | always | people who ask which program wrote the headers |

The Subject and every other byte of the message stay as they are.
"""

import io
import itertools
import math
import re
from collections.abc import Iterable

from spamlstm.message.headers import HeaderNames, end_of_head, end_of_header
from spamlstm.verdict import Judgement, Verdict, logit

# The points of spam: SpamAssassin's threshold, for which users have rules.
REQUIRED = 5.0
MOST_STARS = 50
# Higher log-odds mean nothing more, and columns of mail programs are narrow.
MOST_POINTS = 99.9
# The reasons of spamlstm.model.policy for which points follow the probability; for all others, the verdict alone.
_BY_MODEL = ("score", "labels")

# The headers that `tag` writes, and X-Spam, which some rules test. Those that a message arrives with are forged.
_OURS = HeaderNames("x-spam", *(f"x-spam-{rest}" for rest in ("flag", "unsure", "status", "level", "checker-version")))
_CHECKER = re.compile(rb"^x-spam-checker-version[ \t]*+:[ \t]*+spamlstm\b", re.IGNORECASE | re.MULTILINE)
_SEPARATOR = re.compile(rb">?From [^\n]*+\n")
_NOT_WORD = re.compile(r"[^A-Za-z0-9_]+")
_NOT_PRINTED = re.compile(r"[^ -~]+")


def tag(raw: bytes, judgement: Judgement, *, version: str, spam_threshold: float) -> bytes:
    """Return `raw` with the headers for `judgement` at the top, and without those that it had.

    `spam_threshold` is the probability from which on the policy says spam, `version` that of this program. Lines end as
    in the message. Tagging a tagged message replaces its headers. A message that is one folded line without a line end
    has no place for a header and is returned without any. Never raises on mail.
    """
    end = end_of_head(raw)
    top = _OURS.skip(raw, 0, end)
    place = _place(raw, top, end)
    if place > top and raw[place - 1 : place] != b"\n":
        return untag(raw)
    first = raw.find(b"\n", top)
    line_end = b"\r\n" if first > top and raw[first - 1 : first] == b"\r" else b"\n"
    lines = headers(judgement, version=version, spam_threshold=spam_threshold)
    ours = b"".join(f"{name}: {value}".encode("ascii") + line_end for name, value in lines)
    view = memoryview(raw)
    return _joined(itertools.chain([view[top:place], ours], _OURS.left_out(raw, place, end), [view[end:]]))


def untag(raw: bytes) -> bytes:
    """Return `raw` without the headers that `tag` writes, whoever wrote them.

    So `untag(tag(raw))` equals `untag(raw)`. Only headers up to the first blank line are removed, however many.
    """
    end = end_of_head(raw)
    first = _OURS.find(raw, 0, end)
    if first == end:
        return raw
    view = memoryview(raw)
    return _joined(itertools.chain([view[:first]], _OURS.left_out(raw, first, end), [view[end:]]))


def is_tagged(raw: bytes) -> bool:
    """Return whether the message has the headers that `tag` writes. A sender can forge them."""
    return _CHECKER.search(raw, 0, end_of_head(raw)) is not None


def _place(raw: bytes, top: int, end: int) -> int:
    """Return the offset in the header block raw[top:end] at which our headers are inserted.

    An mbox separator stays the first line, and a folded line without a header does not become part of our headers.
    """
    separator = _SEPARATOR.match(raw, top, end)
    place = separator.end() if separator else top
    return end_of_header(raw, place, end) if raw.startswith((b" ", b"\t"), place) else place


def _joined(pieces: Iterable[bytes | memoryview]) -> bytes:
    """Join the pieces without a list of them, which would take as much memory again."""
    result = io.BytesIO()
    for piece in pieces:
        result.write(piece)
    return result.getvalue()


def headers(judgement: Judgement, *, version: str, spam_threshold: float) -> tuple[tuple[str, str], ...]:
    """Return the headers for `judgement` as (name, value), each one line of printable ASCII."""
    shown = points(judgement, spam_threshold=spam_threshold)
    spam, unsure = judgement.verdict is Verdict.SPAM, judgement.verdict is Verdict.UNSURE
    status = (
        f"{'Yes' if spam else 'No'}, score={shown:.1f} required={REQUIRED:.1f}"
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


def points(judgement: Judgement, *, spam_threshold: float) -> float:
    """Return the score on the scale of other filters: 0 or more, with one decimal, from REQUIRED on for spam only.

    With p the probability of spam and t the threshold: REQUIRED · p / t below t, else REQUIRED + logit(p) - logit(t),
    at most 99.9. It grows with p and is never negative, which sieve could not compare. Where the probability did not
    decide (allow and deny lists, GTUBE, no text), ham has 0, unsure half of REQUIRED and spam REQUIRED, so that a
    rule that deletes mail with high scores never deletes mail that is only on a list.
    """
    # The verdict decides, even if rounding or a threshold that changed since would give other points.
    tenths, least = _model_tenths(judgement, spam_threshold), round(REQUIRED * 10)
    return (max(tenths, least) if judgement.verdict is Verdict.SPAM else min(tenths, least - 1)) / 10


def _model_tenths(judgement: Judgement, spam_threshold: float) -> int:
    p, score, least = judgement.probability, judgement.score, round(REQUIRED * 10)
    if judgement.reason not in _BY_MODEL or p is None or not 0.0 <= p <= 1.0:
        return {Verdict.HAM: 0, Verdict.UNSURE: least // 2, Verdict.SPAM: least}[judgement.verdict]
    if p < spam_threshold:
        return int(least * p / spam_threshold)
    # Near 1, p has too few digits; the log-odds have enough.
    odds = score if score is not None and not math.isnan(score) else logit(p)
    # Infinite log-odds minus an infinite threshold are not a number.
    over = odds - logit(spam_threshold) if math.isfinite(logit(spam_threshold)) else 0.0
    return int(min(least + 10 * max(over, 0.0), MOST_POINTS * 10))


def _printed(text: str) -> str:
    """Return a text as printable ASCII on one line, at most 60 characters, for use in a header."""
    return _NOT_PRINTED.sub("_", text)[:60].strip() or "unknown"
