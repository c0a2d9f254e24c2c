"""Which message this is, whatever its file is called: a hash of what nobody changes after the delivery."""

import hashlib
import re

# What is written into a message when it has been delivered, by whom:
_LEFT_OUT = (
    # spam filters: our own headers, SpamAssassin, rspamd, bogofilter, SpamBayes, DSPAM, CRM114, SpamProbe
    r"x-spam(?:d|bayes|probe)?(?:-[!-9;-~]*+)?",
    r"x-rspamd-[!-9;-~]*+",
    r"x-bogosity",
    r"x-(?:dspam|crm114)-[!-9;-~]*+",
    # programs that keep mail in mboxes, for flags and sizes
    r"(?:x-)?status",
    r"x-(?:keywords|uid|imap|imapbase)",
    r"content-length",
    r"lines",
    # Thunderbird, mutt, and those who carry mail between servers: mbsync, OfflineIMAP, Gmail's export
    r"x-mozilla-(?:status2?|keys)",
    r"x-label",
    r"x-tuid",
    r"x-offlineimap",
    r"x-gmail-labels",
)
_HEADER = re.compile(
    rb"^(?:" + "|".join(_LEFT_OUT).encode() + rb")[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+\n?", re.IGNORECASE | re.MULTILINE
)
_SEPARATOR = re.compile(rb">?From [^\n]*+\n")
_BLANK_LINE = re.compile(rb"^\n", re.MULTILINE)


def content_id(raw: bytes) -> str:
    """32 hexadecimal digits that are the same for a message and its tagged, untagged, moved or copied self.

    Left out are the headers that filters and mail programs add to what was delivered, an mbox separator, how lines
    end and how many ends there are behind the last. All else counts, the Received lines too: what a server delivers
    twice are two messages.
    """
    head, body = lasting(raw)
    digest = hashlib.blake2b(head, digest_size=16)
    digest.update(body.rstrip(b"\n"))
    return digest.hexdigest()


def lasting(raw: bytes) -> tuple[bytes, bytes]:
    """The head, and the body with the blank line before it, as the content id knows them; lines end in one byte."""
    text = raw.replace(b"\r\n", b"\n")
    separator = _SEPARATOR.match(text)
    start = separator.end() if separator else 0
    blank = _BLANK_LINE.search(text, start)
    end = blank.start() if blank else len(text)
    return _HEADER.sub(b"", text[start:end]), text[end:]
