"""Lines of a header block that are no header fields: a text without a blank line above it, or damaged headers."""

import re
from itertools import islice

# A line that is not a header field. A text without a blank line above it begins with such a line. A carriage return at
# the start of a line may belong to the end of the line above.
_NOT_A_FIELD = re.compile(rb"\n(?:[ \t]++\r?(?=\n)|(?!\r*+[ \t\n]|\r?[!-9;-~]++[ \t]*+:))")
# A header that programs write, rather than a line of text such as `Note: ...`.
_KNOWN = (
    rb"(?:content-|mime-|x-|list-|resent-|received|arc-|dkim-|authentication|delivered-|return-path|message-id"
    rb"|subject|from|to|cc|date|sender|reply-to|references|in-reply-to|user-agent|status|precedence)[!-9;-~]*+[ \t]*+:"
)
_KNOWN_HEADER = re.compile(rb"\n" + _KNOWN, re.IGNORECASE)
# The header of a server whose folded lines have lost the white space at their start, above another known header.
_UNFOLDED = re.compile(
    rb"(?:\A|\n)(?:received|x-received|arc-|dkim-|authentication-results|x-google-dkim)[!-9;-~]*+[ \t]*+:[^\n]*+"
    rb"(?>\n(?!\r?\n|" + _KNOWN + rb")[^\n]*+){1,12}+(?=\n" + _KNOWN + rb")",
    re.IGNORECASE,
)
# If more lines than this are not fields, the text begins at the first of them.
_MOST_NOT_FIELDS = 5
# Below a first line that is not a field, headers begin if at least this number of known ones follows.
_FEWEST_KNOWN = 3


def text_in_block(raw: bytes, start: int, end: int) -> int:
    """Return the position of the text in raw[start:end] if the blank line above the text is missing, or `end`.

    The text begins with a line that is not a field, below the last known header. Mail programs skip such a line
    between two headers.
    """
    places = [match.start() + 1 for match in _NOT_A_FIELD.finditer(raw, start, end)]
    if len(places) > _MOST_NOT_FIELDS:
        unfolded = {
            line.start() + 1
            for header in _UNFOLDED.finditer(raw, max(start - 1, 0), end)
            for line in _NOT_A_FIELD.finditer(raw, header.start(), header.end())
        }
        places = [place for place in places if place not in unfolded]
    last = start
    if len(places) <= _MOST_NOT_FIELDS:
        for match in _KNOWN_HEADER.finditer(raw, start, end):
            last = match.end()
    return next((place for place in places if place > last), end)


def begins_below(raw: bytes, start: int, end: int) -> bool:
    """Return whether headers begin below a few lines that are none, such as those of a delivery protocol."""
    if len(list(islice(_NOT_A_FIELD.finditer(raw, start, end), _MOST_NOT_FIELDS + 1))) > _MOST_NOT_FIELDS:
        return False
    return len({match[0].lower() for match in islice(_KNOWN_HEADER.finditer(raw, start, end), 100)}) >= _FEWEST_KNOWN
