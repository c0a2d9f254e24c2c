"""The Message-ID of a raw message, by which a user names a filed message."""

import hashlib

from spamlstm.maildir.normal_form import header_values
from spamlstm.message.headers import end_of_head

# The Message-ID is looked for in this many bytes.
HEAD_BYTES = 64 << 10


def message_id_of(raw: bytes) -> str:
    """Return the Message-ID of a raw message without its brackets, or an empty string."""
    head = raw[:HEAD_BYTES]
    return without_brackets(header_values(head, 0, end_of_head(head)).get("message-id", ""))


def message_id_hash(message_id: str) -> bytes:
    """Return the hash of a Message-ID, with or without brackets. Return b"" if the Message-ID is empty."""
    plain = without_brackets(message_id).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(plain, digest_size=16).digest() if plain else b""


def without_brackets(message_id: str) -> str:
    """Return a Message-ID without its brackets, which users often leave out."""
    return message_id.strip("<> \t")
