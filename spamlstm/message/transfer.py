"""Decoding of the transfer encodings of parts: base64, quoted-printable and uuencode."""

import binascii
import re

from spamlstm.message.charset import NOT_BASE64, decode_base64

# The lengths in bytes of the head and the tail of a text part. The text between them is not read, because the windows
# of the model would not cover it.
TEXT_HEAD, TEXT_TAIL = 384 * 1024, 128 * 1024

_BASE64_END = re.compile(rb"={1,2}[ \t\r]*+\n\s*+(?=\S)")
_BASE64_LINES = re.compile(rb"(?>[A-Za-z0-9+/]{60,}+={0,2}+\s*+)++(?:[A-Za-z0-9+/]++={0,2}+\s*+)?\Z")
# Lines of which each was encoded for itself. Only the last may lack padding.
_PADDED = r"(?>[A-Za-z0-9+/]{4})*+(?>[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)"
_PADDED_LINES = re.compile(rf"(?>{_PADDED}\s*+)*+(?>[A-Za-z0-9+/]{{4}})*+\s*+\Z".encode())
# Two words, which base64 does not contain, and a line or a run of base64.
_TWO_WORDS = re.compile(rb"(?<!\S)\S{1,24}[ \t]++(?=\S{0,23}[A-Za-z0-9\x80-\xff])\S{1,24}(?!\S)")
_LIKE_BASE64 = re.compile(
    rf"(?<!\S)[A-Za-z0-9+/][A-Za-z0-9+/=]{{39}}|^(?>[A-Za-z0-9+/]{{4}}{_PADDED}|(?>[A-Za-z0-9+/]{{4}}){{2,}}+)\r?$".encode(),
    re.MULTILINE,
)
# Text that was decoded from base64: in ASCII, UTF-8 or a charset such as Windows-1251. Words that are decoded give so
# many such characters by chance in 0.5 % of messages.
_DECODED_TEXT = re.compile(
    rb"[\0-\x7f]{20}|(?:[\0-\x7f]|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}){20}|[\t\n\r -~\xc0-\xff]{40}"
)
# A soft line break of quoted-printable with white space before the line end, which a server may have added.
_SOFT_BREAK = re.compile(rb"=[ \t]++(?=\r?\n)")
# A text that consists of base64 only, and the beginning of text that was decoded from it.
_BASE64_FIRST = re.compile(rb"\s*+[A-Za-z0-9+/]{40}")
_BASE64_ONLY = re.compile(rb"\s*+(?>[A-Za-z0-9+/]{40,}+\s++)*+(?>[A-Za-z0-9+/]++={0,2}+\s*+)?+\Z")
_ONLY_TEXT = re.compile(
    rb"(?:(?>[\t-\r\x1b -~]|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|\xf0[\x90-\xbf][\x80-\xbf]{2})++"
    rb"|[\t-\r -~\xc0-\xff]++)[\x80-\xff]{0,3}\Z"
)
_SAMPLE = 400
# Base64 with the signs that it has in addresses of pages.
_URL_BASE64 = re.compile(rb"\s*+[A-Za-z0-9_-]{40}[A-Za-z0-9_\r\n-]*+=*+\s*+\Z")
_UU_BEGIN = re.compile(r"(?m)^begin [0-7]{3,4} (\S[^\n]{0,200})\n(?=[ -`])")


def decoded_pieces(raw: bytes, start: int, end: int, transfer: str, defects: dict[str, None]) -> list[bytes]:
    """Return the decoded text part raw[start:end], or its head and its tail if it is too long."""
    if transfer != "base64" and _is_only_base64(raw, start, end):
        defects["base64 is not declared"] = None
        transfer = "base64"
    grown = 2 if transfer in ("base64", "quoted-printable") else 1
    head, tail = TEXT_HEAD * grown, TEXT_TAIL * grown
    if end - start > head + tail:
        defects["text cut"] = None
        pieces = [raw[start : start + head], raw[_tail(raw, start, end - tail) : end]]
    else:
        pieces = [raw[start:end]]
    if transfer == "base64":
        return [_base64(piece, defects) for piece in pieces]
    if transfer == "quoted-printable":
        return [binascii.a2b_qp(_SOFT_BREAK.sub(b"=", piece) if b"= " in piece else piece) for piece in pieces]
    return pieces


def without_uuencoded(text: str) -> tuple[str, list[tuple[str, bytes]]]:
    """Return `text` without the uuencoded files in it, and the name and the content of each file."""
    files: list[tuple[str, bytes]] = []
    kept: list[str] = []
    at = 0
    while match := _UU_BEGIN.search(text, at):
        end = text.find("\nend", match.end() - 1)
        end = len(text) if end < 0 else end
        kept.append(text[at : match.start()])
        files.append((match[1].strip(), b"".join(map(_uu_line, text[match.end() : end].split("\n")))))
        at = end + 4
    return "".join((*kept, text[at:])), files


def _is_only_base64(raw: bytes, start: int, end: int) -> bool:
    """Return whether the part raw[start:end] consists of base64 from which text is decoded, whatever its header says.

    Keys, hashes and files are not decoded, because the bytes in them are no text.
    """
    if not _BASE64_FIRST.match(raw, start, end) or not _BASE64_ONLY.match(raw, start, end):
        return False
    letters = b"".join(raw[start : min(end, start + 2 * _SAMPLE)].split())[:_SAMPLE]
    return _ONLY_TEXT.match(decode_base64(letters)) is not None


def _uu_line(line: str) -> bytes:
    """Decode a line of uuencode. A line of another form gives b''."""
    line = line.rstrip("\r")
    if not line or not line.isascii():
        return b""
    # The first character of a line gives its length. Some programs write more characters than this length.
    length = (ord(line[0]) - 32 & 63) * 4 // 3 + 4
    try:
        return binascii.a2b_uu(line[: length // 4 * 4 + 1])
    except binascii.Error:
        return b""


def _tail(raw: bytes, start: int, cut: int) -> int:
    """Return the start of the tail: the start of a line, or the first of a group of four base64 characters."""
    line = raw.find(b"\n", cut, cut + 2000)
    return line + 1 if line >= 0 else cut - (cut - start) % 4


def _base64(piece: bytes, defects: dict[str, None]) -> bytes:
    """Decode a base64 text, and add the plain text behind it, such as the footer of a list server, unchanged.

    A text that is not base64 is returned as it is. If base64 follows below words, mail programs decode them together,
    or show both as they are, so both readings are returned.
    """
    if (b"-" in piece or b"_" in piece) and _URL_BASE64.match(piece):
        piece = piece.replace(b"-", b"+").replace(b"_", b"/")
    end = len(piece)
    as_it_is = b""
    if b" " in piece and (words := _TWO_WORDS.search(piece)):
        line = piece.rfind(b"\n", 0, words.start()) + 1
        if _has_base64(piece, line, end):
            as_it_is = b"\n" + piece[line:]
        elif _has_base64(piece, 0, line):
            end = line
        else:
            defects["text not in base64"] = None
            return piece
    texts = [piece[:end]]
    if b"=" in piece[:-4] and (match := _BASE64_END.search(piece, 0, end)):
        rest = piece[match.end() : end]
        if _BASE64_LINES.match(rest) and not _PADDED_LINES.match(rest):
            texts = [piece[: match.end()], rest]
        elif not _PADDED_LINES.match(rest) and not _has_base64(piece, match.end(), end):
            texts, end = [piece[: match.end()]], match.end()
    decoded = b"\n".join(map(decode_base64, texts))
    if end < len(piece) or len(texts) == 2:
        defects["text behind base64"] = None
        return decoded + b"\n" * (end < len(piece)) + piece[end:]
    if len(piece) > 200 and len(decoded) < len(piece) // 2:
        defects["broken base64"] = None
    return decoded + as_it_is


def _has_base64(piece: bytes, start: int, end: int) -> bool:
    """Return whether piece[start:end] has lines of base64, or text in base64 in any form.

    Programs skip other characters, so spaces and line ends may be anywhere. Words that are decoded are no text.
    """
    if start == end:
        return False
    if _LIKE_BASE64.search(piece, start, end):
        return True
    first, _, rest = piece[start:end].translate(None, NOT_BASE64).partition(b"=")
    # It is not known at which letter a group of four begins. The first padding shows where the next one begins.
    readings = (first, first[1:], first[2:], first[3:], rest)
    return any(_DECODED_TEXT.search(decode_base64(letters)) for letters in readings)
