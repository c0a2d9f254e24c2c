"""The words of a page are those that a person reads: parted by blocks, and in their visible order."""

import pytest

from spamlstm.features.normalise import normalise
from spamlstm.message.html import read_page


@pytest.mark.parametrize(
    "source",
    [
        "<p>your <bdo dir=RTL>drowssap</bdo> now</p>",
        "<p>your pass<span style='direction: rtl; unicode-bidi: bidi-override'>dr<!-- -->ow</span> now</p>",
        "<style>p {color: red}</style>your <div style='unicode-bidi:isolate-override;direction:rtl'>drowssap</div> now",
    ],
)
def test_reversed_letters(source):
    """Text that a page shows from right to left is read in its visible order, and a fact names the disguise."""
    text, odd = normalise(read_page(source).visible)
    assert (text, odd) == ("your password now", {"confusable"})


@pytest.mark.parametrize(
    "source",
    [
        "<bdo dir=rtl><bdo dir=ltr>buy pills</bdo></bdo>",
        "<bdo dir=rtl><div>buy pills</div></bdo>",
        "<bdo dir=rtl style='unicode-bidi: normal'>buy pills</bdo>",
        "<style>bdo {direction: ltr}</style><bdo dir=rtl>buy pills</bdo>",
        "<p style='unicode-bidi:bidi-override;direction:rtl;unicode-bidi:normal'>buy pills</p>",
        "<p style='content: \"unicode-bidi:bidi-override;direction:rtl\"'>buy pills</p>",
        "<div style='unicode-bidi:bidi-override;direction:rtl'><p>buy pills</p></div>",
        "<span style='unicode-bidi:bidi-override;direction:rtl'>dear<b>sllip yub</b></span>",
    ],
)
def test_order_that_may_be_restored(source):
    """Text whose order another element or a style may restore is read in both orders, so that neither hides it."""
    assert "buy pills" in normalise(read_page(source).visible)[0]


def test_reversed_text_keeps_its_links_and_its_hiding():
    """Reversed text does not hide the links in it, and is not shown if its element is not."""
    page = read_page("now <bdo dir=rtl>kcilc <a href='http://pills.example'>ereh</a></bdo>")
    assert [link.url for link in page.links] == ["http://pills.example"]
    assert "here click" in normalise(page.visible)[0]
    for inner in ("neddih", "neddih <b>txet</b>"):
        assert read_page(f"now <bdo dir=rtl style='display:none'>{inner}</bdo>").visible == "now"


def test_reversed_hebrew():
    """Hebrew is shown from right to left anyway, and stays as it is."""
    assert read_page("<bdo dir=rtl>שלום לכולם</bdo>").visible == "שלום לכולם"


@pytest.mark.parametrize("tag", "dl dt dd address aside nav main figure figcaption fieldset legend summary".split())
def test_all_blocks_part_words(tag):
    """Words of blocks that stand beside each other do not run together."""
    assert read_page(f"<{tag}>one</{tag}><{tag}>two</{tag}>").visible.split() == ["one", "two"]
