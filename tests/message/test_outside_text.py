"""Text that programs show although it is not in the visible elements of a page, or not in a part of a known type."""

import pytest

from spamlstm.message.html import read_page
from spamlstm.message.message import parse_message

WORDS = " ".join(f"word{number}" for number in range(30))
OTHER = WORDS.replace("word", "other") + " and more"


@pytest.mark.parametrize(
    "source",
    [
        f"<p>Hello</p><img src=a.png alt='{WORDS}'>",
        f"<p>Hello</p><input readonly value='{WORDS}'>",
        f"<style>p:after{{content:'{WORDS}'}}</style><p>Hello</p>",
        f"<p>Hello</p><iframe srcdoc='&lt;p&gt;{WORDS}&lt;/p&gt;'></iframe>",
    ],
)
def test_a_page_of_little_else(source):
    """Texts of pictures, values of inputs, text of style sheets and pages in frames count beside few words."""
    assert read_page(source).visible.split()[:31] == ["Hello", *WORDS.split()]


@pytest.mark.parametrize(
    "source",
    [
        f"<p>{OTHER}</p><img alt='{WORDS}'>",
        "<p>Hello</p><img alt='A photo of our shop in the main street'>",
        f"<p>Hello</p><input type=hidden value='{WORDS}'>",
        f"<p>Hello</p><div hidden>more<img alt='{WORDS}'></div>",
    ],
)
def test_other_pages(source):
    """Beside more words, and if they are short or hidden, they do not count."""
    assert "word1" not in read_page(source).visible
    assert "photo" not in read_page(source).visible


@pytest.mark.parametrize("name", ["noframes", "noembed", "template"])
def test_elements_that_browsers_do_not_show(name):
    """Their text is visible only if the page has no other."""
    assert read_page(f"<{name}><p>{WORDS}</p></{name}>").visible == WORDS
    page = read_page(f"<p>See you on Tuesday</p><{name}>{WORDS}</{name}>")
    assert (page.visible, page.hidden) == ("See you on Tuesday", WORDS)


def text_of(header, body):
    """Return the text of a message of one part."""
    return parse_message(f"From: ann@example.org\nContent-Type: {header}\n\n{body}\n".encode()).text.strip()


def test_data_without_a_name():
    """Data without a name is read if it is text or a page."""
    assert text_of("application/octet-stream", WORDS) == WORDS
    assert text_of("application/octet-stream", f"<html><p>{WORDS}</p>") == WORDS
    assert text_of("application/octet-stream\nContent-Transfer-Encoding: base64", "d29yZA==") == ""
    for start in ("-----BEGIN PGP MESSAGE-----", "%PDF-1.4", "\0"):
        assert text_of("application/octet-stream", f"{start}\n{WORDS}") == ""
    assert text_of("application/octet-stream; name=a.bin", WORDS) == ""


def test_visiting_cards():
    """Only a long note of a card is read."""
    card = "BEGIN:VCARD\nFN:Ann Low\nTITLE:Head\n{}END:VCARD"
    note = "NOTE:" + WORDS[:90] + "\\, and\n  more\\nof it\n"
    assert text_of("text/vcard", card.format(note)) == f"{WORDS[:90]}, and more\nof it"
    assert text_of("text/x-vcard", card.format("NOTE:Call me\n")) == ""
