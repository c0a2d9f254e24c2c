"""Text on which a regular expression is slow, if there is any: made of what the expression itself looks for."""

import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

# The parser of `re` knows what a pattern looks for; it has no public name.
from re import _constants as codes
from re import _parser as parser

PROBE, MIDDLE, FULL = 4 << 10, 64 << 10, 1 << 20
INF = float("inf")
FILLERS = ' \na1-.é"'
MOST_SAMPLES, CUTS, LONGEST = 6, 4, 120
CATEGORIES = {
    codes.CATEGORY_DIGIT: r"\d",
    codes.CATEGORY_NOT_DIGIT: r"\D",
    codes.CATEGORY_SPACE: r"\s",
    codes.CATEGORY_NOT_SPACE: r"\S",
    codes.CATEGORY_WORD: r"\w",
    codes.CATEGORY_NOT_WORD: r"\W",
}


class TooSlowError(Exception):
    """The processor time that was allowed has passed."""


def slow_on(pattern: re.Pattern, *, anchored: bool = False, seconds: float = 1.0) -> str | None:
    """On which text of 1 MB `pattern` takes more than so much processor time, as a description; None if on none.

    `anchored` says that the pattern is tried at one place only (match, fullmatch), else it is searched for. All texts
    are tried at 4 KB, and those two that took most of the time at 1 MB: where time grows with the square of the
    length, 4 KB take many times as long as elsewhere.
    """
    spent: dict[tuple[str, str], float] = {}
    for text in dict.fromkeys(_texts(pattern)):
        spent[text] = _seconds(pattern, text, PROBE, anchored=anchored, most=seconds)
        # 1 µs for each letter is much: a look at 64 KB tells whether it is ten times as much there.
        if spent[text] > PROBE / 1e6 and _seconds(pattern, text, MIDDLE, anchored=anchored, most=seconds / 4) == INF:
            return f"{text[0]!r} and 64 KB of {text[1]!r}"
    for text in sorted(spent, key=spent.__getitem__, reverse=True)[:2]:
        if _seconds(pattern, text, FULL, anchored=anchored, most=seconds) == INF:
            return f"{text[0]!r} and 1 MB of {text[1]!r}"
    return None


def _texts(pattern: re.Pattern) -> Iterator[tuple[str, str]]:
    """(beginning, unit): a text begins so, and then repeats the unit."""
    for filler in FILLERS:
        yield "", filler
    for sample in samples(pattern):
        cuts = sorted({max(1, round(step * len(sample) / CUTS)) for step in range(1, CUTS + 1)})
        for start in [sample[:cut] for cut in cuts]:
            yield "", start
            for filler in FILLERS:
                yield start, filler
                yield "", start + filler
        for cut in cuts:
            yield sample[:cut], sample[cut:] or sample[-1:]


def _seconds(pattern: re.Pattern, text: tuple[str, str], size: int, *, anchored: bool, most: float) -> float:
    """The processor time that a text of this size takes; INF if that is more than `most`."""
    start, unit = text
    # The end keeps a pattern from matching just because the text is over.
    whole = start + unit * (size // len(unit)) + "\n\0"
    subject = whole if isinstance(pattern.pattern, str) else whole.encode("latin-1", "replace")
    begun = time.process_time()
    try:
        with limit(most):
            if anchored:
                pattern.match(subject)
            else:
                for _ in pattern.finditer(subject):
                    pass
    except TooSlowError:
        return INF
    return time.process_time() - begun


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """TooSlowError after so much processor time; `re` looks for signals while it searches."""

    def stop(*_):
        raise TooSlowError

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def samples(pattern: re.Pattern) -> list[str]:
    """Some texts that the pattern matches, or nearly: of each of its alternatives one."""
    source = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    tree = parser.parse(source, pattern.flags & ~re.DEBUG if isinstance(pattern.pattern, str) else 0)
    return [text[:LONGEST] for text in dict.fromkeys(islice(_sequence(list(tree)), MOST_SAMPLES)) if text]


def _sequence(items: list) -> Iterator[str]:
    if not items:
        yield ""
        return
    for rest in islice(_sequence(items[1:]), MOST_SAMPLES):
        for first in islice(_item(*items[0]), MOST_SAMPLES):
            yield first + rest


def _item(code: object, value: object) -> Iterator[str]:
    if code is codes.LITERAL:
        yield chr(value)
    elif code is codes.NOT_LITERAL:
        yield "a" if chr(value) != "a" else "b"
    elif code is codes.ANY:
        yield "a"
    elif code is codes.IN:
        yield next(
            (sign for sign in map(chr, (*range(97, 123), *range(48, 58), *range(0x600))) if _holds(value, sign)), ""
        )
    elif code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
        least, _, inner = value
        yield from (text * max(least, 1) for text in _sequence(list(inner)))
    elif code is codes.BRANCH:
        for alternative in value[1]:
            yield from _sequence(list(alternative))
    elif code is codes.SUBPATTERN:
        yield from _sequence(list(value[3]))
    elif code is codes.ATOMIC_GROUP:
        yield from _sequence(list(value))
    else:
        yield ""


def _holds(members: list, sign: str) -> bool:
    negated = members[0][0] is codes.NEGATE
    return negated != any(_is_member(code, value, sign) for code, value in members)


def _is_member(code: object, value: object, sign: str) -> bool:
    if code is codes.LITERAL:
        return ord(sign) == value
    if code is codes.RANGE:
        return value[0] <= ord(sign) <= value[1]
    return code is codes.CATEGORY and re.match(CATEGORIES[value], sign) is not None
