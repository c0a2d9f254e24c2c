"""The estimated cost of the tree of a page, and the budget of a message.

lexbor builds the tree of a browser. Parts of this work take quadratic time and cannot be interrupted, so the estimate
is an upper bound, computed before the tree is built. A step is the time to look at one open element.
docs/decisions/0002-own-parser.md has the cases.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable

# The budget for all pages of a message. One step takes about 5 ns of processor time, so the budget is 240 ms.
MAX_STEPS = 48_000_000

# The steps for each tag and each character of any page, for the parser and our own passes.
_PER_TAG, _PER_CHARACTER = 400, 2
# The steps for one reopened formatting element and for each of its attributes, and the number of characters copied in
# one step.
_REOPENED, _REOPENED_ATTRIBUTE, _COPIED = 90, 60, 4
# The page is searched in stretches of this many characters for places where a tag ends, regardless of how its quotes
# are read.
_STRETCH = 1_000
# A tag that does not cover a whole stretch is part of at most two stretches. A distinct attribute has at least three
# characters.
_MOST_IN_STRETCHES = 2 * _STRETCH // 3
# The attributes of a tag up to this length are so few that the cost of comparing them is negligible.
_SHORT_TAG = 128
# Below these numbers of attributes or steps, an exact count is not worthwhile.
_FEW, _FEW_STEPS = 20, 1_000_000
# A page of this size has too many attributes for the roughest estimate.
_LARGE = 32_000
# If quotes hide the ends of tags, the end of each tag is searched for from its `<`. All these searches together may
# cover at most this many times the size of the page.
_MOST_SEARCHED = 8

# Patterns for pages in lower case. Links are reopened like formatting. The attributes of a second <body> are added to
# the first.
_REOPENING = re.compile(rb"(?:[abisu]|big|code|em|font|nobr|small|str(?:ike|ong)|tt)(?![^\s/>])")
_MERGED = re.compile(rb"(?:body|html)(?![^\s/>])")
# The first two bytes of tags of both kinds. Nearly all other tags begin differently.
_BEGINNINGS = frozenset(
    [
        name + end
        for name in (b"a", b"b", b"i", b"s", b"u")
        for end in (b"", b" ", b"\t", b"\n", b"\f", b"\r", b"/", b">")
    ]
    + [name[:2] for name in b"big code em font nobr small strike strong tt body html".split()]
)
_NO_SEPARATORS = bytes(set(range(256)) - set(b" \t\n\f\r/\"'"))
_LETTER = re.compile(rb"/?[a-z]")
# End tags are included because their attributes are read and discarded.
_START = re.compile(rb"<(?=/?[a-z])")
# An attribute, and a whole tag with its attributes, as defined by the HTML standard.
_ATTRIBUTE_TEXT = (
    rb"[ \t\n\f\r/]*+[^ \t\n\f\r/>][^ \t\n\f\r/>=]*+(?:(?![ \t\n\f\r]*+=)|[ \t\n\f\r]*+=[ \t\n\f\r]*+"
    rb"(?:\"[^\"]*+\"|'[^']*+'|[^ \t\n\f\r>\"'][^ \t\n\f\r>]*+|(?=>)))"
)
# White space without an attribute is one match with a group. Otherwise each of its characters would be tried as the
# beginning of an attribute, in quadratic time.
_ATTRIBUTE = re.compile(_ATTRIBUTE_TEXT + rb"|([ \t\n\f\r/]++)")
_WHOLE_TAG = re.compile(rb"</?[a-z][^ \t\n\f\r/>]*+(?>" + _ATTRIBUTE_TEXT + rb")*+[ \t\n\f\r/]*+>")
# The end of a tag, unless a value in single quotes is open.
_SURE_END = re.compile(rb"=\"[^\"'<>=]*+\">")
_SINGLE_QUOTED = re.compile(rb"=[ \t\n\f\r]*+'")
# For tags joined by `<`: a quote that opens a value which does not end in its tag.
_HIDDEN_END = re.compile(rb"=[ \t\n\f\r]*+(?:\"[^\"<]*+(?:<|\Z)|'[^'<]*+(?:<|\Z))")
# For tags joined by `<`: the value of an attribute with its equals sign, and the remainder of an unclosed value after
# the other values are removed.
_VALUE = re.compile(rb"(?<![ \t\n\f\r/\"'])=[ \t\n\f\r]*+(?:\"[^\"<]*+\"|'[^'<]*+'|[^ \t\n\f\r>\"'<][^ \t\n\f\r><]*+)")
_UNCLOSED = re.compile(rb"=[ \t\n\f\r]*+[\"']")


class TooComplexError(Exception):
    """The pages of a message cost more steps than are left in the budget."""


class Budget:
    """The number of steps that are left for all pages of one message. A message may have 500 pages."""

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self.left = steps

    def spend(self, steps: int) -> None:
        """Subtract `steps` from the budget.

        Raises TooComplexError if fewer steps are left. The budget is then unchanged.
        """
        if steps > self.left:
            raise TooComplexError
        self.left -= steps


def pay(low: bytes, budget: Budget) -> None:
    """Subtract an upper bound for the cost of the tree of a page from the budget.

    `low` is the page in UTF-8 and lower case. Text that looks like a tag may be in a comment, a script or a quote, so
    everything that could be a tag is counted. The fastest estimate is tried first, and is used if it is small compared
    with the remaining budget. Raises TooComplexError if fewer steps are left.
    """
    tags, size = low.count(b"<"), len(low)
    # For each tag, lexbor may look at each open element. There may be as many open elements as tags.
    budget.spend(tags * (tags + _PER_TAG) + size * _PER_CHARACTER)
    attributes = _attribute_bound(low)
    if size < _LARGE:
        # In the worst case, half of the tags are formatting that the other tags reopen, and all attributes belong to
        # one tag.
        reopened = tags * (tags * _REOPENED // 4 + attributes * _REOPENED_ATTRIBUTE // 2)
        worst = reopened + attributes**2 // 2 + _lookup_steps(attributes)
        if worst <= budget.left * 3 // 4:
            budget.spend(worst)
            return
    budget.spend(tags * _PER_TAG + size * _PER_CHARACTER)
    if likely := _likely_steps(low, tags, _lookup_steps(attributes), budget.left * 3 // 4):
        budget.spend(likely)
        return
    every, attributes = _all_tags(low)
    budget.spend(size * _SHORT_TAG // 4 + _compare_steps([tag for tag in every if len(tag) > _SHORT_TAG]))
    budget.spend(_lookup_steps(attributes))
    budget.spend(_move_steps([tag for tag in every if tag[:2] in _BEGINNINGS], tags))


def _likely_steps(low: bytes, tags: int, steps: int, most: int) -> int:
    """Return an upper bound for `steps` plus the steps for attributes and formatting, or 0 if there is no usable bound.

    There is no usable bound if quotes may hide the ends of tags. A bound above `most` is not used either, because a
    more exact count may find fewer steps.
    """
    if steps > most or (b"'" in low and _SINGLE_QUOTED.search(low)):
        return 0
    parted = [piece.partition(b">") for piece in low.split(b"<")[1:] if piece[:2] in _BEGINNINGS]
    special = [tag for tag, end, _ in parted if end]
    if len(special) < len(parted) or not _are_whole(special):
        return 0
    steps += _compare_steps_in_stretches(low) + _move_steps(special, tags)
    return steps if steps <= most else 0


def _are_whole(tags: list[bytes]) -> bool:
    """Return whether each tag ends at its first `>`. A quoted value that contains `<` or `>` would hide the end."""
    return not _HIDDEN_END.search(b"<".join(tags)) or all(
        _WHOLE_TAG.fullmatch(b"<%b>" % tag) for tag in tags if _HIDDEN_END.search(tag)
    )


def _compare_steps_in_stretches(low: bytes) -> int:
    """Return an upper bound for `_compare_steps` of all tags, provided that no value is in single quotes.

    A stretch in which a tag certainly ends is not completely within one tag. A stretch without double quotes does not
    add an attribute to a tag with an open value, and a `>` in such a stretch ends any other tag.
    """
    steps = len(low) * _MOST_IN_STRETCHES**2 // (4 * _STRETCH)
    open_since = -1
    for begin in range(0, len(low), _STRETCH):
        stretch = low[begin : begin + _STRETCH]
        if _SURE_END.search(stretch):
            if open_since >= 0:
                steps += _compare_steps_within(low[open_since:begin])
            open_since = -1
        elif open_since < 0 and (b'"' in stretch or b">" not in stretch):
            open_since = begin
    return steps + (_compare_steps_within(low[open_since:]) if open_since >= 0 else 0)


def _compare_steps_within(stretches: bytes) -> int:
    """Return an upper bound for `_compare_steps` if `stretches` and the adjacent stretches are a single tag."""
    return (_attribute_bound(stretches) + _MOST_IN_STRETCHES) ** 2 // 2


def _all_tags(low: bytes) -> tuple[list[bytes], int]:
    """Return the text of each possible tag, and the number of attributes of all tags.

    The text of a tag begins after its `<` and ends before its `>`.
    """
    parted = [piece.partition(b">") for piece in low.split(b"<")[1:]]
    every = [tag for tag, _, _ in parted]
    bare = _VALUE.sub(b"", b"<".join(every))
    if any(not end and _LETTER.match(tag) for tag, end, _ in parted) or (
        _UNCLOSED.search(bare) and any(_LETTER.match(tag) and not _WHOLE_TAG.fullmatch(b"<%b>" % tag) for tag in every)
    ):
        # A tag may continue after the next `<`, or a quote may hide its end.
        every = list(_every_tag(low))
        return every, sum(map(_attribute_estimate, every))
    return every, _attribute_bound(bare)


def _every_tag(low: bytes) -> Iterable[bytes]:
    """Yield the text after each `<` that begins a tag, up to the end of the tag.

    Raises TooComplexError if the search covers more than _MOST_SEARCHED times the size of the page.
    """
    room = len(low) * _MOST_SEARCHED
    for start in _START.finditer(low):
        tag = _WHOLE_TAG.match(low, start.start())
        room -= len(tag[0]) if tag else len(low) - start.start()
        if room < 0:
            raise TooComplexError
        if tag:
            yield tag[0][1:-1]


def _attributes(tag: bytes) -> int:
    """Return the number of attributes of a tag. The pattern also matches the name of the tag, so one is subtracted."""
    return _ATTRIBUTE.findall(tag).count(b"") - 1


def _attribute_estimate(tag: bytes) -> int:
    """Return the number of attributes of a tag, or a slightly higher number."""
    most = _attribute_bound(tag)
    return most if most < _FEW else _attributes(tag)


def _attribute_bound(tag: bytes) -> int:
    """Return an upper bound for the number of attributes, in a tenth of the time of counting them.

    Each attribute follows white space, a slash or a quote.
    """
    return len(tag.translate(None, _NO_SEPARATORS))


def _compare_steps(tags: list[bytes]) -> int:
    """Return the steps to compare each attribute of a tag with the preceding attributes."""
    return sum(_attribute_estimate(tag) ** 2 for tag in tags) // 2


def _move_steps(some: list[bytes], tags: int) -> int:
    """Return the steps for attributes that are added to the first <body> or <html>, and for reopened formatting."""
    merged = list(filter(_MERGED.match, some))
    starts = list(filter(_REOPENING.match, some))
    steps = _compare_steps([b" ".join(merged)]) if len(merged) > 2 else 0
    most = _reopen_steps(starts, tags, _attribute_bound)
    return steps + (most if most < _FEW_STEPS else _reopen_steps(starts, tags, _attributes))


def _reopen_steps(starts: list[bytes], tags: int, attributes: Callable[[bytes], int]) -> int:
    """Return the steps to reopen formatting that a tag has closed: up to three tags of the same kind, and one link.

    Of the tags that begin formatting, only links and <nobr> close other tags.
    """
    links = [tag for tag in starts if tag[:1] == b"a"]
    most, longest = max(map(attributes, links), default=0), max(map(len, links), default=0)
    steps = _REOPENED + _REOPENED_ATTRIBUTE * most + longest // _COPIED if links else 0
    closing = tags
    for tag, count in Counter(tag for tag in starts if tag[:1] != b"a").items():
        steps += min(count, 3) * (_REOPENED + _REOPENED_ATTRIBUTE * attributes(tag) + len(tag) // _COPIED)
        closing -= 0 if tag[:1] == b"n" else count
    return closing * steps


def _lookup_steps(attributes: int) -> int:
    """Return the steps to look up each attribute name in a hash table of 128 chains.

    A page can choose names that are all in the same chain.
    """
    return attributes**2 // 4
