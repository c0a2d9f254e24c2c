"""A page yields what a person sees: its text, links and forms, whatever tags it is made of."""

import resource

import pytest
from hostile_text import limit
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.message.html import read_page
from spamlstm.message.message import join_pages
from spamlstm.message.page import Link, Page


@pytest.mark.parametrize(
    "page",
    [
        "<body><div style='display:none;max-height:0'>Only today</div><h1>Sale</h1></body>",
        "<style>.pre{display:none!important}</style><table><td> <span class=pre>Only today</span></table><h1>Sale",
        "<div style='opacity:0'>Only today&zwnj;&nbsp;&#847;&nbsp;&#8199;</div><div hidden>&#847; &#847;</div><h1>Sale",
    ],
)  # fmt: skip
def test_preheader(page):
    """The hidden preview line of a newsletter is read as its first line, without the characters that fill it."""
    page = read_page(page)
    assert (page.visible, page.hidden, page.preheader) == ("Only today\nSale", "", "Only today")


@pytest.mark.parametrize(
    "page",
    ["<h1>Sale</h1><div hidden>Only today</div>", "<div hidden>" + "Only today " * 50 + "</div><h1>Sale</h1>"],
)
def test_no_preheader(page):
    """Hidden text that is long or not at the top of the page is no preheader."""
    page = read_page(page)
    assert (page.visible, page.hidden[:10], page.preheader) == ("Sale", "Only today", "")


def test_long_preheader():
    """As much of a preheader is read as a mail program shows."""
    assert len(read_page("<div hidden>" + "word " * 50 + "</div><h1>Sale</h1>").visible.split()) == 31


@pytest.mark.parametrize(
    ("source", "visible"),
    [
        ("V<span>ia</span>gra", "Viagra"),
        ("V<!-- x -->iagra", "Viagra"),
        ("a<b>b</b>c<br>d", "abc\nd"),
        ("<td>a<td>b", "a\nb"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a\nb"),
        ("<p>a<p>b", "a\nb"),
        ("a<noscript><p>b</p></noscript>", "a\nb"),
        ("a<noembed>b</noembed><noframes>c</noframes>", "a"),
        ("<ul><li>a<li>b</ul>c", "a\nb\nc"),
        ("a &amp; b &#x4e2d;&nbsp;c", "a & b 中 c"),
        ("<script>x</script><style>y</style><title>t</title>z", "z"),
        ("plain < text", "plain < text"),
        ("<p>unclosed <b>bold <i>both</p> after", "unclosed bold both\nafter"),
        ("<a href='x>y", ""),
        ("", ""),
        ("<", "<"),
        ("&#xd800;x", "\ufffdx"),
        ("<html><body></body></html>trailing", "trailing"),
        ("<h1>a</h1>b", "a\nb"),
    ],
)
def test_visible(source, visible):
    """Inline tags join words, blocks separate them, and broken HTML is read as browsers read it."""
    assert read_page(source).visible == visible


def test_links():
    """A link has its target and its text; anchors inside the page are no links."""
    page = read_page(
        "<a href=' http://evil.example/x '>www.bank.example</a><a href='#top'>up</a><area href=http://b.example/>"
    )
    assert page.links == (Link("http://evil.example/x", "www.bank.example"), Link("http://b.example/", ""))


def test_forms_and_images():
    """Forms and password fields count as forms, the target of a form is a link, and images come once and in order."""
    page = read_page(
        "<form action=http://a.example/>Pin <input type=password style='color:red'></form>"
        "<img src=1><img src=2 style='x:y'><img>"
    )
    assert (page.forms, page.images, page.links) == (2, ("1", "2", ""), (Link("http://a.example/", "Pin"),))
    assert read_page("<script>a</script><SCRIPT>b</SCRIPT>").scripts == 2


def test_join():
    """Pages are joined in order; no pages give the empty page."""
    both = join_pages([read_page("<p>a"), read_page("<div hidden>d</div><p>b<div hidden>c</div>")])
    assert (join_pages([]), both.visible, both.hidden, both.preheader) == (Page(), "a\nd\nb", "c", "d")


@given(st.text(max_size=300))
def test_any_text(source):
    """Any text gives a Page, and its text can be encoded as UTF-8."""
    read_page(source).visible.encode()


@given(
    st.lists(
        st.sampled_from(
            "<p> <div style='display:none'> <b> </b> </p> <table> <td> </table> <a href=x> </a> <font color=white> "
            "<!-- --> <style> </style> "
            "<svg> <select> <template> <body bgcolor=#000> text <form> <input type=password> "
            "<p style='color:#000'> <plaintext> <frameset>".split(" ")
        ),
        max_size=60,
    )
)
def test_any_tags(tags):
    """Tags in any order give a Page: no element is used after its removal."""
    page = read_page("".join(tags))
    assert isinstance(page, Page)
    (page.visible + page.hidden).encode()


@pytest.mark.parametrize(
    "source",
    {
        "div": "<div>" * 100_000 + "x",
        "list": "<ul><li>" * 60_000,
        "formatting": "".join(f"<p><i id={i}>x" for i in range(30_000)),
        "formatting, quoted": "".join(f"<p><i id='>{i}'>x" for i in range(30_000)),
        "formatting, few": "".join(f"<p><i id={i % 9}>x" for i in range(7_000)),
        "attributes": "<div " + " ".join(f"a{i}" for i in range(60_000)) + ">x",
        "attributes, quoted": "<div a='>' " + " ".join(f"a{i}" for i in range(60_000)) + ">x",
        "bodies": "".join(f"<body a{i}=1>" for i in range(30_000)),
        "links": "<a href=http://a.example/>x</a>" * 100_000,
        "style": "<p style='" + "a" * 10_000_000 + "'>x</p>",
        "hidden": "<p style='display:none'>x</p>" * 100_000,
        "hidden, nested": "<div style='display:none'>x" * 10_000,
        "hidden, nested, large": "<div style='display:none'>" * 5_000 + "y " * 60_000,
        "size zero, nested": "<div style='font-size:0'>" * 8_000 + "<p>y",
        "sheet, selectors": "<style>"
        + "".join(f".a{i}{{display:none}}" for i in range(30_000))
        + "</style>"
        + "<p class=a1>x" * 5_000,
        "sheet, classes": "<style>.a{display:none}</style>" + f"<p class='{'a ' * 9}'>x" * 5_000,
        "sheet, one class": "<style>" + ".b .a{display:none}" * 900 + "</style>" + "<div class=a>x" * 5_000,
        "sheet, children": "<style>"
        + ".a > .a > .a > .a .b > .a{display:none}" * 900
        + "</style>"
        + "<div class=a>x" * 2_000,
        "sheet, comments": "<style>" + "/*" * 100_000 + "</style>x",
        "sheet, braces": "<style>" + "{" * 100_000 + "</style>x",
        "sheet, media": "<style>@media " + "(a:" * 60_000 + "{.x{display:none}}</style>x",
        "sheet, values": "<style>.a{font-size:" + "1" * 90_000 + ";color:rgb(" + "1" * 9_000 + "</style><p class=a>x",
        "sheet, fonts": "<style>.a{font:" + " 1" * 40_000 + "</style><p class=a>x",
        "colours, nested": "<div style='color:#fff'>" * 5_000 + "<p style='color:#000'>y",
        "colours and backgrounds": "".join(
            f"<p style='color:#{i:06x};background:#{i:06x}'>y" for i in range(0, 16_000_000, 4_000)
        ),
        "pale, nested": "<div style='color:#fff'>" * 8_000 + "y",
        "colour and spaces": "<p style='color:" + " " * 250_000 + "'>x",
        "wide spaces": "<p>" + "\u3000" * 250_000 + "x",
        "links in tables": "<table><tr><td><a href=x>y" * 5_000 + "z" * 50_000,
        "lone brackets": "<" * 500_000,
    }.items(),
    ids=lambda item: item[0],
)
def test_hostile(source):
    """Pages that keep a browser busy take little time and memory; without taming, 1.6 GB and 12 s were measured."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with limit(5):
        read_page(source[1])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000
