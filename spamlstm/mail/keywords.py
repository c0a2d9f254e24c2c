"""The words behind the lower-case flag letters: each folder has its own list, which Dovecot keeps. Only read here."""

# To write it takes Dovecot's own lock, and a word that only we gave a letter would show as unknown elsewhere.

import os
import string
from collections.abc import Sequence

# One line a word; Dovecot's own lists have 26 lines at most.
_MOST_BYTES = 1 << 16

# What clients call it: the registered word (RFC 5788) first, then Thunderbird's.
SPAM_WORDS = ("$Junk", "Junk")
HAM_WORDS = ("$NotJunk", "NonJunk")


def words(folder: str) -> dict[str, str]:
    """What each letter means in `folder`; empty without a list, or where it cannot be read."""
    try:
        with open(os.path.join(folder, "dovecot-keywords"), "rb") as stream:  # noqa: PTH118, PTH123  as in maildir
            lines = stream.read(_MOST_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        number, _, word = line.partition(" ")
        if word and number.isascii() and number.isdecimal() and len(number) < 3 and int(number) < 26:
            found[string.ascii_lowercase[int(number)]] = word
    return found


def letter(folder: str, wanted: Sequence[str]) -> str | None:
    """The letter of the first of these words that `folder` knows, in any case of its letters."""
    known = {word.casefold(): sign for sign, word in words(folder).items()}
    return next((known[word.casefold()] for word in wanted if word.casefold() in known), None)


def mapping(source: str, target: str) -> dict[str, str]:
    """For a move: the letter there for each letter here, where both folders know the word."""
    there = {word: sign for sign, word in words(target).items()}
    return {sign: there[word] for sign, word in words(source).items() if word in there}
