"""The words behind the lower-case flag letters: each folder has its own list, which Dovecot keeps. Only read here."""

# To write it takes Dovecot's own lock, and a word that only we gave a letter would show as unknown elsewhere.

import os
import string
from collections.abc import Sequence

from spamlstm.maildir.descriptors import open_plain
from spamlstm.maildir.opened import OpenFolder

# One line a word; Dovecot's own lists have 26 lines at most.
_MOST_BYTES = 1 << 16

# What clients call it: the registered word (RFC 5788) first, then Thunderbird's.
SPAM_WORDS = ("$Junk", "Junk")
HAM_WORDS = ("$NotJunk", "NonJunk")


def keyword_names(folder: OpenFolder) -> dict[str, str]:
    """What each letter means in `folder`; empty without a list, or where it cannot be read."""
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
    """The letter of the first of these words that `folder` knows, in any case of its letters."""
    known = {word.casefold(): sign for sign, word in keyword_names(folder).items()}
    return next((known[word.casefold()] for word in wanted if word.casefold() in known), None)


def mapping(source: OpenFolder, target: OpenFolder) -> dict[str, str]:
    """For a move: the letter there for each letter here, where both folders know the word."""
    there = {word: sign for sign, word in keyword_names(target).items()}
    return {sign: there[word] for sign, word in keyword_names(source).items() if word in there}
