"""Pages within a page: in frames, for Outlook only, and SVG."""

import pytest

from spamlstm.message.html import read_page

LETTER = "Dear winner, you have won the summer lottery."


@pytest.mark.parametrize("condition", ["mso", "gte mso 9", "(gte mso 9)|(IE)", "mso | IE"])
def test_text_for_outlook(condition):
    """Text that only Outlook for Windows shows is read if the page shows few words besides."""
    link = "<a href='http://a.example'>here</a>"
    page = read_page(f"<p>Hello</p><!--[if {condition}]><p>{LETTER}</p>{link}<![endif]-->")
    assert page.visible == f"Hello\n{LETTER}\nhere"
    assert [link.url for link in page.links] == ["http://a.example"]


@pytest.mark.parametrize(
    "comment",
    [
        "<!--[if mso]><style>p {color: red}</style><xml><o:a><o:P>96</o:P></o:a></xml><![endif]-->",
        f"<!--[if mso]><v:rect><center>{LETTER}</center></v:rect><![endif]-->",
        "<!--[if mso]><table><tr><td width=600><![endif]-->",
        "<!--[if !mso]><p>other words</p><![endif]-->",
        "<!-- [if mso]> other words <![endif] -->",
    ],
)
def test_comments_without_other_text(comment):
    """Settings for Outlook, buttons that the page shows too, and other comments change nothing."""
    assert read_page(f"{comment}<p>{LETTER}</p>{comment}").visible == LETTER


def test_comments_beside_a_letter():
    """Beside a page of many words, comments for Outlook are not read, as most people do not see them."""
    words = " ".join(f"word{number}" for number in range(40))
    assert read_page(f"<p>{words}</p><!--[if mso]><p>{LETTER}</p><![endif]-->").visible == words


def test_a_page_in_a_frame():
    """The page that a frame contains as an attribute is read at its place, and only one level deep."""
    inner = "&lt;p&gt;Hello&lt;/p&gt;&lt;a href=http://a.example&gt;here&lt;/a&gt;&lt;iframe srcdoc=x&gt;"
    page = read_page(f"<p>above</p><iframe srcdoc='{inner}'></iframe><p>below</p>")
    assert page.visible == "above\nHello\nhere\nbelow"
    assert [link.url for link in page.links] == ["http://a.example"]


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
