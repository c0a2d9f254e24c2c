"""Letters in disguise are read as a person reads them, and real words of all languages stay as they are."""

import unicodedata

import pytest
from hostile_text import limit
from hypothesis import given
from hypothesis import strategies as st
from letters_of_languages import SENTENCES

from spamlstm.features.disguise import is_decorated
from spamlstm.features.normalise import normalise

PLAIN = "pay the money to my wallet within two days and i will not send the video to your contacts"


def decorate(text: str, *marks: str) -> str:
    """Return text with marks on each vowel."""
    return unicodedata.normalize("NFC", "".join(letter + "".join(marks) * (letter in "aeiou") for letter in text))


def spell(text: str, table: dict[str, str]) -> str:
    """Return text with other letters."""
    return text.translate(str.maketrans(table))


@pytest.mark.parametrize(
    ("text", "odd"),
    [
        (spell(PLAIN, {"a": "а", "e": "е", "o": "о", "y": "у", "c": "с", "p": "р"}), "confusable"),
        (spell(PLAIN, {"a": "α", "o": "ο", "v": "ν", "t": "τ", "n": "η"}), "confusable"),
        (spell(PLAIN, {"o": "օ", "n": "ո", "u": "ս", "h": "հ"}), "confusable"),
        (spell(PLAIN.title(), {"T": "Ꭲ", "M": "Ꮇ", "W": "Ꮃ", "D": "Ꭰ"}), "confusable"),
        (spell(PLAIN, {"a": "ɑ", "e": "℮", "i": "ı", "o": "ο", "s": "ѕ"}), "confusable"),
        (spell(PLAIN, dict(zip("abcdefghijklmnoprstuvwyz", "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", strict=True))), "confusable"),
        ("".join(chr(0x1D41A + ord(one) - 97) if one.isalpha() else one for one in PLAIN), "confusable"),
        ("".join(chr(0x24D0 + ord(one) - 97) if one.isalpha() else one for one in PLAIN), "confusable"),
        ("".join(chr(0x1F170 + ord(one) - 97) if one.isalpha() else one for one in PLAIN), "confusable"),
        ("".join(chr(0x1F1E6 + ord(one) - 97) + "\u200c" if one.isalpha() else one for one in PLAIN), "confusable"),
        ("\u202e" + PLAIN[::-1] + "\u202c", "confusable"),
        (decorate(PLAIN, "\u0332"), "combining"),
        (decorate(PLAIN, "\u0489", "\u035c", "\u20dd"), "combining"),
        (decorate(PLAIN, "\u0323", "\u0301"), "combining"),
        (decorate(PLAIN, "\u0323"), "combining"),
        (spell(decorate(PLAIN, "\u0308"), {"n": "ñ", "s": "ş"}), "combining"),
        ("\u200b".join(PLAIN), "zerowidth"),
        ("\u00ad".join(PLAIN), "zerowidth"),
        ("\u2060\ufeff".join(PLAIN), "zerowidth"),
        ("\u180b".join(PLAIN), "zerowidth"),
        ("\U000e0100".join(PLAIN), "zerowidth"),
        ("\ufff9\U0001bca0\U0001d173".join(PLAIN), "zerowidth"),
        ("\1".join(PLAIN), "zerowidth"),
        ("\x7f".join(PLAIN), "zerowidth"),
        ("\b\x1b\u200b".join(PLAIN), "zerowidth"),
        (" ".join(PLAIN.replace(" ", "\xa0")), "spaced"),
        *((" ".join(map(sign.join, PLAIN.split())), "spaced") for sign in ".-_*·"),
        *((" ".join(map(sign.join, PLAIN.split())), "spaced") for sign in "/|❘🔸"),
        (spell(PLAIN, {"a": "4", "e": "3", "o": "0", "s": "5", "t": "+"}), "leet"),
        ("".join(chr(0x249C + ord(one) - 97) if one.isalpha() else one for one in PLAIN), "confusable"),
        ("".join(chr(0x1CCD6 + ord(one) - 97) if one.isalpha() else one for one in PLAIN), "confusable"),
        (spell(PLAIN, dict(zip("abcdefghijkmnpqrtuvwy", "ɐqɔpǝɟƃɥᴉɾʞɯudbɹʇnʌʍʎ", strict=True))), "confusable"),
        (spell(PLAIN, dict(zip("abcdefghijkmnpqrtuvwy", "ɐqɔpǝɟƃɥᴉɾʞɯudbɹʇnʌʍʎ", strict=True)))[::-1], "confusable"),
        (spell(PLAIN, {"a": "ⲁ", "e": "ⲉ", "o": "ⲟ", "y": "ⲩ"}), "confusable"),
        (spell(PLAIN, {"o": "𐐬", "c": "𐐽", "i": "𑣃"}), "confusable"),
        (spell(PLAIN, {"d": "đ", "o": "ø", "h": "ħ", "t": "ŧ", "l": "ł", "i": "ɨ", "u": "ʉ"}), "combining"),
        (spell(PLAIN, {"t": "ƭ", "y": "ƴ", "h": "ɦ", "d": "ɗ", "e": "ɇ", "c": "ƈ"}), "combining"),
        (spell(PLAIN, {"e": "ɛ", "l": "ɭ", "u": "ʋ", "v": "ʌ"}), "combining"),
        (PLAIN.replace("money", "m0ney").replace("wallet", "wall3t"), "leet"),
    ],
)  # fmt: skip
def test_disguise(text, odd):
    """Disguised letters are read as the plain text, and a fact names the disguise."""
    found, odds = normalise(text)
    if odd == "spaced":
        # Two words without letters between them cannot be told apart.
        found = found.replace(" i ", " i ")
    assert found == PLAIN
    assert odd in odds


@pytest.mark.parametrize(
    "text",
    [
        "доброе утро, коллеги! сегодня собрание в три часа, а завтра все свободны",
        "это за́мок, а не замо́к",
        "καλημέρα σας, η συνάντηση είναι αύριο το πρωί στις δέκα",
        "բարեւ ձեզ, հանդիպումը վաղն է ժամը տասին",
        "yarın sabah toplantı var, lütfen geç kalmayın; ığdır ılık ve güneşli",
        "sabah iclasımız saat on birdə olacaq, gecikməyin, çünki vaxtımız azdır",
        "chúng tôi đã nhận được thư của bạn và thể hiện rằng thất bại thì không được nói thế nọ",
        "mỹ là một đất nước lớn, họ nói như vậy, và những người bạn của tôi cũng thế",
        "où êtes-vous ? la réunion a été déplacée à l'été, désolé",
        "für übermorgen hätten wir größere räume, grüße",
        "dzięki, się zobaczymy później, żółty łódź już płynie",
        "příští schůzka bude ve čtvrtek, těším se",
        "góðan daginn, það er fundur á morgun í húsinu",
        "নমস্কার, আগামীকাল সভা আছে",
        "नमस्ते, कल सुबह बैठक है, कृपया समय पर आएँ",
        "مَرْحَبًا بِكُمْ فِي مَتْجَرِنَا",
        "שָׁלוֹם, הַפְּגִישָׁה מָחָר",
        "สวัสดีครับ พรุ่งนี้มีประชุม",
        "明天上午开会，请准时参加",
        "明日 の 会 議 は 三 時 で す",
        "j. r. r. tolkien wrote it, see a) b) c) and d), or u.s. law, e.g. here",
        "mp3 b2b covid19 h264 w3c x86 utf8 i18n k8s win32 log4j v2.0.1 a1b2c3 rfc822 o365 m4a 3d 4th 10x",
        "the id is a0b1c3d4 or f00dbabe0, the file is /tmp/m0ney and http is h2",
        "i have a b c here, and plan b or c",
        "x-y-z and tic-tac-toe, well-known and up-to-date",
        "/a/b/c/d and |a|b|c|d|, y/n/a/q, n/a, and/or, ➜ ✓ ✓ ✓ ✓ ✓ ✓ ✓",
        "at 10am 11am 1pm 3pm the 1st 3rd 13th 30th 31st 100k 10x of h264 v2 r0 are sent",
        "ɐ is the near-open vowel: /kɐt/ ɹʌn ʃʌt ɔːɹ ʌp ɹɐt bɔːt ɥi ʎa mɯ ɟo kɔp bʌt",
        "flags: 🇩🇪🇫🇷 and 🇬🇧",
        "10 μm, 5 kΩ, π and the β-test",
    ],
)
def test_real_words(text):
    """Real words, names, versions and ids stay as they are, and are not odd."""
    expected = unicodedata.normalize("NFKC", text).replace("а́", "а").replace("о́", "о").lower()
    assert normalise(text) == (expected, set())


def test_dotless_letters():
    """Dotless letters are read as ordinary ones where several common words have them, and stay in Turkish."""
    assert normalise("i wıll send the vıdeos wıthın two days") == (
        "i will send the videos within two days",
        {"combining"},
    )
    assert normalise("yarın akşam altıda buluşalım mı") == ("yarın akşam altıda buluşalım mı", set())


def test_bracketed_letters():
    """Letters in brackets count points, and only side by side are they letters of words."""
    assert normalise("⒜ tea ⒝ milk")[0] == "(a) tea (b) milk"


def test_turkish_capital():
    """The Turkish capital İ is read as the small letter that Turks write for it."""
    assert normalise("İSTANBUL İÇİN")[0] == "istanbul için"


LETTERS = st.text(
    "abcdo01 34.-_*$ аеоÖßıΑηօᎠᴀ℮\u0301\u0323\u0332\u200b\u202e\u202cạọ\U0001d41a\U0001f1e6\U0001f170", max_size=60
)


@given(st.text(max_size=200) | LETTERS)
def test_no_marks(text):
    """Normalised text has no brackets other than those of its own marks."""
    found = normalise(text.replace("@", "").replace("://", ""))[0]
    assert not {"⟦", "⟧"} & set(found)


@pytest.mark.parametrize(
    "text",
    ["a ", "a.", "a1", "a1b ", "a-b ", "аb", "аb ", "а", "a\u0301", "a\u0332\u0323", "\u202ea", "\u202e", "ạ", "yọu ",
     "a|", "a❘", "p4y ", "ɹǝ ", "đøħ ", "ʋou ", "⒜ ",
     "\U0001f1e6", "\U0001f1e6 ", "\U0001f170", "ᴀ", "a_", "a$", "\u0301", "1a", "yọụ"],
)  # fmt: skip
def test_hostile(text):
    """Disguises take linear time: 100,000 characters of each kind take less than half a second."""
    with limit(0.5):
        normalise(text * (100_000 // len(text)))


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("language", SENTENCES)
def test_no_language_is_decorated(language, form):
    """Letters with the marks of a language, and text in a wrong charset, are not in disguise."""
    assert not is_decorated(unicodedata.normalize(form, SENTENCES[language]) * 20)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("mark", ["\u0323", "\u0331", "\u0335", "\u0489", "\u20dd", "\u0301\u0323"])
def test_decorated_letters(mark, form):
    """Marks on most letters, or on most consonants, are decoration. A few are not."""
    every = "".join(letter + mark * letter.isalpha() for letter in PLAIN)
    consonants = "".join(letter + mark * (letter in "bcdfghjklmnpqrstvwxz") for letter in PLAIN)
    assert is_decorated(unicodedata.normalize(form, every))
    assert is_decorated(unicodedata.normalize(form, consonants))
    assert not is_decorated(unicodedata.normalize(form, every[:30]))
    assert not is_decorated(unicodedata.normalize(form, every + PLAIN * 9))


@given(st.text())
def test_any_text_may_be_decorated_or_not(text):
    """Any characters have an answer."""
    assert is_decorated(text) in (True, False)


# Some format characters of Arabic, Syriac and other scripts are visible, and an override reverses text. Browsers show
# the spaces among the control characters as spaces.
VISIBLE = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x202E, 0x110BD, 0x110CD, *range(0x13430, 0x13440)}
INVISIBLE = [
    code
    for code in range(0x110000)
    if (unicodedata.category(chr(code)) in ("Cc", "Cf") or 0xFFF0 <= code < 0xFFF9)
    and code not in VISIBLE
    and chr(code) not in "\0\t\n\v\f\r"  # parts have no NUL
]


@pytest.mark.parametrize("text", ["please send the mo{}ney now", "voilà\u00a0mo{}ney\u2003"])
def test_invisible_characters(text):
    """A word with an invisible character is read as the word without, in ASCII and beside other letters and spaces."""
    plain = normalise(text.format(""))
    assert [code for code in INVISIBLE if normalise(text.format(chr(code))) != plain] == []


@given(st.text(st.sampled_from("ab 1@:/.\1\2\3\b\x1b\x1c\x1f\x7f\x80\x85\u200bé⟦\u2003"), max_size=40))
def test_control_characters(text):
    """Control characters, which no mail program shows, change nothing else, and none of them is in the result."""
    found, _ = normalise(text)
    assert found == normalise("".join([one for one in text if one not in "\1\2\3\b\x1b\x1c\x1f\x7f\x80\x85"]))[0]
    assert not set(map(ord, found)) & {*range(32), *range(127, 160)}
