"""The IMAP keywords of a folder: the names that Dovecot stores for the lower-case flag letters of its files."""

import os
import string
from collections.abc import Sequence

from spamlstm.maildir.entry import PassingOver, open_plain
from spamlstm.maildir.opened import OpenFolder

# The file `dovecot-keywords` of a folder lists the keywords that its lower-case flag letters stand for, one keyword a
# line, at most 26. The file is only read here. Writing it requires Dovecot's own lock, and other programs would show an
# added keyword as unknown.
_MOST_KEYWORD_BYTES = 1 << 16

# The keyword registered by RFC 5788 comes first, then the keyword of Thunderbird.
SPAM_WORDS = ("$Junk", "Junk")
HAM_WORDS = ("$NotJunk", "NonJunk")


def keyword_names(folder: OpenFolder) -> dict[str, str]:
    """Return the keyword of each letter in `folder`. The dict is empty if the list is missing or cannot be read.

    Raises OSError if descriptors or memory are short (see `PassingOver`).
    """
    found: dict[str, str] = {}
    lines: list[str] = []
    with PassingOver():
        lines = _keyword_list(folder).decode("utf-8", "replace").splitlines()
    for line in lines:
        number, _, word = line.partition(" ")
        if word and number.isascii() and number.isdecimal() and len(number) < 3 and int(number) < 26:
            found[string.ascii_lowercase[int(number)]] = word
    return found


def _keyword_list(folder: OpenFolder) -> bytes:
    with folder.mailbox.owner.acting():
        handle = open_plain("dovecot-keywords", folder.handle(), shown=f"{folder.path}/dovecot-keywords")
    try:
        return os.read(handle, _MOST_KEYWORD_BYTES)
    finally:
        os.close(handle)


def keyword_letter(folder: OpenFolder, wanted: Sequence[str]) -> str | None:
    """Return the letter of the first keyword of `wanted` that `folder` has, ignoring case, or None."""
    known = {word.casefold(): sign for sign, word in keyword_names(folder).items()}
    return next((known[word.casefold()] for word in wanted if word.casefold() in known), None)


def keyword_mapping(source: OpenFolder, target: OpenFolder) -> dict[str, str]:
    """Return a dict from each keyword letter of `source` to the letter of the same keyword in `target`.

    Letters whose keyword is missing in `target` are omitted.
    """
    there = {word: sign for sign, word in keyword_names(target).items()}
    return {sign: there[word] for sign, word in keyword_names(source).items() if word in there}
