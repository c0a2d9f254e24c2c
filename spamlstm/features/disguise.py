"""Letters in disguise: look-alike letters, decorated letters, digits for letters, and letters that are set apart.

Real words of other alphabets stay as they are. A letter is replaced only where no usual language writes it.
"""

import re
import unicodedata
from functools import lru_cache

from spamlstm.features.common_words import COMMON_WORDS, common_words
from spamlstm.features.leet import without_leet
from spamlstm.message.charset import ASCII

# Letters of other alphabets that look like Latin letters: Greek, Cyrillic, Armenian, Cherokee, Coptic, Deseret and
# Warang Citi. They are replaced in words that also have Latin letters, and in texts with several such words.
_LOOKALIKES = {
    "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαβεικνορτυχηωγςσϲϳ": "ABEZHIKMNOPTYXabeikvoptuxnwysocj",
    "АВЕКМНОРСТУХІЈЅЬГавекмнорстухіјѕьгһԁԛԝѵӏғҽәп": "ABEKMHOPCTYXIJSbrabekmhopctyxijsbrhdqwvlfeen",
    "ՕՍՏԼօսոհցյզքագ": "OUSLounhgjqpwq",
    "ᎠᎡᎢᎥᎩᎪᎫᎬᎳᎷᎻᎽᏀᏃᏆᏏᏒᏔᏕᏙᏚᏞᏟᏢᏦᏧᏴ": "DRTiYAJEWMHYGZIbRWSVSLCPKdB",
    "ꭰꭱꭲꭹꭺꭻꭼꮃꮇꮋꮐꮓꮖꮙꮪꮮꮯꮲꮶꮷ": "drtyajewmhgzivslcpkd",
    "ⲀⲂⲈⲎⲒⲔⲘⲚⲞⲢⲤⲦⲨⲬⲁⲉⲅⲓⲕⲟⲣⲥⲧⲩⲭⳓ": "ABEHIKMNOPCTYXaerikopctyxj",
    "𐐄𐐕𐐛𐐬𐐽𐑈𑣀𑣁𑣃𑣄𑣈𑣗𑣘𑣜": "OCLocsvsizoouy",
}
# Small capitals, phonetic letters and letters of Lisu, which are replaced everywhere.
_SIGNS = {
    "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ": "abcdefghijklmnoprstuvwyz",
    "ɑɡɩʂʈʐɱɦʍɾɼʝɕʑ℮ꞵ": "agistzmhwrrjczeb",
    "ꓮꓐꓚꓓꓰꓝꓖꓧꓲꓙꓗꓡꓟꓠꓳꓑꓣꓢꓔꓴꓦꓪꓫꓬꓜ": "ABCDEFGHIJKLMNOPRSTUVWXYZ",
}
# Latin letters of some languages, which are replaced only in texts with several disguised words.
_RARE = ("ıøłđħŧɛəɔŋɓɗƙɖƒɣʋǝ", "ioldhteeonbdkdfyve")
_SIGN_TABLE = str.maketrans("".join(_SIGNS), "".join(_SIGNS.values()))
_LOOKALIKE_TABLE = str.maketrans("".join(_LOOKALIKES), "".join(_LOOKALIKES.values()))
_WHOLE_TABLE = _LOOKALIKE_TABLE | str.maketrans(*_RARE)
_SIGN = re.compile(f"[{''.join(_SIGNS)}]")
_LOOKALIKE = re.compile(f"[{''.join(_LOOKALIKES)}]")
_MIXED_WORD = re.compile(rf"(?<![^\W\d_])(?=[^\W\d_]*[A-Za-z])(?=[^\W\d_]*[{''.join(_LOOKALIKES)}])[^\W\d_]++")
_REAL = re.compile(
    f"(?![{''.join(_LOOKALIKES)}])[\u0370-\u03ff\u0400-\u052f\u0531-\u0587\u13a0-\u13ff\u2c80-\u2cff\uab70-\uabbf]"
)
# Letters of mathematics and in circles, which are used for their form. NFKC replaces them with ordinary letters.
_FORMS = re.compile("[\U0001d400-\U0001d7ff\u24b6-\u24e9\U0001f130-\U0001f149]")
# From this number of disguised words, all letters of a text are suspect.
_MANY = 3

# Letters in brackets count numbered points, so they are letters of words only side by side.
_BRACKETED = re.compile("[\u249c-\u24b5\U0001f110-\U0001f129]{2}")
# Letters in pictures. Two adjacent regional indicators are a flag.
_PICTURE = re.compile("[\U0001ccd6-\U0001ccef\U0001f150-\U0001f169\U0001f170-\U0001f189\U0001f1e6-\U0001f1ff]")
_FLAG_LETTER = re.compile("(?<![\U0001f1e6-\U0001f1ff])[\U0001f1e6-\U0001f1ff](?![\U0001f1e6-\U0001f1ff])")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"
_PICTURE_TABLE = {
    start + number: letter for start in (0x1CCD6, 0x1F150, 0x1F170) for number, letter in enumerate(_ALPHABET)
}
_BRACKETED_TABLE = {start + number: letter for start in (0x249C, 0x1F110) for number, letter in enumerate(_ALPHABET)}

# Marks that are left on Latin, Greek or Cyrillic letters after composition. Languages that need such marks use few.
_MARK_RANGES = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_MARK = re.compile(f"[{_MARK_RANGES}]")
_MARKS = re.compile(rf"(?<=[A-Za-z\u00c0-\u024f\u0370-\u03ff\u0400-\u052f\u1e00-\u1fff])[{_MARK_RANGES}]++")
_ORDINARY_MARKS = frozenset("\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030c\u0323\u0331")
# Latin letters with marks, strokes and hooks, phonetic letters and small capitals.
_LATIN_RANGES = "\u00c0-\u02af\u1d00-\u1dbf\u1e00-\u1eff\u2c60-\u2c7f"
_ACCENTED = re.compile(f"[{_LATIN_RANGES}]")
_DECORATED = re.compile(rf"(?<![^\W_])(?=[A-Za-z]*[{_LATIN_RANGES}])[A-Za-z{_LATIN_RANGES}]{{3,8}}(?![^\W_])")
_NAME_OF_LETTER = re.compile(
    r"LATIN (SMALL|CAPITAL) LETTER (?:(?:DOTLESS|OPEN|SCRIPT|SMALL CAPITAL) )?([A-Z])(?: WITH .*| BAR)?"
)
_NAMELESS = {"ɑ": "a", "ʌ": "v", "ʍ": "w", "Þ": "P", "þ": "p", "ß": "ß"}
# A letter that some write for v and others for u.
_U_OR_V = "ʋ"

# Letters with marks as they do not occur in the old charsets. Text in a wrong charset, which is not decorated, has many
# letters up to U+017F.
_RARE_MARKED = re.compile(
    rf"[\u01cd-\u024f\u1e00-\u1eff]|[A-Za-z\u00c0-\u024f\u0370-\u03ff\u0400-\u052f\u1e00-\u1fff](?=[{_MARK_RANGES}])"
)
_CONSONANTS = frozenset("bcdfghjklmnpqrstvwxz")
# In the texts of 285 languages, at most 22 % of the letters have marks, and 8 % are consonants with marks.
_LEAST_MARKED, _MOST_MARKED, _MOST_CONSONANTS = 20, 1 / 2, 1 / 6

_OVERRIDE = re.compile("\u202e([^\u202a-\u202e\u2066-\u2069\n]*)[\u202c\u2069]?")

# The shape of a text has `a` for a letter, `0` for a digit that resembles a letter, `.` for a sign that may stand
# between letters, and `/` for all else. It also has `a` for ?, which stands for a character outside ASCII, and in
# marked text for the characters 1 to 3, which stand for marks. A shape shows in a tenth of the time of a search whether
# the search may find something.
_SHAPES = bytes(
    ord("a" if chr(code) in "abcdefghijklmnopqrstuvwxyz?" else "." if chr(code) in " .-_*~\n" else
        "0" if chr(code) in "013" else "/")
    for code in range(256)
)  # fmt: skip
_MARKED_SHAPES = _SHAPES[:1] + b"aaa" + _SHAPES[4:]
_LETTER = r"[a-z\u00df-\u024f\u0370-\u03ff\u0400-\u052f]"
_APART = (
    r"(?<![^\W_])(?<![^\W_][.\-_*~·•]){letter}([ \n.\-_*~·•]){letter}(?![^\W_])(?>\1{letter}(?![^\W_])){{{more},}}+"
)
_APART_LONG = re.compile(_APART.format(letter=_LETTER, more=2))
_APART_SHORT = re.compile(_APART.format(letter=_LETTER, more=0))
# Signs that stand between the letters of several long words only in disguise: bars, slashes, arrows, pictures.
_BAR = "/|\xa6\u2190-\u27e5\u27e8-\u2bff\U0001f300-\U0001faff"
_BARRED = (
    rf"(?<![^\W_])(?<![^\W_][{_BAR}]){{letter}}([{_BAR}]){{letter}}(?![^\W_])"
    r"(?>\1{letter}(?![^\W_])){{{more},}}+"
)
_BARRED_LONG = re.compile(_BARRED.format(letter=_LETTER, more=2))
_BARRED_SHORT = re.compile(_BARRED.format(letter=_LETTER, more=0))
_FOREIGN_BAR = re.compile(f"[{_BAR}]")


def foreign(text: str) -> str:
    """Return the characters of `text` outside ASCII.

    Most texts have few of them, so that a search in them is fast.
    """
    return text.encode("utf-8", "surrogatepass").translate(None, ASCII).decode("utf-8", "surrogatepass")


def fold_pictures(text: str) -> tuple[str, bool]:
    """Return text with letters in place of pictures of letters, and with reversed text in its visible order.

    The second result tells whether there are pictures, reversed text, or several letters of mathematics. Zero-width
    characters must still be in `text`, because they separate the letters of a word from flags.
    """
    data = text.encode("utf-8", "replace").translate(None, ASCII)
    # The first bytes of pictures, of letters of mathematics and in circles, and U+202E. A pattern takes longer.
    if not any(
        beginning in data
        for beginning in (b"\xf0\x9f", b"\xf0\x9d", b"\xf0\x9c\xb3", b"\xe2\x92", b"\xe2\x93", b"\xe2\x80\xae")
    ):
        return text, False
    folded = text
    if _PICTURE.search(folded):
        folded = _FLAG_LETTER.sub(lambda match: _ALPHABET[ord(match[0]) - 0x1F1E6], folded).translate(_PICTURE_TABLE)
    if _BRACKETED.search(folded):
        folded = folded.translate(_BRACKETED_TABLE)
    if "\u202e" in folded:
        folded = _OVERRIDE.sub(lambda match: match[1][::-1], folded)
    return folded, folded != text or len(_FORMS.findall(text)) > _MANY


def fold_lookalikes(text: str) -> tuple[str, bool]:
    """Return text in NFKC with Latin letters in place of look-alikes, and whether it is in disguise.

    The case of letters matters, because a capital looks like another letter than its small letter.
    """
    disguised = False
    letters = foreign(text)
    if _SIGN.search(letters):
        count = len(_SIGN.findall(text))
        text = text.translate(_SIGN_TABLE)
        disguised = count >= _MANY
    if _LOOKALIKE.search(letters):
        text, folded = _MIXED_WORD.subn(lambda match: match[0].translate(_LOOKALIKE_TABLE), text)
        disguised = disguised or folded > 0
        if folded >= _MANY and not _REAL.search(text):
            text = text.translate(_WHOLE_TABLE)
    return text, disguised


def strip_decoration(text: str) -> tuple[str, bool]:
    """Return text in NFKC without marks on letters that no language writes there, and whether the text is decorated."""
    decorated = False
    letters = foreign(text)
    if _MARK.search(letters) and _MARKS.search(text):
        marks = "".join(_MARKS.findall(text))
        text = _MARKS.sub("", text)
        unusual = len([mark for mark in marks if mark not in _ORDINARY_MARKS])
        decorated = unusual >= _MANY or len(marks) > max(_MANY, len(text) // 6)
    if _ACCENTED.search(letters):
        accented = " ".join([word for word in text.split() if not word.isascii()])
        words = [word for word in map(_bare, _DECORATED.findall(accented)) if word]
        if len(words) >= _MANY and len(set(words)) > 1:
            text, decorated = _undecorated(text), True
    return text, decorated


def is_decorated(text: str) -> bool:
    """Return whether more letters of a text have rare marks than in any language."""
    # Most texts have few marks, and no further search is needed.
    others = foreign(text)
    if len(_RARE_MARKED.findall(others)) + len(_MARK.findall(others)) < _LEAST_MARKED:
        return False
    text = unicodedata.normalize("NFC", text)
    marked, letters = _RARE_MARKED.findall(text), sum(map(str.isalpha, text))
    consonants = sum(unicodedata.normalize("NFD", letter)[0].lower() in _CONSONANTS for letter in marked)
    return len(marked) >= _LEAST_MARKED and (
        len(marked) > _MOST_MARKED * letters or consonants > _MOST_CONSONANTS * letters
    )


def _undecorated(text: str) -> str:
    bare = _ACCENTED.sub(lambda match: _base(match[0]), text)
    if _U_OR_V not in text:
        return bare
    other = _ACCENTED.sub(lambda match: _base(match[0]), text.replace(_U_OR_V, "u"))
    return max(bare, other, key=common_words)


@lru_cache(maxsize=4096)
def _bare(word: str) -> str:
    """Return a decorated word without its marks, or '' if a language may write it with marks."""
    bare = "".join(map(_base, word)).lower()
    return bare if bare in COMMON_WORDS else ""


@lru_cache(maxsize=2048)
def _base(letter: str) -> str:
    """Return a Latin letter without its marks, strokes and hooks."""
    base = unicodedata.normalize("NFD", letter)[0]
    if base.isascii() or letter in _NAMELESS:
        return _NAMELESS.get(letter, base)
    name = _NAME_OF_LETTER.fullmatch(unicodedata.name(letter, ""))
    return letter if name is None else name[2] if name[1] == "CAPITAL" else name[2].lower()


def join_letters(text: str, *, marked: bool = False) -> tuple[str, list[str]]:
    """Return text in lower case with letters that are set apart joined, and with letters in place of digits in words.

    `marked` means that the characters 1 to 3 stand for marks. The second result has the names of the disguises: spaced,
    leet.
    """
    odd: list[str] = []
    shape = b".%b." % text.encode("ascii", "replace").translate(_MARKED_SHAPES if marked else _SHAPES)
    if b".a.a.a.a." in shape or "·" in text or "•" in text:
        text, joined = _APART_LONG.subn(_joined, text)
        if joined:
            odd.append("spaced")
        if joined >= _MANY:
            text = _APART_SHORT.sub(_joined, text)
    if _has_bars(text, shape) and len({word[0] for word in _BARRED_LONG.finditer(text)}) > _MANY:
        text = _BARRED_SHORT.sub(_joined, _BARRED_LONG.sub(_joined, text))
        odd.append("spaced")
    # `a0` is rare, and a search for a needle that ends in a rare character is fast.
    if b"a0" in shape and (b"a0a" in shape or "fr33" in text):
        plain = without_leet(text)
        if plain != text:
            text = plain
            odd.append("leet")
    return text, odd


def _has_bars(text: str, shape: bytes) -> bool:
    """Return whether a text has the three bars of each of several long words, which few texts have."""
    if text.isascii():
        return b"/a/a/a/" in shape and text.count("/") + text.count("|") > 3 * _MANY
    return text.count("/") + text.count("|") + len(_FOREIGN_BAR.findall(foreign(text))) > 3 * _MANY


def _joined(match: re.Match[str]) -> str:
    return match[0].replace(match[1], "")
