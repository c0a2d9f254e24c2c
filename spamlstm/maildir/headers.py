"""The X-Spam headers: added at the top of a message for sieve rules and mail programs, and removed from a message.

| header | when | for |
|---|---|---|
| `X-Spam-Flag: YES` | spam | the simple test of most filters and mail programs |
| `X-Spam-Unsure: YES` | unsure | rules that file unsure mail to a separate folder |
| `X-Spam-Status: Yes, score=8.7 required=5.0 tests=…` | always; Yes for spam, else No | Dovecot, Thunderbird |
| `X-Spam-Level: ********` | from 1 point on; one star each, at most 50 | `:contains "*****"` in sieve without numbers |
| `X-Spam-Checker-Version: spamlstm 1.0 (model)` | always | people who ask which program wrote the headers |

With `bogosity`, there is also an `X-Bogosity` header as bogofilter writes it.

The Subject and every other byte of the message are left unchanged.
"""

import io
import itertools
import math
import re
from collections.abc import Iterable

from spamlstm.message.headers import HeaderNames, end_of_head, end_of_header
from spamlstm.verdict import Judgement, Verdict, logit

# The lowest number of points of spam. This is SpamAssassin's threshold, because users have mail rules for this number.
REQUIRED = 5.0
MOST_STARS = 50
# Higher log-odds carry no further information, and mail programs have narrow columns.
MOST_POINTS = 99.9
# The reasons (see spamlstm.model.policy) for which the points depend on the probability. For all other reasons, the
# points depend only on the verdict.
_BY_MODEL = ("score", "labels", "known-sender")

# The headers that `tag` writes, and X-Spam, which some rules test. Such headers in a message that arrives are forged.
_REST = ("flag", "unsure", "status", "level", "checker-version")
REMOVED = ("X-Spam", *(f"X-Spam-{rest.title()}" for rest in _REST))
"""The names of these headers."""
_OURS = HeaderNames("x-spam", *(f"x-spam-{rest}" for rest in _REST))
_OURS_AND_BOGOSITY = HeaderNames("x-bogosity", "x-spam", *(f"x-spam-{rest}" for rest in _REST))
_CHECKER = re.compile(
    rb"^x-spam-checker-version[ \t]*+:[ \t]*+(?:\r?\n[ \t]++)?spamlstm\b", re.IGNORECASE | re.MULTILINE
)
_FLAG = re.compile(rb"^x-spam-flag[ \t]*+:[ \t]*+yes\b", re.IGNORECASE | re.MULTILINE)
_SEPARATOR = re.compile(rb">?From [^\n]*+\n")
_NOT_WORD = re.compile(r"[^A-Za-z0-9_]+")
_NOT_PRINTED = re.compile(r"[^ -~]+")


def tag(raw: bytes, judgement: Judgement, *, version: str, spam_threshold: float, bogosity: bool = False) -> bytes:
    """Return `raw` with the headers for `judgement` at the top, and without earlier X-Spam headers of the same names.

    `spam_threshold` is the lowest probability at which a message is classified as spam. `version` is the version of
    this program. With `bogosity`, an `X-Bogosity` header is replaced too. The new lines have the line ends of the
    message. Tagging a tagged message replaces its headers. A message that consists of one folded line without a line
    end has no place for a header and is returned without X-Spam headers. Never raises, whatever the message contains.
    """
    ours = _OURS_AND_BOGOSITY if bogosity else _OURS
    end = end_of_head(raw)
    top = ours.skip(raw, 0, end)
    place = _place(raw, top, end)
    if place > top and raw[place - 1 : place] != b"\n":
        return untag(raw)
    first = raw.find(b"\n", top)
    line_end = b"\r\n" if first > top and raw[first - 1 : first] == b"\r" else b"\n"
    lines = headers(judgement, version=version, spam_threshold=spam_threshold)
    lines += (("X-Bogosity", _bogosity(judgement, version=version)),) if bogosity else ()
    added = b"".join(f"{name}: {value}".encode("ascii") + line_end for name, value in lines)
    view = memoryview(raw)
    return _joined(itertools.chain([view[top:place], added], ours.left_out(raw, place, end), [view[end:]]))


def mark_unjudged(raw: bytes, why: str, *, version: str, bogosity: bool = False) -> bytes:
    """Return `raw` with headers that say that the message was not classified, and without earlier X-Spam headers.

    `why` is a word, shown as the name of the test in `X-Spam-Status`. Never raises, whatever the message contains.
    """
    return tag(raw, unjudged(why), version=version, spam_threshold=1.0, bogosity=bogosity)


def unjudged(why: str) -> Judgement:
    """Return the judgement of a message that was not classified. `why` is a word, shown as the name of the test."""
    return Judgement(Verdict.HAM, None, None, why, "")


def _bogosity(judgement: Judgement, *, version: str) -> str:
    """Return the value of an `X-Bogosity` header, with the probability of spam or, without one, that of the verdict."""
    word = {Verdict.SPAM: "Spam", Verdict.UNSURE: "Unsure", Verdict.HAM: "Ham"}[judgement.verdict]
    by_verdict = {Verdict.SPAM: 1.0, Verdict.UNSURE: 0.5, Verdict.HAM: 0.0}[judgement.verdict]
    probability = judgement.probability if judgement.reason in _BY_MODEL else by_verdict
    return f"{word}, tests=spamlstm, spamicity={probability:.6f}, version={_printed(version)}"


def untag(raw: bytes) -> bytes:
    """Return `raw` without the headers that `tag` writes, including such headers of other programs.

    Thus `untag(tag(raw))` equals `untag(raw)`. All such headers before the first blank line are removed.
    """
    end = end_of_head(raw)
    first = _OURS.find(raw, 0, end)
    if first == end:
        return raw
    view = memoryview(raw)
    return _joined(itertools.chain([view[:first]], _OURS.left_out(raw, first, end), [view[end:]]))


def is_replaced(name: bytes) -> bool:
    """Return whether `tag` removes headers of this name."""
    return _OURS.begins(name + b":")


def is_tagged(raw: bytes) -> bool:
    """Return whether the message has the headers that `tag` writes. A sender can forge these headers."""
    return _CHECKER.search(raw, 0, end_of_head(raw)) is not None


def is_tagged_as_spam(raw: bytes) -> bool:
    """Return whether the message has the headers that `tag` writes for spam. A sender can forge these headers."""
    return is_tagged(raw) and _FLAG.search(raw, 0, end_of_head(raw)) is not None


def _place(raw: bytes, top: int, end: int) -> int:
    """Return the offset in the header block raw[top:end] at which our headers are inserted.

    An mbox separator stays the first line. A folded line without a header does not become part of our headers.
    """
    separator = _SEPARATOR.match(raw, top, end)
    place = separator.end() if separator else top
    return end_of_header(raw, place, end) if raw.startswith((b" ", b"\t"), place) else place


def _joined(pieces: Iterable[bytes | memoryview]) -> bytes:
    """Return the joined pieces. A list of the pieces is avoided, because it would use as much memory again."""
    result = io.BytesIO()
    for piece in pieces:
        result.write(piece)
    return result.getvalue()


def headers(judgement: Judgement, *, version: str, spam_threshold: float) -> tuple[tuple[str, str], ...]:
    """Return the headers for `judgement` as (name, value) pairs. Each header is one line of printable ASCII."""
    shown = points(judgement, spam_threshold=spam_threshold)
    spam, unsure = judgement.verdict is Verdict.SPAM, judgement.verdict is Verdict.UNSURE
    status = f"{'Yes' if spam else 'No'}, score={shown:.1f} required={REQUIRED:.1f} tests={symbol(judgement)}"
    stars = "*" * min(int(shown), MOST_STARS)
    checker = f"spamlstm {_printed(version)}" + (f" ({_printed(judgement.model)})" if judgement.model else "")
    return (
        *((("X-Spam-Flag", "YES"),) if spam else ()),
        *((("X-Spam-Unsure", "YES"),) if unsure else ()),
        ("X-Spam-Status", status),
        *((("X-Spam-Level", stars),) if stars else ()),
        ("X-Spam-Checker-Version", checker),
    )


def symbol(judgement: Judgement) -> str:
    """Return the reason of a judgement in the form of the name of a test: SPAMLSTM_SCORE."""
    return f"SPAMLSTM_{_NOT_WORD.sub('_', judgement.reason.upper())[:40] or 'NONE'}"


def points(judgement: Judgement, *, spam_threshold: float) -> float:
    """Return the score in points on the scale of other spam filters. Only spam has REQUIRED or more points.

    Let p be the probability of spam and t the threshold. If p is below t, the points are REQUIRED · p / t. Otherwise
    the points are REQUIRED + logit(p) - logit(t), at most 99.9. Points have one decimal, grow with p, and are never
    negative, because sieve cannot compare negative numbers. If the probability did not decide (allow and deny lists,
    GTUBE, no text), ham has 0 points, unsure has half of REQUIRED, and spam has REQUIRED. Thus a rule that deletes mail
    with high scores never deletes mail that is only on a list.
    """
    # The verdict takes precedence if the points contradict it, because of rounding or because a threshold has changed.
    tenths, least = _model_tenths(judgement, spam_threshold), round(REQUIRED * 10)
    return (max(tenths, least) if judgement.verdict is Verdict.SPAM else min(tenths, least - 1)) / 10


def _model_tenths(judgement: Judgement, spam_threshold: float) -> int:
    p, score, least = judgement.probability, judgement.score, round(REQUIRED * 10)
    if judgement.reason not in _BY_MODEL or p is None or not 0.0 <= p <= 1.0:
        return {Verdict.HAM: 0, Verdict.UNSURE: least // 2, Verdict.SPAM: least}[judgement.verdict]
    if p < spam_threshold:
        return int(least * p / spam_threshold)
    # Near 1, p has too few digits, but the log-odds have enough.
    odds = score if score is not None and not math.isnan(score) else logit(p)
    # The difference of infinite log-odds and an infinite threshold is not a number.
    over = odds - logit(spam_threshold) if math.isfinite(logit(spam_threshold)) else 0.0
    return int(min(least + 10 * max(over, 0.0), MOST_POINTS * 10))


def _printed(text: str) -> str:
    """Return `text` as printable ASCII on one line, at most 60 characters, for use in a header."""
    return _NOT_PRINTED.sub("_", text)[:60].strip() or "unknown"
