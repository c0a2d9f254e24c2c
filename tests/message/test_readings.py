"""A message that mail programs read in several ways does not hide a text from the filter in any of them."""

import base64

import pytest

from spamlstm.features.normalise import normalise
from spamlstm.message.message import address, parse_message

SPAM = "Buy cheap replica watches now at our shop, order today and save on every luxury model of the year"
HAM = "Hello Ann, the minutes of the garden club are below, see you on Tuesday evening and bring the tins please."
HEAD = "From: a@b.example\nSubject: x\n"
PART = f"\n--edge\nContent-Type: text/plain\n\n{HAM}\n--edge--\n"
BASE64 = base64.b64encode(SPAM.encode()).decode()
IN_BASE64 = f"{HEAD}Content-Transfer-Encoding: base64\n\n"


def in_groups(size: int, separator: str) -> str:
    return separator.join(BASE64[at : at + size] for at in range(0, len(BASE64), size))


def is_read(raw: str, charset: str = "utf-8") -> bool:
    return normalise(SPAM)[0] in normalise(parse_message(raw.encode(charset)).text)[0]


@pytest.mark.parametrize(
    "header",
    [
        "Content-Type: text/plain\nContent-Type: multipart/mixed; boundary=edge\n",
        "Content-Type: text/html\nContent-Type: multipart/alternative; boundary=edge\n",
        "Content-Type: multipart/mixed\n",
        "Content-Type: multipart/mixed; boundary=other\n",
    ],
)
@pytest.mark.parametrize("above", [True, False])
def test_text_outside_of_the_parts(header, above):
    """Text above and below parts is read if a program that follows the headers sees no parts."""
    body = f"{SPAM}\n{PART}" if above else f"{PART}\n{SPAM}\n"
    assert is_read(f"{HEAD}{header}\n{body}")


def test_preamble():
    """Text outside the parts is not read if the boundary is declared, because no program shows it."""
    assert not is_read(f"{HEAD}Content-Type: multipart/mixed; boundary=edge\n\n{SPAM}\n{PART}\n{SPAM}")


def test_text_above_parts_behind_the_parts():
    """Parts behind the end of the parts do not hide a text above them."""
    parts = PART.replace("edge", "other")
    start = "--edge\nContent-Type: text/plain\n\nHi\n--edge--\n"
    assert is_read(f"{HEAD}Content-Type: multipart/mixed; boundary=edge\n\n{start}{SPAM}\n{parts}")


@pytest.mark.parametrize("end", ["\f", "\v"])
def test_white_space_behind_a_boundary(end):
    """A boundary may have any white space behind it."""
    part = f"--edge{end}\nContent-Transfer-Encoding: base64\n\n{BASE64}\n--edge--\n"
    assert is_read(f"{HEAD}Content-Type: multipart/mixed; boundary=edge\n\n{part}")


def test_many_longer_boundaries():
    """Many lines that only begin like the boundary do not hide the parts."""
    longer = f"--edge{'z' * 100}\n" * 200
    part = f"--edge\nContent-Transfer-Encoding: base64\n\n{BASE64}\n--edge--\n"
    assert is_read(f"{HEAD}Content-Type: multipart/mixed; boundary=edge\n\n{longer}{part}")


@pytest.mark.parametrize(
    "body",
    [
        f"{in_groups(5, chr(10))}\n\na b\n",
        f"{in_groups(4, ' ')}\n",
        f"{in_groups(5, ' ')}\n\n{HAM}\n",
        f"SGkg\nSA==\n{in_groups(50, chr(10))}",
        f"SA==\n{in_groups(5, chr(10))}",
        "IA==\n" * 30_000 + in_groups(60, "\n"),
    ],
    ids="short-lines groups groups-above-words lines-behind-padding short-lines-behind-padding much-padding".split(),
)
def test_base64_in_any_form(body):
    """Base64 is decoded wherever it has spaces, line ends and padding, as in mail programs."""
    assert is_read(IN_BASE64 + body)


def test_base64_of_cyrillic_text():
    """Spaced base64 is also recognised if it is text in an 8-bit charset."""
    encoded = base64.b64encode("Купите дешевые часы сегодня в нашем магазине".encode("cp1251")).decode()
    header = f"{HEAD}Content-Type: text/plain; charset=windows-1251\nContent-Transfer-Encoding: base64\n\n"
    spaced = " ".join(encoded[at : at + 5] for at in range(0, len(encoded), 5))
    assert "дешевые часы сегодня" in parse_message((header + spaced).encode()).text


def test_words_and_base64():
    """If words are above base64, both readings are read: a program may decode all of it or nothing."""
    assert is_read(
        f"{HEAD}Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\n\n{SPAM}\n\n{'ab0+' * 15}"
    )


def test_footer_with_a_line_of_signs():
    """A line of equals signs or a long link is no base64, so that the words around it stay as they are."""
    footer = f"You get this from the list\n{'=' * 60}\nhttp://list.example/{'a' * 60}\nleave it here"
    assert parse_message((IN_BASE64 + BASE64 + "\n\n" + footer).encode()).text.endswith(footer)
    text = f"{SPAM}\n{footer}"
    assert parse_message((IN_BASE64 + text).encode()).text == text


@pytest.mark.parametrize("value", ["quoted-printable", "7bit"])
def test_parameter_called_transfer(value):
    """A parameter of Content-Type is no transfer encoding."""
    header = f"Content-Type: text/plain; transfer={value}\nContent-Transfer-Encoding: base64\n"
    assert is_read(f"{HEAD}{header}\n{BASE64}")


@pytest.mark.parametrize("label", ["", "; charset=utf-8"])
def test_words_behind_an_escape(label):
    """Words in ASCII behind an escape of Japanese text stay words, because programs ignore the escape."""
    header = f"{HEAD}Content-Type: text/plain{label}\n\n"
    for text in (SPAM, SPAM.upper()):
        read = parse_message(f"{header}\x1b$B{text}\n".encode()).text
        assert text in read
        apart = " ".join(f"\x1b$B{word}\x1b(B" for word in text.split())
        assert all(word in parse_message(f"{header}{apart}\n".encode()).text for word in text.split())


@pytest.mark.parametrize("charset", ["utf-16", "utf-16le", "utf-32", "utf-7", "cp037", "hz", "iso-2022-kr"])
def test_charset_in_the_source_of_a_page(charset):
    """A page in ASCII with a few other letters is not read in a charset in which its own source is unreadable."""
    page = f"<html><meta charset={charset}><p>Café. {SPAM}</p>"
    assert is_read(f"{HEAD}Content-Type: text/html\n\n{page}", "latin-1")


def test_charset_of_no_mail_program():
    """A charset in which ASCII letters have other values is not used."""
    assert is_read(f"{HEAD}Content-Type: text/plain; charset=cp037\n\nCafé. {SPAM}", "latin-1")


def test_long_comment_behind_an_address():
    """A long comment does not hide the address above it."""
    assert address(f"a@b.example ({'x' * 5000}) other@c.example") == "a@b.example"
    assert address(f'"{"x" * 5000} other@c.example" <a@b.example>') == "a@b.example"
