"""The text that a page hides is kept apart from what a person sees."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.message.html import read_page


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
        "max-height:0px;overflow:hidden;display:block",
        "display:inline-block;height:0;overflow:hidden",
        "float:left;width:0;overflow-x:hidden",
        "display:block;line-height:0;overflow:hidden",
        "opacity:.01",
        "opacity:0%",
        "font:0/0 a",
        "font: 1px Arial",
        "font-size:.01em",
        "position:absolute;clip:rect(0 0 0 0)",
        "position:absolute;clip:rect(1px, 1px, 1px, 1px)",
        "clip-path: inset(100%)",
        "clip-path:inset(0 0 100% 0)",
        "clip-path:circle(0)",
        "transform: scale(0)",
        "transform:translateX(-9999px)",
        "display:inline;display:none",
        "display:none!important;display:block",
        "/* x */display:none",
        "color:hsl(0, 0%, 100%)",
        "color:rgb(255 255 255 / 100%)",
        "color:#ffffff01",
        "color:ivory",
        "color:#f0f0f0",
        "color:#111;-webkit-text-fill-color:transparent",
        "color:#123;background:#102132 none",
        "opacity:0",
        "opacity: 0.0;",
        "text-indent:-9999px",
        "position:absolute;left:-5000px",
        "display:block;height:0;overflow:hidden;padding:0 20px",
        "display:none ! important",
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
        "color:#ffc",
        "color:#e5e5e5",
        "max-height:0;overflow:hidden",
        "max-height:0;display:block",
        "height:0;overflow:hidden",
        "left:-5000px",
        "display:none;display:block",
        "mso-hide:all",
        "margin-left:-300px",
        "opacity:x",
        "clip:rect(0,0,0,0)",
        "transform:scale(0.9)",
        "font:12px/0 Arial",
        "background-color:transparent",
        "border-color:transparent",
        "color:#fff;background:#000",
        "color:#fff;background:none;background-color:#06c",
        "color:white;background:url(x.png)",
        "text-indent:-2px",
        "text-indent:-300px",
        "line-height:0",
        "display:none!x",
        "font-size:0 px",
        "position:relative;top:-120px",
        "transform:translateX(-100%)",
        "clip-path:inset(50% 0 0 0)",
        "clip-path:inset(0 round 100%)",
        "display:block;height:0;overflow:hidden;padding-bottom:40px",
        "display:block;max-height:0;overflow:hidden;padding:40px 0 0",
        "display:block;height:0;overflow:hidden;min-height:40px",
        "display:inline-block;width:0;overflow:hidden;padding:0 200px",
        "display:contents;height:0;overflow:hidden",
        'font-family:";display:none;"',
        "background:url(a;display:none;b)",
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
        ("<table><tr><td background=x.png style='color:#fff'>a</table>", False),
        ("<div style='color:#fff'><table><tr><td background=x.png>a</table></div>", False),
        ("<table><tr><td background='' style='color:#fff'>a</table>", True),
        ("<p style='color:transparent;background:linear-gradient(red,blue);-webkit-background-clip:text'>a", False),
        ("<p style='color:transparent;text-shadow:0 0 0 #000'>a", False),
        ("<p style='color:transparent;text-shadow:0 0 9px transparent'>a", True),
        ("<p style='color:transparent;text-shadow:0 0 0 #fff'>a", True),
        ("<p style='color:rgba(0,0,0,0);text-shadow:0 0 9px #fff,0 0 0 #000'>a", False),
        ("<p hidden style='display:block'>a", False),
        ("<p hidden style='color:red'>a", True),
    ],
)
def test_background(source, hidden):
    """Letters in the colour of their background are hidden, whichever element around them sets it."""
    page = read_page("<p>" + "many words that stay. " * 8 + "</p>" + source)
    assert (page.hidden == "a") is hidden


@pytest.mark.parametrize(
    ("sheet", "element", "hidden"),
    [
        (".x{display:none}", "<div class=x>", True),
        (".y .x , #k{display:none}", "<div id=k>", True),
        ("div{font-size:0}", "<div>", True),
        ("p.x{display:none}", "<div class=x>", False),
        ("div.x.y{opacity:0}", "<div class='y x'>", True),
        (".o .x{visibility:hidden}", "<div class=o><div class=x>", True),
        (".o > .x{visibility:hidden}", "<div class=o><b><i class=x>", False),
        (".o .p > .x{display:none}", "<div class=o><div class=p><div class=p><i class=x>", True),
        ("[class=x]{display:none}", "<div class=x>", True),
        ("div[id^='ab'] *{display:none}", "<div id=abc><i>", True),
        ("/* } .x{} */.x{display:none}", "<div class=x>", True),
        (".x{display:none", "<div class=x>", True),
        ("<!-- .x{display:none} -->", "<div class=x>", True),
        (".x{color:#fffffe}", "<div class=x>", True),
        (".x{color:white}.d{background:#036}", "<div class=d><i class=x>", False),
        (".x{color:white}.d:lang(en){background:#036}", "<div class=d><i class=x>", False),
        (".x{color:#036}.d{background:#036}", "<div class=d><i class=x>", True),
        (".x{color:white;background:url(a.png)}", "<div class=x>", False),
        ("body{background:#000}.x{color:#fff}", "<div class=x>", False),
        # The cascade.
        (".x{display:none}.x{display:block}", "<div class=x>", False),
        (".x.x{display:none}.x{display:block}", "<div class=x>", True),
        ("#k{display:none}.x{display:block}", "<div class=x id=k>", True),
        (".x{display:none!important}#k{display:block}", "<div class=x id=k>", True),
        (".x{display:none}", "<div class=x style='display:block'>", False),
        (".x{display:none!important}", "<div class=x style='display:block'>", True),
        (".x{display:block!important}", "<div class=x style='display:none'>", False),
        # Where rules apply.
        ("@media print{.x{display:none}}", "<div class=x>", False),
        ("@media screen{.x{display:none}}", "<div class=x>", True),
        ("@media only screen and (max-width: 600px){.x{display:none!important}}", "<div class=x>", False),
        ("@media (min-width:1px){.x{display:none}}", "<div class=x>", True),
        ("@media (max-width:99999px), print{.x{display:none}}", "<div class=x>", True),
        ("@media (-webkit-min-device-pixel-ratio:0){.x{display:none}}", "<div class=x>", True),
        ("@media (prefers-color-scheme:dark){.x{color:#fff}}", "<div class=x>", False),
        ("@supports (display:none){.x{display:none}}", "<div class=x>", True),
        ("@supports (nonsense:1){.x{display:none}}", "<div class=x>", False),
        ("@container (min-width:99999px){.x{color:#fff}}", "<div class=x>", False),
        (".x,::bogus{display:none}", "<div class=x>", False),
        (".x,:-moz-bogus{display:none}", "<div class=x>", False),
        (".x,{display:none}", "<div class=x>", False),
        (".x,a:hover,b::before,p:not(.y){display:none}", "<div class=x>", True),
        ("[class$=x]{display:none}", "<div class=x>", True),
        ('[title="a:b?c"]{display:none}', "<div title='a:b?c'>", True),
        ("@import url(a.css);.x{display:none}", "<div class=x>", True),
        ("@font-face{font-family:a}.x{display:none}", "<div class=x>", True),
        ('.y{content:"}.x{display:none}"}', "<div class=x>", False),
        (".y{content:'{'}.x{display:none}", "<div class=x>", True),
        (".y{background:url(a;}.x{display:none}b)}", "<div class=x>", False),
        ("/* don't */.x{display:none}", "<div class=x>", True),
        ("@keyframes a{from{opacity:0}}.x{animation:a}", "<div class=x>", False),
        (".x:hover{display:none}", "<div class=x>", False),
        (".x + .x{display:none}", "<div class=x>", False),
    ],
)
def test_style_sheet(sheet, element, hidden):
    """Text that a style sheet hides is hidden, as far as the sheet applies to a screen of usual width."""
    page = read_page(f"<html><style>{sheet}</style><body><p>" + "many words that stay. " * 8 + f"</p>{element}secret")
    assert (page.hidden, page.visible.endswith("secret")) == (("secret", False) if hidden else ("", True))


@pytest.mark.parametrize(
    ("style", "hidden"),
    [
        ("text-shadow: 0 2px 5px #272727", False),
        ("text-shadow: 0 0 2px #fff, 0 0 4px rgba(0, 0, 0, 0.6)", False),
        ("text-shadow: 0 0 2px #fff,0 0 4px rgb(0 0 0 / 60%)", False),
        ("text-shadow: 0 0 2px #fff, hsl(0, 0%, 9%) 0 0 4px", False),
        ("-webkit-text-stroke: 1px black", False),
        ("box-shadow: inset 0 0 0 999px #333", False),
        ("mix-blend-mode: difference", False),
        ("filter: invert(1)", False),
        ("text-shadow: 0 2px 5px #fefefe", True),
        ("text-shadow: 0 0 0 transparent", True),
        ("text-shadow: 0 0 2px rgba(0, 0, 0, 0)", True),
        ("box-shadow: 0 4px 10px #000", True),
        ("filter: none; mix-blend-mode: normal; text-shadow: none", True),
    ],
)
def test_outlined_letters(style, hidden):
    """White letters on white are visible if a shadow, a stroke or an effect gives them an outline of another colour."""
    filler = "many words that stay. " * 8
    for around in ("{}", "<div style='background:url(x.png)'>{}</div>"):
        page = read_page(f"<p>{filler}</p>" + around.format(f"<p style='color:#fff;{style}'>a</p>"))
        assert (page.hidden == "a") is (hidden and around == "{}")


@pytest.mark.parametrize(
    "body", ["<body text=#ffffff>", "<body style='color:#fff'>", "<html style='color:white'><body>"]
)
def test_the_colour_of_a_page(body):
    """Text in a colour that hides the whole page is hidden where no element inside sets another colour."""
    letter = "many words that stay. " * 8
    page = read_page(f"{body}secret<p style='color:#000'>{letter}</p><table bgcolor=#000><td>end</table>")
    assert (page.visible, page.hidden) == (f"{letter.strip()}\nend", "secret")
    assert read_page(f"{body}{letter}").visible == letter.strip()


def test_hidden_pieces():
    """Hidden pieces inside words do not part the words."""
    page = read_page(
        "<style>.x7{display:none}</style><p>You<span class='x7'>4777</span>r mai<span class='x7'>dcdc</span>lbo"
        "<span style='display:none'>f35b</span>x is alm<span class='x7'>28dd</span>ost full."
    )
    assert (page.visible, page.hidden.split()) == ("Your mailbox is almost full.", ["4777", "dcdc", "f35b", "28dd"])


@given(
    st.lists(
        st.sampled_from(
            '.x #x div * [a] [a="b"] > + , { } {display:none} {color:#fff} ; : ! @media @supports'
            " screen (min-width:1px) /* */ <!-- --> \\ \x00 é -- 1 ' \" . # [ ] ( ) :not(.x) ::before".split(" ")
        )
        | st.text(max_size=4),
        max_size=30,
    )
)  # fmt: skip
def test_any_style_sheet(pieces):
    """Any style sheet is read."""
    source = f"<style>{''.join(pieces).replace('</', '')}</style><div class=x id=x a=b>one<p>two</div>three"
    page = read_page(source)
    assert page.visible.endswith("three")
    assert {*page.visible.split(), *page.hidden.split()} == {"one", "two", "three"}


@pytest.mark.parametrize(
    ("source", "hidden"),
    [
        ("<details><summary></summary>{}</details>", True),
        ("<details><summary> \n</summary><p>{}</p></details>", True),
        ("<details><summary style='display:none'>more</summary>{}</details>", True),
        ("<details open><summary></summary>{}</details>", False),
        ("<details><summary>more</summary>{}</details>", False),
        ("<details><summary><img src='x.png'></summary>{}</details>", False),
        ("<details>{}</details>", False),
    ],
)
def test_closed_details(source, hidden):
    """Text that only a click on an invisible summary would show is hidden."""
    page = read_page(f"<p>visible text of the letter</p>{source.format('padding of innocent words')}")
    assert ("padding of innocent words" in page.visible) is not hidden
    assert ("padding of innocent words" in page.hidden) is hidden


def test_nested_hidden():
    """Hidden text inside a hidden element counts once, and the text after it is visible."""
    page = read_page("x<div style='display:none'>a<p style='display:none'>b</p></div>c")
    assert (page.visible, sorted(page.hidden.split())) == ("x\nc", ["a", "b"])


def test_layout_at_size_zero():
    """font-size:0 around a table closes the gaps between images and hides nothing."""
    assert (
        read_page("<div style='font-size:0'><table><tr><td style='font-size:14px'>hello</table></div>").visible
        == "hello"
    )


@pytest.mark.parametrize(
    "inside",
    [
        "<p style='font-size:0.4px'>{text}</p>",
        "<td style='font-size:0'>{text}<b>and more</b></td>",
        "<div style='font-size:0'>{text}<p style='font-size:14px'>shown</p></div>",
        "<a href='http://x.example/' style='font-size:0'>{text}</a>",
    ],
)
def test_text_at_size_zero(inside):
    """Text of size 0 is hidden in a cell, a paragraph or a link too, and around them."""
    page = read_page(f"<h1>Sale</h1><table>{inside.format(text='innocent words that nobody sees')}</table>")
    assert "innocent words" in page.hidden
    assert "innocent" not in page.visible


@pytest.mark.parametrize("inside", ["<a href=x>one</a>\n<a href=x>two</a>", "&gt;<a href=x>one</a> <a href=x>two</a>"])
def test_links_at_size_zero(inside):
    """Links in a paragraph of size 0 are visible and stay apart, whatever signs stand between them."""
    page = read_page(f"<h1>Sale</h1><p style='font-size:0'>{inside}</p>")
    assert page.visible.replace(">", "").split() == ["Sale", "one", "two"]


def test_words_around_hidden_spaces():
    """Words stay apart if the spaces between them stand in an element that hides its text by colour."""
    words = "<i style='color:#111'>one</i> <i style='color:#111'>two</i>\n<i style='color:#111'>three</i>"
    page = read_page(f"<div style='color:#fff'>a {words} b</div><p>" + "many words that stay. " * 8)
    assert (page.visible.split()[:3], page.hidden.split()) == (["one", "two", "three"], ["a", "b"])


def test_nothing_else_visible():
    """Text hidden by its colour counts as visible if nothing else is."""
    page = read_page("<p style='color:#fff'>the whole letter</p>")
    assert (page.visible, page.hidden) == ("the whole letter", "")


def test_copy_for_phones():
    """A hidden copy of visible text, as pages have for narrow screens, is neither visible nor hidden text."""
    page = read_page("<p>Shop now, the sale ends today</p><div style='display:none'>Shop now, sale ends today</div>")
    assert (page.visible, page.hidden) == ("Shop now, the sale ends today", "")


@pytest.mark.parametrize(
    ("inside", "shown"),
    [
        ("<div style='color:#fff'>a<p style='color:#000'>b</p></div>", "b"),
        ("<div style='color:#fff'>a<table bgcolor=#000><td>b</table></div>", "b"),
        ("<div style='color:#fff'>a<p style='color:lab(0 0 0)'>b</p></div>", "b"),
        ("<div style='color:#fff'>a<p style='color:inherit'>b</p></div>", ""),
        ("<div style='color:#fff'>a<p><a href=x>b</a></p></div>", "b"),
        ("<div style='color:#fff'>a<p><a href=x style='color:white'>b</a></p></div>", ""),
        ("<div style='color:#fff'>a<p><a href=x style='color:inherit'>b</a></p></div>", ""),
        ("<div style='font-size:0'>a<i style='font-size:12px'>b</i></div>", "b"),
        ("<div style='font-size:0'>a<i style='font-size:2em'>b</i></div>", ""),
        ("<div style='font-size:0'>a<i style='font:bold 12px/1.5 Arial'>b</i></div>", "b"),
        ("<div style='font-size:0'>a<i style='font:2em Arial'>b</i></div>", ""),
        ("<div style='visibility:hidden'>a<i style='visibility:visible'>b</i></div>", "b"),
        ("<div style='display:none'>a<i style='display:inline'>b</i></div>", ""),
    ],
)
def test_shown_inside_hidden(inside, shown):
    """An element inside a hidden one is visible if it revokes what hides it."""
    page = read_page("<p>" + "many words that stay. " * 8 + "</p>" + inside)
    assert page.visible.split("\n")[1:] == shown.split()
    assert "a" in page.hidden
