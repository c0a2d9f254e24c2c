"""Bytes become the characters that a mail program shows, whatever charset they claim."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.message.charset import codec_name, decode, decode_base64, decode_words, guess

RUSSIAN = "Добрый день, уважаемые коллеги! Предлагаем вам новые условия и скидки"
CHINESE = "尊敬的客户，您好：我公司可以代开发票，税率优惠，欢迎来电咨询。"
TAIWANESE = "尊敬的客戶，您好：您的帳戶已被暫停，請立即登錄驗證您的密碼，否則將被關閉。"
JAPANESE = "お世話になっております。このたびは新しいサービスのご案内をお送りします。"
KOREAN = "안녕하세요 고객님 새로운 서비스를 안내해 드립니다 많은 이용 부탁드립니다"
GERMAN = "Über größere Äpfel und Öl für fünf Jahre"


@pytest.mark.parametrize(
    ("text", "charset"),
    [
        (RUSSIAN, "koi8_r"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "utf-8"),
        (RUSSIAN, "utf-16"),
        (CHINESE, "gb18030"),
        (TAIWANESE, "big5"),
        (JAPANESE, "cp932"),
        (JAPANESE, "euc_jp"),
        (KOREAN, "cp949"),
        (GERMAN, "cp1252"),
        (GERMAN, "utf-16-le"),
        (GERMAN, "utf-16-be"),
        ("à é è ê ç", "cp1252"),
    ],
)
def test_guess(text, charset):
    """Unlabelled text is read in the charsets that are common in mail."""
    assert guess(text.encode(charset)).lstrip("\ufeff") == text


@pytest.mark.parametrize(
    ("label", "codec"),
    [
        ("US-ASCII", "utf-8"),
        ("iso-8859-1", "cp1252"),
        (" 'UTF-8'", "utf-8"),
        ("gb2312", "gb18030"),
        ("KS_C_5601-1987", "cp949"),
        ("koi8-u", "koi8_u"),
        ("windows-874", "cp874"),
        ("x-mac-cyrillic", "mac-cyrillic"),
        ("cn-big5", "big5hkscs"),
        ("unicode", "utf-16"),
        ("logical", "iso8859-8"),
        ("cp50221", "iso2022_jp_ext"),
        ("x-unknown", None),
        ("utf-7", "utf-7"),
        ("idna", None),
        ("hex", None),
        ("rot13", None),
        ("unicode_escape", None),
        ("../../etc/passwd", None),
        ("a" * 1000, None),
        ("\0", None),
        ("", None),
        ("\ud800", None),
    ],
)
def test_codec_name(label, codec):
    """A label gives the superset that real mail needs, and never a codec that is no charset or costs too much."""
    assert codec_name(label) == codec


def test_unknown_labels_are_not_cached():
    """Unknown labels do not fill Python's cache of codecs."""
    import encodings

    before = len(encodings._cache)
    for number in range(1000):
        codec_name(f"unknown-{number}")
    assert len(encodings._cache) == before


def test_ascii_labelled_utf16():
    """ASCII text that is labelled UTF-16 is read as ASCII."""
    assert decode(b"plain text", "utf-16") == ("plain text", True)


@pytest.mark.parametrize("label", ["iso-2022-jp", "CSISO2022JP", "cp50221", "us-ascii", "utf-8", "x-unknown", ""])
def test_japanese_in_seven_bits(label):
    """The escapes of Japanese text are read under any label, also beside a character that the codec lacks."""
    data = JAPANESE.encode("iso2022_jp") + b"\n\x1b$B-!$3\x1b(B one"
    assert decode(data, label)[0] == f"{JAPANESE}\n\ufffdこ one"


@given(st.lists(st.sampled_from([JAPANESE, "one ", "\n", "\x1b$", "\x1b$)", "\x1b[1m"]), max_size=8).map("".join))
def test_other_escapes(text):
    """Escapes that no Japanese text has do not change a text in ASCII."""
    if text.isascii():
        assert decode(text.encode(), "us-ascii") == (text, True)
    else:
        assert decode(text.encode(), "utf-8") == (text, True)


def test_cut():
    """A character that a cut splits is dropped, and the label still counts as right."""
    assert decode("äö".encode()[1:-1], "utf-8", cut=True) == ("", True)
    assert decode("aäöb".encode()[:4], "utf-8", cut=True) == ("aä", True)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=?utf-8?q?a_b?=", "a b"),
        ("=?UTF-8?B?w6Q=?= =?utf-8?b?w7Y=?=", "äö"),
        ("x =?utf-8?q?a?= y", "x a y"),
        ("=?utf-8?b?w6?=", ""),
        ("=?utf-8*de?q?=C3=A4?=", "ä"),
        ("=?nonsense?q?a?=", "a"),
        ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
        ("=?", "=?"),
        ("=?iso-8859-1?q?=80?=", "€"),
        ("=?utf-8?q?=E4=B8?=\t=?utf-8?q?=AD?=", "中"),
    ],
)
def test_words(value, text):
    """Encoded words are decoded, also split ones; other text stays as it is."""
    assert decode_words(value) == text


@given(
    st.binary(max_size=200),
    st.sampled_from(["", "utf-8", "utf-16", "gb2312", "iso-2022-jp", "hz", "big5", "euc-jp", "koi8-r", "cp037", "x"]),
)
def test_any_bytes(data, charset):
    """Any bytes under any label give text without surrogates."""
    decode(data, charset)[0].encode()
    decode(data, charset, cut=True)[0].encode()
    guess(data).encode()


@given(st.text(max_size=200))
def test_any_words(value):
    """No header value raises."""
    decode_words(value)
    decode_words(f"=?{value}?q?{value}?=")


@given(st.binary(max_size=200))
def test_base64(data):
    """Base64 without its padding is decoded, and no bytes raise."""
    import base64

    assert decode_base64(base64.b64encode(data).rstrip(b"=")) == data
    decode_base64(data)
