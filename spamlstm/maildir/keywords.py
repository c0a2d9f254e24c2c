"""IMAP keywords: each folder has a list of those that its lower-case flag letters stand for.

Dovecot keeps the list. It is only read here: writing it takes Dovecot's own lock, and other programs would show a
keyword that we add as unknown.
"""

import os
import string
from collections.abc import Sequence

from spamlstm.maildir.descriptors import open_plain
from spamlstm.maildir.opened import OpenFolder

# One line for each keyword; Dovecot's lists have at most 26.
_MOST_BYTES = 1 << 16

# The registered keyword (RFC 5788) first, then Thunderbird's.
SPAM_WORDS = ("$Junk", "Junk")
HAM_WORDS = ("$NotJunk", "NonJunk")


def keyword_names(folder: OpenFolder) -> dict[str, str]:
    """Return the keyword of each letter in `folder`; empty if there is no list or it cannot be read."""
    try:
        lines = _list(folder).decode("utf-8", "replace").splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        number, _, word = line.partition(" ")
        if word and number.isascii() and number.isdecimal() and len(number) < 3 and int(number) < 26:
            found[string.ascii_lowercase[int(number)]] = word
    return found


def _list(folder: OpenFolder) -> bytes:
    with folder.mailbox.owner.acting():
        handle = open_plain("dovecot-keywords", folder.handle(), shown=f"{folder.path}/dovecot-keywords")
    try:
        return os.read(handle, _MOST_BYTES)
    finally:
        os.close(handle)


def letter(folder: OpenFolder, wanted: Sequence[str]) -> str | None:
    """Return the letter of the first of these keywords that `folder` has, in upper or lower case."""
    known = {word.casefold(): sign for sign, word in keyword_names(folder).items()}
    return next((known[word.casefold()] for word in wanted if word.casefold() in known), None)


def mapping(source: OpenFolder, target: OpenFolder) -> dict[str, str]:
    """Return for each letter in `source` the one of the same keyword in `target`, if it has that keyword."""
    there = {word: sign for sign, word in keyword_names(target).items()}
    return {sign: there[word] for sign, word in keyword_names(source).items() if word in there}
