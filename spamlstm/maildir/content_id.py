"""Which message this is, whatever its file is called: a hash of what nobody changes after the delivery."""

import hashlib
import re
from collections.abc import Iterable, Iterator

from spamlstm.message.head import BLOCK, HeaderNames, end_of_head

# What is written into a message when it has been delivered, by whom:
_LEFT_OUT = HeaderNames(
    # spam filters: our own headers, SpamAssassin, rspamd, bogofilter, SpamBayes, DSPAM, CRM114, SpamProbe
    *(name + rest for name in ("x-spam", "x-spamd", "x-spambayes", "x-spamprobe") for rest in ("", "-*")),
    "x-rspamd-*",
    "x-bogosity",
    *("x-dspam-*", "x-crm114-*"),
    # programs that keep mail in mboxes, for flags and sizes
    *("status", "x-status"),
    *("x-keywords", "x-uid", "x-imap", "x-imapbase"),
    "content-length",
    "lines",
    # Thunderbird, mutt, and those who carry mail between servers: mbsync, OfflineIMAP, Gmail's export
    *("x-mozilla-status", "x-mozilla-status2", "x-mozilla-keys"),
    "x-label",
    "x-tuid",
    "x-offlineimap",
    "x-gmail-labels",
)
_SEPARATOR = re.compile(rb">?From [^\n]*+\n")


def content_id(raw: bytes) -> str:
    """32 hexadecimal digits that are the same for a message and its tagged, untagged, moved or copied self.

    Left out are the headers that filters and mail programs add to what was delivered, an mbox separator, how lines
    end and how many ends there are behind the last. All else counts, the Received lines too: what a server delivers
    twice are two messages. The message is hashed in pieces, so that this takes next to no memory.
    """
    start, end = _head(raw)
    digest = hashlib.blake2b(digest_size=16)
    for piece in _unix(_LEFT_OUT.left_out(raw, start, end)):
        digest.update(piece)
    for piece in _without_last_ends(_unix([memoryview(raw)[end:]])):
        digest.update(piece)
    return digest.hexdigest()


def lasting(raw: bytes) -> tuple[bytes, bytes]:
    """The head, and the body with the blank line before it, as the content id knows them; lines end in one byte."""
    start, end = _head(raw)
    return b"".join(_unix(_LEFT_OUT.left_out(raw, start, end))), b"".join(_unix([memoryview(raw)[end:]]))


def _head(raw: bytes) -> tuple[int, int]:
    """Where the headers begin and where the blank line behind them does."""
    # A sender may put headers above it that are left out, and that `untag` takes away: then it is the first line.
    separator = _SEPARATOR.match(raw, _LEFT_OUT.skip(raw, 0, end_of_head(raw)))
    start = separator.end() if separator else 0
    return start, end_of_head(raw, start)


def _unix(pieces: Iterable[memoryview]) -> Iterator[bytes]:
    """These pieces of raw mail, in blocks, with lines that end in one byte."""
    carriage = b""
    for piece in pieces:
        for at in range(0, len(piece), BLOCK):
            block = carriage + piece[at : at + BLOCK]
            # The line end may go on in the next block.
            carriage = b"\r" if block.endswith(b"\r") else b""
            yield (block[:-1] if carriage else block).replace(b"\r\n", b"\n")
    yield carriage


def _without_last_ends(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """These blocks without the line ends behind the last line."""
    ends = 0
    for block in blocks:
        kept = block.rstrip(b"\n")
        if kept:
            yield from (b"\n" * min(BLOCK, ends - at) for at in range(0, ends, BLOCK))
            yield kept
            ends = 0
        ends += len(block) - len(kept)
