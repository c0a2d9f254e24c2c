import resource

import pytest
from hostile_text import limit
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.message.html import read_page
from spamlstm.message.message import join_pages
from spamlstm.message.page import Link, Page


@pytest.mark.parametrize(
    "style",
    [
        "display:none",
        "DISPLAY : None !important",
        "display:\n none",
        "visibility: hidden",
        "font-size:0",
        "font-size: 1px",
        "font-size:0.5px",
        "font-size:0em",
        "max-height:0px;overflow:hidden",
        "opacity:0",
        "opacity: 0.0;",
        "text-indent:-9999px",
        "position:absolute;left:-5000px",
        "color:#fff",
        "color: #FFFFFF",
        "color:white",
        "color:rgb(255, 255, 255)",
        "color:#fefefe",
        "color:#123;background:#112233",
        "background-color: rgb(17,34,51); color: #123",
        "color:transparent",
        "color:rgba(0,0,0,0)",
    ],
)
def test_hidden(style):
    """Text that a style hides is kept apart from visible text."""
    filler = "plain words that everybody can see and that make this letter long enough to be one, " * 2
    page = read_page(f"<body><p>{filler}<span style='{style}'>secret</span></body>")
    assert (page.visible, page.hidden) == (filler.strip(), "secret")


@pytest.mark.parametrize(
    "style",
    [
        "font-size:10px",
        "font-size:1em",
        "font-size:1.5em",
        "font-size:0.9em",
        "font-size:16px",
        "opacity:0.9",
        "opacity:1",
        "max-height:100px",
        "color:#333",
        "color:#ffe",
        "background-color:transparent",
        "border-color:transparent",
        "color:#fff;background:#000",
        "color:#fff;background:none;background-color:#06c",
        "color:white;background:url(x.png)",
        "text-indent:-2px",
        "line-height:0",
    ],
)
def test_not_hidden(style):
    """Text with a style that only resembles a hiding one is visible."""
    page = read_page(f"<p>hello <span style='{style}'>there</span></p>")
    assert (page.visible, page.hidden) == ("hello there", "")


@pytest.mark.parametrize(
    ("source", "hidden"),
    [
        ("<table bgcolor=#000><tr><td><font color='#000000'>a</font></table>", True),
        ("<table bgcolor=#000><tr><td><font color=white>a</font></table>", False),
        ("<table bgcolor=#000><tr><td bgcolor=white><font color=white>a</font></table>", True),
        ("<div style='background:#036'><p style='color:#003366'>a</p></div>", True),
        ("<div style='background:url(x)'><p style='color:#fff'>a</p></div>", False),
        ("<style>.dark{background:#000}</style><div class=dark><p style='color:#fff'>a</p></div>", False),
        ("<div hidden>a</div>", True),
        ("<font color=white>a</font>", True),
    ],
)
def test_background(source, hidden):
    """Letters in the colour of their background are hidden, whichever element around them sets it."""
    page = read_page("<p>" + "many words that stay. " * 8 + "</p>" + source)
    assert (page.hidden == "a") is hidden


def test_nested_hidden():
    """Hidden text inside a hidden element counts once, and the text after it is visible."""
    page = read_page("<div style='display:none'>a<p style='display:none'>b</p></div>c")
    assert (page.visible, sorted(page.hidden.split())) == ("c", ["a", "b"])


def test_layout_at_size_zero():
    """font-size:0 around a table closes the gaps between images and hides nothing."""
    assert (
        read_page("<div style='font-size:0'><table><tr><td style='font-size:14px'>hello</table></div>").visible
        == "hello"
    )


def test_nothing_else_visible():
    """Text hidden by its colour counts as visible if nothing else is."""
    page = read_page("<p style='color:#fff'>the whole letter</p>")
    assert (page.visible, page.hidden) == ("the whole letter", "")


def test_preheader():
    """The hidden preview line of a newsletter is hidden text."""
    page = read_page("<body><div style='display:none;max-height:0'>Only today</div><h1>Sale</h1></body>")
    assert (page.visible, page.hidden) == ("Sale", "Only today")


@pytest.mark.parametrize(
    ("source", "visible"),
    [
        ("V<span>ia</span>gra", "Viagra"),
        ("V<!-- x -->iagra", "Viagra"),
        ("a<b>b</b>c<br>d", "abc\nd"),
        ("<td>a<td>b", "a\nb"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a\nb"),
        ("<p>a<p>b", "a\nb"),
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
    both = join_pages([read_page("<p>a"), read_page("<p>b<div hidden>c</div>")])
    assert (join_pages([]), both.visible, both.hidden) == (Page(), "a\nb", "c")


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
