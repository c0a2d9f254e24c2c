"""The words of a page are those that a person reads: parted by blocks, and in their visible order."""

import pytest

from spamlstm.features.normalise import normalise
from spamlstm.message.html import read_page


@pytest.mark.parametrize(
    "source",
    [
        "<p>your <bdo dir=RTL>drowssap</bdo> now</p>",
        "<p>your <span style='direction: rtl; unicode-bidi: bidi-override'>dro<bdo dir=rtl>ws</bdo>sap</span> now</p>",
        "your <div style='unicode-bidi:bidi-override;direction:rtl'><p>drowssap</p></div> now",
    ],
)
def test_reversed_letters(source):
    """Text that a page shows from right to left is read in its visible order, and a fact names the disguise."""
    text, odd = normalise(read_page(source).visible)
    assert (text, odd) == ("your password now", {"confusable"})


@pytest.mark.parametrize("tag", "dl dt dd address aside nav main figure figcaption fieldset legend summary".split())
def test_all_blocks_part_words(tag):
    """Words of blocks that stand beside each other do not run together."""
    assert read_page(f"<{tag}>one</{tag}><{tag}>two</{tag}>").visible.split() == ["one", "two"]
