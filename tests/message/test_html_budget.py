"""The steps of a page are counted, and a page beyond the budget of its message is read as plain text."""

import resource

import pytest
from hostile_text import limit

from benchmarks.hostile_pages import MESSAGES, PAGES, attributes, fill, numbered, page
from spamlstm.message.html import read_page
from spamlstm.message.html_cost import MAX_STEPS, Budget, TooComplexError, pay
from spamlstm.message.message import parse_message
from spamlstm.message.page import Link

SIZE = 100_000
# The slowest takes 0.3 s on a busy machine of 2026.
MOST_SECONDS, MOST_KILOBYTES = 1.5, 150_000


@pytest.fixture(scope="module", autouse=True)
def _warm():
    parse_message(page("<p>x"))


@pytest.mark.parametrize("name", MESSAGES)
def test_bounded(name):
    """A message takes little time and memory, whatever its pages contain."""
    raw = MESSAGES[name](SIZE)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with limit(MOST_SECONDS):
        parse_message(raw)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_KILOBYTES


@pytest.mark.parametrize("name", PAGES)
def test_steps(name):
    """No page takes more steps than the budget has, and a page that is not too complex takes some."""
    budget = Budget()
    found = read_page(PAGES[name](SIZE).decode().partition("\n\n")[2], budget)
    assert 0 <= budget.left <= MAX_STEPS
    assert found.complex or budget.left < MAX_STEPS


@pytest.mark.parametrize(
    ("name", "less", "more"),
    [
        ("open elements", fill(40_000, "<div>"), fill(80_000, "<div>")),
        ("attributes of a tag", f"<a {attributes(40_000)}>", f"<a {attributes(80_000)}>"),
        ("attributes behind a quote", f"<a x='>' {attributes(40_000)}>", f"<a x='>' {attributes(80_000)}>"),
        ("formatting", numbered(40_000, "<p><i id=%s>"), numbered(80_000, "<p><i id=%s>")),
    ],
)
def test_square(name, less, more):
    """Work of lexbor that grows with the square of the size is counted so."""

    def steps(source: str) -> int:
        budget = Budget(10**12)
        pay(source.lower().encode(), budget)
        return 10**12 - budget.left

    assert steps(more) > 3 * steps(less)


@pytest.mark.parametrize(
    "tag",
    [
        "<i x='>' {}>",
        '<i x=">" {}>',
        '<i x=">" {} y="v">',
        '<i x"=">" {}>',
        "<i x<y {}>",
        '<i\n{}\nx=">">',
        "<!-- > --><i x= '>' {}>",
        '<p title="a"><i y="{}" x=">" {}>',
    ],
)
def test_hidden_end(tag):
    """Attributes count even if a quote or a bracket hides the end of their tag."""
    budget = Budget()
    many = attributes(40_000)
    with pytest.raises(TooComplexError):
        pay((tag.replace("{}", many) + fill(20_000, "<p>x")).encode(), budget)


def test_budget_is_shared():
    """The pages of a message share one budget; a page that is too complex leaves the rest to the next."""
    budget = Budget(30_000_000)
    large = fill(20_000, "<div>") + "x"
    found = [read_page(large, budget).complex, read_page(large, budget).complex, read_page("<p>small", budget)]
    assert (found[0], found[1], found[2].visible, found[2].complex) == (False, True, "small", False)


def test_spend():
    """A budget is never overdrawn, and refused steps are not taken from it."""
    budget = Budget(10)
    budget.spend(4)
    with pytest.raises(TooComplexError):
        budget.spend(7)
    assert budget.left == 6


def test_defect():
    """A page that is too complex is a defect of its message; an ordinary page is none."""
    assert parse_message(page(fill(60_000, "<div>") + "x")).defects == ("page too complex",)
    assert parse_message(page("<div hidden>" * 20 + "x")).defects == ()


def _complex(source: str):
    found = read_page(source, Budget(0))
    assert found.complex
    return found


@pytest.mark.parametrize(
    ("source", "visible"),
    [
        ("V<span>ia</span>gra", "Viagra"),
        ("V<!-- x -->iagra", "Viagra"),
        ("<!-->seen<!--->too", "seentoo"),
        ("a<b>b</b>c<br>d", "abc\nd"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a\nb"),
        ("a &amp; b &#x4e2d;&nbsp;&#67; &unknown; &", "a & b 中 C &unknown; &"),
        ("<script>x</script><style>y</style><title>t</title>z", "z"),
        ("<style>never closed", "never closed"),
        ("plain < text", "plain < text"),
        ('<b ">every "word" counts</b>', 'every "word" counts'),
        ("<a title='>'>a</a>", "a"),
        ("İ<TITLE>t</TITLE>Ş", "İŞ"),
        ("<xmp>shown</xmp>", "shown"),
        ("<", "<"),
    ],
)
def test_plain_text(source, visible):
    """A page that is too complex yields its words, without those of comments and scripts."""
    assert _complex(source).visible == visible


@pytest.mark.parametrize(
    ("source", "visible", "hidden"),
    [
        ("a<div style='display: none'>b<div>c</div></div>d", "a\nd", "b\nc"),
        ("a<p hidden>b<p>c", "a\nc", "b"),
        ("a<span style=font-size:0>b</span>c", "ac", "b"),
        ("<div style=font-size:0><td>a</div>b", "a\nb", ""),
        ("<body style=display:none>a", "a", ""),
        ("<div hidden>" + "many " * 11_000 + "</div>b", "many " * 11_000 + "\nb", ""),
        ("<p style=font-size:0.9em>a</p>", "a", ""),
    ],
)
def test_plain_hidden(source, visible, hidden):
    """A page that is too complex yields its hidden text apart."""
    found = _complex(source)
    assert (found.visible.split(), found.hidden) == (visible.split(), hidden)


def test_plain_links():
    """A page that is too complex yields its links, images and forms."""
    found = _complex(
        "<a class=b href=' http://evil.example/x?a=1&amp;b=2 '><b>www.bank</b>.example</a><a href='#top'>up</a>"
        "<form action=http://a.example/>Pin <input type=password></form><img src=1><img alt=x><script>y</script>"
    )
    assert found.links == (
        Link("http://evil.example/x?a=1&b=2", "www.bank.example"),
        Link("http://a.example/", "Pin"),
    )
    assert (found.images, found.forms, found.scripts) == (("1", ""), 2, 1)


def test_complexity_hides_nothing():
    """Making a page too complex hides none of its words and links."""
    spam = "<p>Buy <b>pills</b> at <a href=http://pills.example/>our shop</a></p>"
    found = parse_message(page(spam + fill(60_000, "<div hidden><i></i>") + spam))
    assert found.page.complex
    assert found.text.startswith("Buy pills at our shop")
    assert found.page.links[0] == Link("http://pills.example/", "our shop")
