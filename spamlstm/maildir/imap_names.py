"""Folder names on disk, which servers encode as in IMAP: in the modified UTF-7 of RFC 3501, section 5.1.3."""

import base64
import binascii
import re

_NOT_ASCII = re.compile(r"[^\x20-\x7e]+")
_ENCODED = re.compile(r"&([A-Za-z0-9+,]*)-")


def encoded(name: str) -> str:
    """Return a folder's name as servers write it on disk."""

    def word(match: re.Match[str]) -> str:
        encoded = base64.b64encode(match[0].encode("utf-16-be", "surrogatepass"), b"+,")
        return f"&{encoded.decode().rstrip('=')}-"

    return name if name.isascii() else _NOT_ASCII.sub(word, name.replace("&", "&-"))


def decoded(name: str) -> str:
    """Return a folder's name on disk as people read it. What is not encoded correctly stays as it is."""

    def word(match: re.Match[str]) -> str:
        if not match[1]:
            return "&"
        try:
            return base64.b64decode(match[1] + "=" * (-len(match[1]) % 4), b"+,").decode("utf-16-be")
        except (binascii.Error, UnicodeDecodeError):
            return match[0]

    return _ENCODED.sub(word, name) if "&" in name else name
