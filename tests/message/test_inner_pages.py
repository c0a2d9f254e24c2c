"""Pages within a page: in frames, for Outlook only, and SVG."""

import pytest

from spamlstm.message.html import read_page
from spamlstm.message.message import parse_message
from spamlstm.model.reading import evidence_of

HTML = "From: ann@example.org\nSubject: Papers for you\nContent-Type: text/html\n\n"
LETTER = "Dear winner, you have won the summer lottery."


@pytest.mark.parametrize("condition", ["mso", "gte mso 9", "(gte mso 9)|(IE)", "mso | IE", "mso 16"])
def test_text_for_outlook(condition):
    """Text that only Outlook for Windows shows does not count as read, and a page of few words besides is not ham."""
    page = read_page(f"<p>Hello</p><!--[if {condition}]><p>{LETTER}</p><![endif]-->")
    assert (page.visible, page.elsewhere) == ("Hello", True)
    evidence = evidence_of(
        parse_message(f"{HTML}<p>Hello</p><!--[if {condition}]><p>{LETTER}</p><![endif]-->".encode())
    )
    assert evidence.little_text


@pytest.mark.parametrize(
    "comment",
    [
        "<!--[if mso]><style>p {color: red}</style><xml><o:a><o:P>96</o:P></o:a></xml><![endif]-->",
        f"<!--[if mso]><v:rect><center>{LETTER}</center></v:rect><![endif]-->",
        "<!--[if mso]><table><tr><td width=600><![endif]-->",
        "<!--[if !mso]><p>other words</p><![endif]-->",
        "<!--[if mso 9]><p>other words</p><![endif]-->",
        "<!--[if lt mso 12]><p>other words</p><![endif]-->",
        "<!-- [if mso]> other words <![endif] -->",
    ],
)
def test_comments_without_other_text(comment):
    """Settings for Outlook, buttons that the page shows too, and comments that no program shows change nothing."""
    page = read_page(f"{comment}<p>{LETTER}</p>{comment}")
    assert (page.visible, page.elsewhere) == (LETTER, False)


def test_comments_beside_a_letter():
    """Beside a page of many words, comments for Outlook are not searched."""
    words = " ".join(f"word{number}" for number in range(40))
    assert not read_page(f"<p>{words}</p><!--[if mso]><p>{LETTER}</p><![endif]-->").elsewhere


def test_a_page_in_a_frame():
    """The page that a frame contains as an attribute does not count as read either."""
    inner = f"&lt;p&gt;{LETTER}&lt;/p&gt;"
    assert read_page(f"<p>Hello</p><iframe srcdoc='{inner}'></iframe>").elsewhere
    assert not read_page(f"<p>{LETTER}</p><iframe srcdoc='{inner}'></iframe>").elsewhere


@pytest.mark.parametrize(
    "hidden",
    [
        *(f"<{name}>{LETTER}</{name}>" for name in ("desc", "metadata", "title")),
        *(f"<{name}><text>{LETTER}</text></{name}>" for name in ("defs", "symbol")),
        *(f"<text {look}>{LETTER}</text>" for look in ("opacity=0", "fill-opacity=0", "fill=none", "display=none")),
        f"<g visibility=hidden><text>{LETTER}</text></g>",
        f"<text font-size=0>{LETTER}</text>",
    ],
)
def test_svg_that_is_not_seen(hidden):
    """Text that SVG describes or hides is not visible. Other text is, also in HTML inside."""
    page = read_page(f"<p>now</p><svg>{hidden}<text>your</text> <foreignObject><p>prize</p></foreignObject></svg>")
    assert page.visible.split() == ["now", "your", "prize"]


def test_svg_that_is_seen():
    """Text of SVG with a style, a colour or an outline of its own is visible, as are words in HTML with such names."""
    page = read_page(
        "<svg><text opacity=0 style='opacity:1'>one</text><g fill=none> <text fill=#fff>two</text></g>"
        " <text fill=none stroke=red>three</text></svg><p opacity=0 fill=none>four <desc>five</desc></p>"
    )
    assert page.visible.split() == ["one", "two", "three", "four", "five"]
