"""The names of folders: on disk, as mail programs show them, and the role of a folder, which follows from its name.

`folder_walk` finds the folders that exist in a Maildir.
"""

import base64
import binascii
import codecs
import re
import unicodedata
from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache

from spamlstm.maildir import folder_names


class FolderRole(StrEnum):
    """The role of a folder in filtering and learning."""

    INBOX = "inbox"
    JUNK = "junk"
    FILED = "filed"
    """A folder in which a user keeps mail."""

    IGNORED = "ignored"
    """Trash, Sent, Drafts and similar folders. No labels are created for messages in these folders."""


def _names(*tables: str) -> tuple[str, ...]:
    return tuple(_compared(" ".join(name.split())) for table in tables for name in table.split(","))


def _compared(name: str) -> str:
    """Return a name in the form in which names are compared.

    macOS decomposes accented letters. The small letter of the Turkish capital with a dot is i.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).replace("i\u0307", "i")


# Programs write one name in several ways: "Junk E-mail", "Junk-E-Mail", "Junk_Email", "JunkEmail".
_BETWEEN_WORDS = re.compile(r"(?<=[^\W_])[ _-]+(?=[^\W_])")


def _spaceless(name: str) -> str:
    return _BETWEEN_WORDS.sub("", name)


JUNK_NAMES = _names(folder_names.JUNK, folder_names.TRANSLATED_JUNK)
"""The names of junk folders, case-folded, in the order in which filing prefers them."""
_RANKS = {_spaceless(name): rank for rank, name in reversed(list(enumerate(JUNK_NAMES)))}
# Gmail keeps its own folders below such a folder. Many synchronizing programs separate levels by dots.
_GMAIL = ("[gmail]", "[google mail]", "[googlemail]", "[imap]")
ABOVE_JUNK = (("inbox",), *((name,) for name in _GMAIL))
"""The folders that may contain a junk folder one level down, as `display_levels` returns them.

Dovecot with LAYOUT=fs and Courier keep everything below INBOX.
"""
_DOTTED = tuple(f"{name}." for name in ("inbox", *_GMAIL))

_SENT_NAMES = frozenset(map(_spaceless, _names(folder_names.SENT, folder_names.TRANSLATED_SENT)))
_COPIED_NAMES = frozenset(map(_spaceless, _names(folder_names.COPIED)))
# A Trash folder with a name that is missing here would turn deleted mail into ham. The configuration can add names
# (ignore_folders).
_TRASH_AND_OTHERS = _names(
    folder_names.IGNORED, folder_names.TRANSLATED_TRASH, folder_names.TRANSLATED_DRAFTS, folder_names.RUBBISH
)
_IGNORED_NAMES = _SENT_NAMES | _COPIED_NAMES | frozenset(map(_spaceless, _TRASH_AND_OTHERS))
# Words that end in spam or junk. "Old spam" and "LearnSpam" contain spam, "Not junk" contains ham. "SpamAssassin users"
# does not match: it is the folder of a mailing list.
_ABOUT_JUNK = re.compile(r"(?:spam|junk|спам)(?![^\W\d_])")


def role_of(name: str, *, junk: str, ignore_folders: Iterable[str] = ()) -> FolderRole:
    """Return the role of the folder with the name `name` on disk.

    `junk` is the configured name of the junk folder, or "auto". Every folder with a junk name is a junk folder,
    including junk folders into which no mail is filed. A folder below a junk folder is a junk folder too if its name
    has no letters (`.Junk.2020`, an archive) or is a junk name. All other folders below a folder with a junk name or an
    ignored name are IGNORED, because some people keep false positives there (`.Spam.ham`). So are folders with a word
    that ends in `spam` or `junk` in their names (`.Old spam`, `.LearnSpam`, `.Not junk`).
    """
    return _role(name, junk, tuple(ignore_folders))


def has_copies(name: str) -> bool:
    """Return whether the folder with the name `name` on disk has copies of mail that is or was in other folders.

    A copy in such a folder does not show what a user did. Dovecot's lazy_expunge stores a copy of all mail that leaves
    a folder, also of mail that was moved, and Gmail shows all mail in further folders. The role of these folders is
    IGNORED.
    """
    return _spaceless(display_levels(name)[-1]) in _COPIED_NAMES


def is_sent(name: str) -> bool:
    """Return whether the folder with the name `name` on disk has the mail that the user sent. Its role is IGNORED."""
    *upper, last = display_levels(name)
    return _spaceless(last) in _SENT_NAMES and not any(_has_role(level) for level in upper)


def junk_rank(level: str) -> int | None:
    """Return the index in JUNK_NAMES of the last level of a folder's name, case-folded, or None."""
    return _RANKS.get(_spaceless(level))


def _has_role(level: str) -> bool:
    return _spaceless(level) in _IGNORED_NAMES or junk_rank(level) is not None


@lru_cache(maxsize=4096)
def _role(name: str, junk: str, ignore_folders: tuple[str, ...]) -> FolderRole:
    if not name:
        return FolderRole.INBOX
    levels = display_levels(name)
    if any(levels in possible_levels(one) for one in ignore_folders):
        return FolderRole.IGNORED
    if junk != "auto" and levels in possible_levels(junk):
        return FolderRole.JUNK
    at = next((at for at, level in enumerate(levels) if _has_role(level) or _ABOUT_JUNK.search(level)), None)
    if at is None:
        return FolderRole.FILED
    is_junk = all(junk_rank(level) is not None or not any(map(str.isalpha, level)) for level in levels[at:])
    return FolderRole.JUNK if is_junk else FolderRole.IGNORED


def possible_levels(configured: str) -> set[tuple[str, ...]]:
    """Return the results of `display_levels` for the folders that a configured name may mean.

    Mail programs separate levels by dots or slashes, depending on the server.
    """
    return {display_levels(configured), display_levels("." + configured.replace("/", ".").removeprefix("."))}


@lru_cache(maxsize=4096)
def display_levels(name: str) -> tuple[str, ...]:
    """Return the levels of a folder's name on disk as mail programs show them, case-folded and without INBOX."""
    dotted = name.startswith(".")
    levels = _compared(decoded(name.lstrip("."))).split("." if dotted else "/")
    if len(levels) == 1 and levels[0].startswith(_DOTTED):
        levels = levels[0].split(".")
    if not dotted:
        levels = [level.removeprefix(".") for level in levels]
    return tuple(levels[1:] if levels[0] == "inbox" and len(levels) > 1 else levels)


# --- names on disk: IMAP's modified UTF-7 (RFC 3501, section 5.1.3) ------------------------------------------------

# These functions may run while the process acts as the owner of a Maildir, who may lack the right to read Python's own
# files. A codec that is looked up by its name would be imported from there, so the built-in functions are called.

_NOT_ASCII = re.compile(r"[^\x20-\x7e]+")
_ENCODED = re.compile(r"&([A-Za-z0-9+,]*)-")


def encoded(name: str) -> str:
    """Return a folder's name as servers write it on disk, in modified UTF-7."""

    def word(match: re.Match[str]) -> str:
        data, _ = codecs.utf_16_be_encode(match[0], "surrogatepass")
        encoded = base64.b64encode(data, b"+,")
        return f"&{encoded.decode().rstrip('=')}-"

    return name if name.isascii() else _NOT_ASCII.sub(word, name.replace("&", "&-"))


def decoded(name: str) -> str:
    """Return a folder's name on disk as readable text. Parts that are not encoded correctly are left unchanged."""

    def word(match: re.Match[str]) -> str:
        if not match[1]:
            return "&"
        try:
            data = base64.b64decode(match[1] + "=" * (-len(match[1]) % 4), b"+,")
            return codecs.utf_16_be_decode(data, "strict", True)[0]  # noqa: FBT003  it takes no keywords
        except (binascii.Error, UnicodeDecodeError):
            return match[0]

    return _ENCODED.sub(word, name) if "&" in name else name
