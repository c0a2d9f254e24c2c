"""The vocabulary: cached ids are those of the tokenizers library, and long windows keep both ends."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from spamlstm.model.bundle import TOKENIZER
from spamlstm.model.vocabulary import MOST_WORDS, PIECE, Vocabulary


@pytest.fixture(scope="module")
def vocabulary(tiny):
    return Vocabulary.load(tiny / TOKENIZER)


@given(text=st.text(max_size=200), most_words=st.sampled_from([1, 3, MOST_WORDS]))
@example(text="a a\x00 a\x7fb é ééé a-- \x01\x01", most_words=2)
def test_the_cache_changes_nothing(tiny, text, most_words):
    """A word has the same ids the first and the second time, which are those of the library."""
    library = Tokenizer.from_file(str(tiny / TOKENIZER))
    vocabulary = Vocabulary(library, most_words=most_words)
    expected = [i for piece in PIECE.findall(text) for i in library.encode(piece, add_special_tokens=False).ids]
    assert list(vocabulary.ids(text)) == expected
    assert list(vocabulary.ids(text)) == expected


def test_a_long_body_keeps_both_ends(vocabulary):
    """A body that is too long loses its middle, because the end of a window may be the end of the message."""
    body = vocabulary.ids("cheap " * 500 + "pills")
    header, kept = vocabulary.split_ids("⟦subject⟧ hello ⟦body⟧" + "cheap " * 500 + "pills", header=50, body=64)
    assert kept == body[:32] + body[-32:]
    assert header[-1] == vocabulary.ids("⟦body⟧")[0]


def test_a_long_header_still_ends_with_its_mark(vocabulary):
    """A cut header still ends with the mark where the body begins."""
    header, _ = vocabulary.split_ids("⟦subject⟧ " + "meeting " * 500 + "⟦body⟧ more", header=40, body=64)
    assert len(header) == 40
    assert header[-1] == vocabulary.ids("⟦body⟧")[0]
