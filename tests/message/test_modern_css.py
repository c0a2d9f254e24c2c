"""Text that newer CSS and HTML hide is hidden, as browsers define it."""

import time

import pytest

from spamlstm.message.colours import read_colour
from spamlstm.message.html import read_page

FILLER = "many words that stay. " * 8


def is_hidden(source):
    """Return whether the word `secret` in a page is hidden. It must be in one of the two texts."""
    page = read_page(f"<html><body><p>{FILLER}</p>{source}")
    assert ("secret" in page.visible) is not ("secret" in page.hidden)
    return "secret" in page.hidden


@pytest.mark.parametrize(
    "style",
    [
        r"d\69splay:none",
        r"d\000069 splay:none",
        r"di\splay:n\6fne",
        "filter:opacity(0)",
        "filter:blur(1px) opacity(1%)",
        "content-visibility:hidden",
        "zoom:.01",
        "zoom:1%",
        "--x:none;display:var(--x)",
        "display:var(--missing, none)",
        "--a:#fff;--b:var(--a);color:var(--b)",
        "color:lab(100% 0 0)",
        "color:lch(100 0 0)",
        "color:oklab(1 0 0)",
        "color:oklch(99% 0 0/1)",
        "color:hwb(0 100% 0%)",
        "color:hwb(120deg 97 0)",
        "color:color(srgb 1 1 1)",
        "color:color-mix(in srgb, white 98%, black)",
        "color:color-mix(in oklab,#fff 1%,transparent 99%)",
        "color:light-dark(white, black)",
    ],
)
def test_hidden(style):
    """Escapes, custom properties, effects and each form of a colour are read."""
    assert is_hidden(f"<div style='{style}'>secret</div>")


@pytest.mark.parametrize(
    "style",
    [
        r"d\3a splay:none",
        r"display\:none",
        "filter:opacity(0.5)",
        "content-visibility:auto",
        "zoom:0",
        "zoom:1",
        "display:var(--missing)",
        "--x:block;display:var(--x, none)",
        "color:lab(40% 20 20)",
        "color:oklch(.5 .1 20)",
        "color:color-mix(in srgb,white 40%,black)",
        "color:lab(",
        "color:color-mix(in srgb, white)",
    ],
)
def test_visible(style):
    """Values that only resemble hiding ones hide nothing. Browsers read a zoom of 0 as 1."""
    assert not is_hidden(f"<div style='{style}'>secret</div>")


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ("oklch(.628 .2577 29.23)", (255, 0, 0)),
        ("lab(54.29 80.8 69.89)", (255, 0, 0)),
        ("lch(87.82 113.33 134.38)", (0, 255, 0)),
        ("hwb(240 0% 0%)", (0, 0, 255)),
        ("hwb(0 50% 50%)", (128, 128, 128)),
        ("color-mix(in srgb,red 25%,blue)", (64, 0, 191)),
        ("color(srgb 50% 0 none)", (128, 0, 0)),
        ("color(xyz 1 1 1)", None),
        ("lab(1 2)", None),
        ("color-mix(in srgb,red 0%,blue 0%)", None),
    ],
)
def test_colours(colour, expected):
    """A colour in another space is converted to red, green and blue."""
    found, _ = read_colour(colour)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert all(abs(one - other) <= 3 for one, other in zip(found, expected, strict=True))


LISTED = "<ul class=l><li>one<li>secret<li>three</ul>"


@pytest.mark.parametrize(
    ("sheet", "source", "hidden"),
    [
        ("li:nth-child(2){display:none}", LISTED, True),
        ("li:nth-child(even){display:none}", LISTED, True),
        ("li:nth-child(3n - 1){display:none}", LISTED, True),
        ("li:nth-child(-n+2){display:none}", LISTED, True),
        ("li:nth-last-child(2){display:none}", LISTED, True),
        ("li:nth-of-type(2){display:none}", LISTED, True),
        ("li:not(:first-child):not(:last-child){display:none}", LISTED, True),
        ("ul :first-child{display:none}", LISTED, False),
        ("li:last-child{display:none}", LISTED, False),
        ("li:nth-child(odd){display:none}", LISTED, False),
        ("li:nth-child(4n+3){display:none}", LISTED, False),
        ("li:nth-child(x){display:none}", LISTED, False),
        ("div:last-of-type{display:none}", "<div>secret</div><p>end", True),
        ("div:only-of-type{display:none}", "<div>secret</div><p>end", True),
        ("div:only-child{display:none}", "<div>secret</div><p>end", False),
        ("div:not(.y){display:none}", "<div class=x>secret", True),
        ("div:not(.y, #z){display:none}", "<div id=z>secret", False),
        ("div:not([title]):not(p){display:none}", "<div>secret", True),
        (":is(.x,.y){display:none}", "<div class=x>secret", True),
        ("body :is(p,div).x{display:none}", "<div class=x>secret", True),
        (".x:is(p,h1){display:none}", "<div class=x>secret", False),
        (":where(#x){display:none}.x{display:block}", "<div class=x id=x>secret", False),
        (":is(#x){display:none}.x{display:block}", "<div class=x id=x>secret", True),
        ("div:is(.a .b){display:none}", "<div class=b>secret", False),
        (r".s\65 t{display:none}", "<div class=set>secret", True),
        # Rules in rules.
        (".u{p{display:none}}", "<div class=u><p>secret</p></div>", True),
        (".u{p{display:none}}", "<p>secret</p>", False),
        (".u{color:red;&.v{display:none}}", "<div class='u v'>secret", True),
        (".u{display:none;p{color:red}}", "<div class=u>secret", True),
        (".u{@media screen{display:none}}", "<div class=u>secret", True),
        (".u{@media print{display:none}}", "<div class=u>secret", False),
        # Layers.
        ("@layer a{.x{display:none}}", "<div class=x>secret", True),
        ("@layer a,b;@layer b{#x{display:none}}.x{display:block}", "<div class=x id=x>secret", False),
        # Custom properties.
        (":root{--w:#fff}.x{color:var(--w)}", "<div class=x>secret", True),
        (":root{--w:#fff}", "<div style='color:var(--w)'>secret", True),
        (":root{--w:#fff}.dark{--w:#000}.x{color:var(--w)}", "<div class=x>secret", False),
        ("@media print{:root{--d:none}}.x{display:var(--d)}", "<div class=x>secret", False),
    ],
)
def test_style_sheet(sheet, source, hidden):
    """Positions, lists of selectors, nested rules, layers and custom properties count as browsers define them."""
    assert is_hidden(f"<style>{sheet}</style>{source}") is hidden


@pytest.mark.parametrize(
    ("source", "hidden"),
    [
        ("<div popover>secret</div>", True),
        ("<div popover style='display:block'>secret</div>", False),
        ("<dialog>secret</dialog>", True),
        ("<dialog open>secret</dialog>", False),
        ("<datalist><option>secret</datalist>", True),
        ("<template><p>secret</p></template>", True),
        ("<noframes><p>secret</p></noframes>", True),
    ],
)
def test_closed_elements(source, hidden):
    """Elements that browsers show after a click, or never, are hidden."""
    assert is_hidden(source) is hidden


@pytest.mark.parametrize(
    "style",
    [
        "".join(f"--a{n}:var(--a{n - 1}) var(--a{n - 1}) var(--a{n - 1});" for n in range(1, 2000)) + "color:var(--a9)",
        "color:" + "var(--a," * 5000,
        ".a{" * 20_000,
        "a,b,c,d{" * 10_000,
        ":is(a,b,c)" * 3000 + "{color:#fff}",
        ":not(" * 9000 + "{color:#fff}",
        ":is(" + "a," * 30_000 + "){color:#fff}",
        ":nth-child(n)" * 5000 + "{color:#fff}",
        "i:nth-child(odd):not(.x,.y,.z){color:#fff}" * 1000,
    ],
    ids=range(9),
)
def test_hostile_styles(style):
    """The time is bounded for any custom properties, lists of selectors and nested rules."""
    page = f"<style>{style}</style><p style='{style[:50_000]}'>one</p>" + "<i><b>two</b></i>" * 300
    before = time.process_time()
    read_page(page)
    assert time.process_time() - before < 2
