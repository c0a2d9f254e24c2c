"""Lists of selectors: their items, also within `:is()`, `:where()` and nested rules."""

import re
from collections.abc import Iterator

# More selectors that stand for one are not read, nor longer ones.
_MOST, _MAX_LENGTH = 50, 5_000
_SIGN = re.compile(r"[(),]")
_EITHER = re.compile(r":(is|where)\(((?>[^()]++|\([^()]*+\))*+)\)", re.IGNORECASE)
_COMBINED = re.compile(r"[\s>+~]")
_COMPOUND = re.compile(r"(?<![^\s>+~])[^\s>+~]*+\Z")
_TAG = re.compile(r"\*|[A-Za-z_][\w-]*+")
UNREADABLE = "?"


def split_list(selectors: str) -> list[str]:
    """Return the selectors of a list. Commas in parentheses do not separate."""
    if "(" not in selectors:
        return selectors.split(",")
    pieces, depth, start = [], 0, 0
    for sign in _SIGN.finditer(selectors):
        if sign[0] == ",":
            if not depth:
                pieces.append(selectors[start : sign.start()])
                start = sign.end()
        else:
            depth += 1 if sign[0] == "(" else -1
    return [*pieces, selectors[start:]] if not depth else selectors.split(",")


def nested(selectors: str, outer: str) -> str:
    """Return the selectors of a rule within a rule for `outer`."""
    if outer == UNREADABLE or len(selectors) + len(outer) > _MAX_LENGTH:
        return UNREADABLE
    inner, around = split_list(selectors), split_list(outer)
    if len(inner) * len(around) > _MOST:
        return UNREADABLE
    result = ",".join([_within(one.strip(), other.strip()) for one in inner for other in around])
    return result if len(result) <= _MAX_LENGTH else UNREADABLE


def _within(selector: str, outer: str) -> str:
    return selector.replace("&", outer) if "&" in selector else f"{outer} {selector}"


def alternatives(selector: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the selectors without `:is()` and `:where()` for which a selector stands.

    Each is yielded with the selectors in it that do not count for its specificity. A selector that cannot be written
    in this way is yielded as it is.
    """
    if "(" not in selector or not _EITHER.search(selector):
        yield selector, ()
        return
    found: list[tuple[str, tuple[str, ...]]] = []
    remaining: list[tuple[str, tuple[str, ...]]] = [(selector, ())]
    while remaining:
        one, light = remaining.pop()
        if len(found) + len(remaining) > _MOST or len(one) > _MAX_LENGTH:
            yield selector, ()
            return
        match = _EITHER.search(one)
        if match is None:
            found.append((one, light))
            continue
        for option in split_list(match[2])[: _MOST + 1]:
            inserted = _inserted(one[: match.start()], option.strip(), one[match.end() :])
            if inserted is None:
                yield selector, ()
                return
            if inserted:
                remaining.append((inserted, (*light, option.strip()) if match[1].lower() == "where" else light))
    yield from found


def _inserted(before: str, option: str, after: str) -> str | None:
    """Return a selector with one option at the place of all, '' if no element can match, or None if it is unknown."""
    if not option:
        return ""
    start = match.start() if (match := _COMPOUND.search(before)) else len(before)
    begin = before[start:]
    if _COMBINED.search(option):
        # The elements around the option and those in `before` may stand in any order.
        return f"{option}{after}" if not before.strip() and (not after or _COMBINED.match(after)) else None
    tag = _TAG.match(option)
    if tag is None or not begin:
        return f"{before}{option}{after}"
    rest = option[tag.end() :]
    own = _TAG.match(begin)
    if tag[0] == "*" or (own and own[0].lower() == tag[0].lower()):
        return f"{before}{rest}{after}"
    if own and own[0] != "*":
        return ""
    begin = begin[own.end() :] if own else begin
    return f"{before[:start]}{tag[0]}{begin}{rest}{after}"
