"""Numbers in sentences for users."""

import pytest

from spamlstm.wording import counted, is_or_are


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 labels are"), (1, "1 label is"), (2, "2 labels are"), (2000, "2,000 labels are")]
)
def test_a_number_and_its_noun(number, words):
    """One thing is singular, everything else plural."""
    assert f"{counted(number, 'label')} {is_or_are(number)}" == words
