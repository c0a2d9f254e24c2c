"""Decoding of bytes of mail to text, with the declared or a guessed charset. No input raises an exception."""

import binascii
import codecs
import re
import sys
from collections.abc import Sequence
from encodings.aliases import aliases
from functools import lru_cache

# Senders often declare a charset but use a superset of it. The codec on the right reads both.
_SUPERSETS = {
    "ascii": "utf-8",
    "iso8859-1": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "iso2022_jp": "iso2022_jp_ext",
}
# The charset in the source of a page, and in how many of its first bytes it is searched for.
_PAGE_CHARSET = re.compile(rb"<meta\s[^>]{0,200}?charset\s*+=\s*+[\"']?([\w.:-]++)", re.IGNORECASE)
PAGE_START = 4 * 1024
# Charset names that Python does not know: those that browsers know (https://encoding.spec.whatwg.org/#names-and-labels)
# and some that mail has. Codecs that are missing in Python's table of aliases follow.
_MORE_LABELS = {
    name: codec
    for codec, names in {
        "utf-8": "unicode_1_1_utf_8 unicode11utf8 unicode20utf8 x_unicode20utf8 utf8mb4",
        "utf-7": "unicode_1_1_utf_7",
        "utf-16": "unicode csunicode ucs_2 iso_10646_ucs_2 unicodefeff",
        "utf-16-be": "unicodefffe",
        "cp874": "windows_874 dos_874 iso885911",
        "cp932": "x_sjis windows_31j",
        "cp949": "windows_949 cseuckr csksc56011987 iso_ir_149 ks_c_5601_1989 ksc_5601",
        "cp1252": "x_cp1252 iso88591",
        "cp1254": "x_cp1254 iso88599",
        "big5hkscs": "cn_big5 x_x_big5",
        "euc_jp": "x_euc_jp cseucpkdfmtjapanese",
        "gb18030": "x_gbk csgb2312 gb_2312 gb_2312_80 cn_gb",
        "iso2022_jp_ext": "iso_2022_jp_ms cp50220 cp50221 cp50222",
        "koi8-r": "koi koi8",
        "koi8-u": "koi8_ru",
        "mac-cyrillic": "x_mac_cyrillic x_mac_ukrainian",
        "mac-roman": "mac x_mac_roman csmacintosh",
        **{f"cp{page}": f"x_cp{page}" for page in (1250, 1251, 1253, 1255, 1256, 1257, 1258)},
        "iso8859-6": "iso88596 iso_8859_6_e iso_8859_6_i csiso88596e csiso88596i",
        "iso8859-7": "iso88597 sun_eu_greek",
        "iso8859-8": "iso88598 iso_8859_8_e iso_8859_8_i csiso88598e csiso88598i logical visual",
        "iso8859-15": "iso885915 csisolatin9",
        **{f"iso8859-{part}": f"iso8859{part}" for part in (2, 3, 4, 5, 10, 13, 14)},
    }.items()
    for name in names.split()
} | {name: name for name in ("koi8_u", "koi8_t", "utf_8_sig", "cp720", "cp737", "cp856", "cp874", "cp1006")}
# The lookup of an unknown codec searches the disk, and Python caches the result forever. Only known names are looked
# up.
_KNOWN = frozenset(aliases) | frozenset(aliases.values())
# Codecs that are not charsets of mail, take more than linear time, or return surrogates.
_REFUSED = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"}
_SEPARATORS = re.compile(r"[^a-z0-9.]+")
# An encoded word. Some programs write its question marks, spaces and `=` as they are, or leave out its end: only `?=`
# ends it, the beginning of another word, or the end of the value.
_ENCODED_WORD = re.compile(
    r"=\? ?([^?*\s]{0,40})(?:\*[^?\s]{0,20})? ?\? ?([bBqQ]) ?\?"
    r"((?>[^?=]++|\?(?!=)|=(?!\? ?[^?\s]{0,60} ?\? ?[bBqQ] ?\?))*+)(?:\?=(\s+(?==\?))?|\Z|(?==\?))"
)
_UTF_7 = re.compile(r"\+([A-Za-z0-9+/]*+)-?")
# The most encoded characters of UTF-7 that are decoded in one text.
_MAX_UTF_7 = 50_000
# One of several texts in base64, with its padding. One letter is no text.
_ONE_BASE64 = re.compile(rb"[^=]{2,}+=*+")
# Encoded words are decoded only in this many characters of a header value.
_MAX_WORDS = 20_000
# Codecs for bytes that are not UTF-8: the pattern matches pairs of lead byte and trail byte typical of the codec. The
# number is the minimum share of such pairs among the bytes above 127.
_PAIRS = (
    ("cp932", re.compile(rb"[\x82\x83][\x40-\xf1]"), 0.4),
    ("euc_jp", re.compile(rb"[\xa4\xa5][\xa1-\xf6]"), 0.4),
    ("cp949", re.compile(rb"[\xa1-\xa3\xb0-\xc8][\xa1-\xfe]"), 0.9),
    ("big5hkscs", re.compile(rb"[\xa1-\xc6\xc9-\xf9][\x40-\x7e]"), 0.3),
    ("gb18030", re.compile(rb"[\xa1-\xf7][\xa1-\xfe]"), 0.9),
)
# Codecs with escapes for other characters than ASCII, and the escapes of Japanese text, which may lack a charset.
_SEVEN_BIT = ("iso2022", "hz")
_JAPANESE = re.compile(rb"\x1b\$[@B]([^\x1b\r\n]*+)")
# The first bytes of common Japanese characters. Words in ASCII behind such an escape have other ones.
_COMMON_JAPANESE = bytes(range(0x21, 0x50))
# Cyrillic words consist of the upper 64 byte values. Western letters with these values occur alone or in pairs.
_CYRILLIC = re.compile(rb"[\xc0-\xff]{3,}")
ASCII = bytes(range(0x80))
NOT_BASE64 = bytes(set(range(0x100)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))
"""The bytes that base64 and its padding do not contain, for `bytes.translate`."""
# Python raises an exception for each byte that a single-byte codec, UTF-16 or UTF-32 cannot read, which takes 1 s for 1
# MB. UTF-16 and UTF-32 are therefore decoded in pieces, until more than _MAX_UNREADABLE characters are unreadable.
# Single-byte codecs are decoded with a table.
_MAX_UNREADABLE, _PIECE = 10_000, 4096
_UTF_32_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_BYTE_ORDER_MARKS = {
    "utf-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
    "utf-32": _UTF_32_MARKS,
}


@lru_cache(maxsize=256)
def codec_name(charset: str) -> str | None:
    """Return the Python codec for mail with the declared `charset`, or None if no codec may be used."""
    key = _SEPARATORS.sub("_", charset[:60].lower()).strip("_")
    if key in _MORE_LABELS:
        return _MORE_LABELS[key]
    if key not in _KNOWN and key.replace(".", "_") not in _KNOWN:
        return None
    try:
        info = codecs.lookup(key)
    except (LookupError, ValueError):
        return None
    if info.name in _REFUSED or not getattr(info, "_is_text_encoding", True) or _is_ebcdic(info.name):
        return None
    return _SUPERSETS.get(info.name, info.name)


def import_codecs() -> None:
    """Import all codecs that may be used, which takes 30 ms and 3 MB. Otherwise each is imported at its first use."""
    for charset in (*_KNOWN, *_MORE_LABELS):
        if (name := codec_name(charset)) is not None:
            _table(name)


def _is_ebcdic(name: str) -> bool:
    """Return whether ASCII letters have other values in a codec. Mail programs know no such charset except UTF-16."""
    return not name.startswith(("utf-16", "utf-32")) and b"Aa0".decode(name, "replace") != "Aa0"


def decode(data: bytes, charset: str = "", *, cut: bool = False) -> tuple[str, bool]:
    """Return `data` as text, and whether the declared charset was right.

    The charset is guessed if it is missing or wrong. `cut` means that `data` may begin or end within a character.
    """
    name = codec_name(charset) if charset else None
    if data.isascii() and not (name and _differs_from_ascii(data, name)):
        if b"\x1b$" in data and _is_japanese(data):
            return _replaced(data, "iso2022_jp_ext"), False
        return data.decode("ascii"), True
    if name == "utf-7":
        return _replaced(data, name), True
    if name:
        try:
            return data.decode(name), True
        except (UnicodeError, ValueError):
            text = _replaced(data, name)
            if name.startswith(_SEVEN_BIT) and data.isascii():
                # No other charset has such escapes. Japanese mail often contains characters that only one vendor has.
                return text, text.count("\ufffd") * 4 < len(text)
            if cut and text.strip("\ufffd").count("\ufffd") == 0:
                return text.strip("\ufffd"), True
    return guess(data, name), False


def _is_japanese(data: bytes) -> bool:
    """Return whether what follows the escapes is mostly common characters of Japanese, and not words in ASCII."""
    first = b"".join([found[1][::2] for found in _JAPANESE.finditer(data)])
    return len(first.translate(None, _COMMON_JAPANESE)) * 5 < len(first)


def _differs_from_ascii(data: bytes, name: str) -> bool:
    """Return whether bytes below 128 may represent other characters than in ASCII in the codec `name`."""
    return name.startswith((*_SEVEN_BIT, "utf-7")) or (name.startswith(("utf-16", "utf-32")) and b"\0" in data)


def guess(data: bytes, claimed: str | None = None) -> str:
    """Decode `data` with a guessed charset.

    UTF-16 or UTF-32 is used if byte order marks or NULs suggest it, and UTF-8 if the bytes are valid UTF-8. Otherwise
    the codec `claimed` or a guessed codec is used.
    """
    if data[:4] in _UTF_32_MARKS:
        return _replaced(data, "utf-32")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return _replaced(data, "utf-16")
    nuls = data[:400].count(0)
    if nuls * 3 > min(len(data), 400):
        # In UTF-16, at most half of the bytes are NUL.
        if nuls * 8 > 5 * min(len(data), 400) and (data[1:4] == b"\0\0\0" or data[:3] == b"\0\0\0"):
            return _replaced(data, "utf-32-le" if data[1:4] == b"\0\0\0" else "utf-32-be")
        return _replaced(data, "utf-16-le" if data[1:2] == b"\0" else "utf-16-be")
    # A cut may split the last character, so up to three bytes at the end may be invalid UTF-8.
    for end in (len(data), len(data) - 1, len(data) - 2, len(data) - 3):
        try:
            return data[:end].decode("utf-8")
        except UnicodeDecodeError:
            continue
    if claimed == "utf-8":
        # A few unreadable bytes are treated as damage. If at least half of the bytes above 127 are unreadable, the
        # declared charset is wrong.
        text = _replaced(data, claimed)
        if text.count("\ufffd") * 2 < len(data.translate(None, ASCII)):
            return text
        claimed = None
    return _replaced(data, claimed or _looks_like(data[:2000]))


def _replaced(data: bytes, name: str) -> str:
    """Decode `data` with U+FFFD for unreadable bytes.

    UTF-16 and UTF-32 text with too many unreadable bytes is truncated.
    """
    if name == "utf-7":
        return _UTF_7.sub(_utf_7, data.decode("latin-1"), _MAX_UTF_7)
    if table := _table(name):
        return codecs.charmap_decode(data, "strict", table)[0]
    if not name.startswith(("utf-16", "utf-32")):
        return data.decode(name, "replace")
    if name in _BYTE_ORDER_MARKS and not data.startswith(_BYTE_ORDER_MARKS[name]):
        name += "-le" if sys.byteorder == "little" else "-be"
    decoder = codecs.getincrementaldecoder(name)("replace")
    pieces: list[str] = []
    unreadable = 0
    for at in range(0, len(data), _PIECE):
        pieces.append(decoder.decode(data[at : at + _PIECE], final=at + _PIECE >= len(data)))
        unreadable += pieces[-1].count("\ufffd")
        if unreadable > _MAX_UNREADABLE:
            break
    return "".join(pieces)


def _utf_7(match: re.Match[str]) -> str:
    """Return the characters of a group of UTF-7. The codec of Python would return surrogates."""
    return decode_base64(match[1].encode()).decode("utf-16-be", "ignore") if match[1] else "+"


@lru_cache(maxsize=64)
def _table(name: str) -> str:
    """Return the character for each byte in a single-byte codec (U+FFFD if unassigned), or '' for other codecs."""
    from importlib import import_module

    if codecs.lookup(name).name in ("utf-8", "ascii", "iso8859-1"):
        return ""
    module = import_module(f"encodings.{codecs.lookup(name).name.replace('-', '_')}")
    table: str = getattr(module, "decoding_table", "")
    return table.ljust(256, "\ufffe").replace("\ufffe", "\ufffd")[:256] if table else ""


def _looks_like(data: bytes) -> str:
    """Return a codec for text without a declared charset: western European unless the bytes suggest another codec."""
    high = data.translate(None, ASCII)
    if len(high) < 8 or len(high) * 3 < len(data.translate(None, b" \r\n\t0123456789.,-")):
        return "cp1252"
    if sum(map(len, _CYRILLIC.findall(data))) >= 0.8 * len(high):
        # KOI8-R has its lower-case letters in the lower half of these values, Windows-1251 in the upper half.
        return "koi8_r" if sum(map(high.count, range(0xC0, 0xE0))) * 2 > len(high) else "cp1251"
    return next((name for name, pair, share in _PAIRS if 2 * len(pair.findall(data)) >= share * len(high)), "cp1252")


def decode_words(value: str) -> str:
    """Decode the RFC 2047 encoded words of a header value. Words that cannot be read are left unchanged."""
    if "=?" not in value:
        return value
    words = _decode_words(value)
    # Some programs encode a value that is encoded.
    return _decode_words(words) if "=?" in words else words


def _decode_words(value: str) -> str:
    out: list[str] = []
    pending, charset, last = b"", "", 0
    for match in _ENCODED_WORD.finditer(value[:_MAX_WORDS]):
        between = value[last : match.start()]
        last = match.end()
        # Two adjacent encoded words with the same charset may share a character, so their bytes are joined before
        # decoding.
        if pending and (between or match[1].lower() != charset):
            out.append(decode(pending, charset)[0])
            pending = b""
        out.append(between)
        charset = match[1].lower()
        word = match[3] if match[0].endswith("?=") else match[3].removesuffix("?")
        if match[2] in "bB":
            pending += decode_base64(word.encode("ascii", "ignore"))
        else:
            pending += binascii.a2b_qp(word.encode("utf-8", "replace"), header=True)
    if pending:
        out.append(decode(pending, charset)[0])
    return "".join(out) + value[last:]


def decode_base64(data: bytes) -> bytes:
    """Decode base64, even if it is broken. Other characters are skipped and missing padding is added.

    Padding in the middle ends one text and begins another, because some programs encode each line for itself.
    """
    if data.find(b"=", 0, len(data.rstrip()) - 2) >= 0:
        return b"".join(map(_decode_one_base64, _ONE_BASE64.findall(data.translate(None, NOT_BASE64))))
    return _decode_one_base64(data)


def _decode_one_base64(data: bytes) -> bytes:
    try:
        return binascii.a2b_base64(data)
    except binascii.Error:
        pass
    clean = data.translate(None, NOT_BASE64 + b"=")
    if len(clean) % 4 == 1:
        clean = clean[:-1]
    return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))


def decode_pieces(pieces: Sequence[bytes], charset: str, *, is_page: bool) -> tuple[str, bool]:
    """Decode the pieces of one text. Return the text and whether `charset`, '' if there is none, was right.

    Without `charset`, the charset that a page names counts.
    """
    if not charset and is_page and (named := _PAGE_CHARSET.search(pieces[0], 0, PAGE_START)):
        codec = codec_name(named[1].decode("ascii", "replace")) or ""
        # A page in which this can be read is not in UTF-16. Browsers read it as UTF-8.
        return "\n".join(guess(piece, "utf-8" if codec.startswith("utf-") else codec) for piece in pieces), True
    read = [decode(piece, charset, cut=len(pieces) > 1) for piece in pieces]
    return "\n".join(text for text, _ in read), not charset or all(right for _, right in read)
