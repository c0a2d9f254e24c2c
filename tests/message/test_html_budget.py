"""What a page may cost: steps are counted, and a page beyond the budget of its message is read as plain text."""

import resource
import time

import pytest

from benchmarks.hostile_pages import MESSAGES, PAGES, attributes, fill, numbered, page
from spamlstm.message.html import read_page
from spamlstm.message.html_cost import MAX_STEPS, Budget, TooComplexError, pay
from spamlstm.message.message import parse_message
from spamlstm.message.page import Link

SIZE = 100_000
# Far more than the slowest takes: 0.3 s on a busy machine of 2026.
MOST_SECONDS, MOST_KILOBYTES = 1.5, 150_000


@pytest.fixture(scope="module", autouse=True)
def _warm():
    parse_message(page("<p>x"))


@pytest.mark.parametrize("name", MESSAGES)
def test_bounded(name):
    """A message takes little time and memory, whatever its pages do."""
    raw = MESSAGES[name](SIZE)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    parse_message(raw)
    assert time.process_time() - start < MOST_SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_KILOBYTES


@pytest.mark.parametrize("name", PAGES)
def test_steps(name):
    """No page takes more steps than its message has, and one that is not too complex takes some."""
    budget = Budget()
    seen = read_page(PAGES[name](SIZE).decode().partition("\n\n")[2], budget)
    assert 0 <= budget.left <= MAX_STEPS
    assert seen.complex or budget.left < MAX_STEPS


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
    """What costs lexbor the square of the size is counted as that."""

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
    """Attributes count wherever a quote or a bracket hides the end of their tag."""
    budget = Budget()
    many = attributes(40_000)
    with pytest.raises(TooComplexError):
        pay((tag.replace("{}", many) + fill(20_000, "<p>x")).encode(), budget)


def test_budget_is_shared():
    """The pages of a message share one budget; what none of them pays for is left for those that follow."""
    budget = Budget(30_000_000)
    large = fill(20_000, "<div>") + "x"
    seen = [read_page(large, budget).complex, read_page(large, budget).complex, read_page("<p>small", budget)]
    assert (seen[0], seen[1], seen[2].visible, seen[2].complex) == (False, True, "small", False)


def test_spend():
    """A budget is never overdrawn, and what it refuses is not taken from it."""
    budget = Budget(10)
    budget.spend(4)
    with pytest.raises(TooComplexError):
        budget.spend(7)
    assert budget.left == 6


def test_defect():
    """A message says when one of its pages was too complex, and an ordinary one says nothing."""
    assert parse_message(page(fill(60_000, "<div>") + "x")).defects == ("page too complex",)
    assert parse_message(page("<div hidden>" * 20 + "x")).defects == ()


def _complex(source: str):
    seen = read_page(source, Budget(0))
    assert seen.complex
    return seen


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
    """The words of a page that is too complex are read, those of comments and scripts are not."""
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
    """Text that a style hides is kept apart in a page that is too complex as well."""
    seen = _complex(source)
    assert (seen.visible.split(), seen.hidden) == (visible.split(), hidden)


def test_plain_links():
    """Links, images and forms of a page that is too complex are found."""
    seen = _complex(
        "<a class=b href=' http://evil.example/x?a=1&amp;b=2 '><b>www.bank</b>.example</a><a href='#top'>up</a>"
        "<form action=http://a.example/>Pin <input type=password></form><img src=1><img alt=x><script>y</script>"
    )
    assert seen.links == (
        Link("http://evil.example/x?a=1&b=2", "www.bank.example"),
        Link("http://a.example/", "Pin"),
    )
    assert (seen.images, seen.forms, seen.scripts) == (("1", ""), 2, 1)


def test_expense_hides_nothing():
    """A spammer who makes a page expensive hides no word and no link with it."""
    spam = "<p>Buy <b>pills</b> at <a href=http://pills.example/>our shop</a></p>"
    seen = parse_message(page(spam + fill(60_000, "<div hidden><i></i>") + spam))
    assert seen.page.complex
    assert seen.text.startswith("Buy pills at our shop")
    assert seen.page.links[0] == Link("http://pills.example/", "our shop")
