"""Groups of texts: copies of a campaign share a group, letters that only share a language do not."""

import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from invented_texts import invented_text, with_changes

from spamlstm.model.text_groups import groups, text_to_compare


def test_copies_with_a_few_words_changed_mostly_share_a_group():
    """Of a hundred copies with three of 120 words changed, nine in ten join the group of the first."""
    rng = random.Random(7)
    first = invented_text(rng)
    found = groups([first, *(with_changes(first, rng, 3) for _ in range(100))])

    assert np.mean(found == 0) > 0.9


def test_a_short_body_is_compared_together_with_its_sender():
    """Two messages that say little differ by their senders; of two long ones, only the bodies are compared."""
    short = [f"⟦to⟧ me ⟦from⟧ {name} ⟦subject⟧ hello ⟦body⟧ see you" for name in ("anna", "boris")]

    assert [text_to_compare(window) for window in short] == [
        f"⟦from⟧ {name} ⟦subject⟧ hello   see you" for name in ("anna", "boris")
    ]
    assert text_to_compare(f"⟦from⟧ anna ⟦body⟧{'long ' * 12}") == "long " * 12


def test_texts_that_share_words_but_no_sentences_stay_apart():
    """Three hundred texts over fifty words are three hundred groups."""
    rng = random.Random(8)

    assert len(set(groups(invented_text(rng) for _ in range(300)).tolist())) == 300


@settings(max_examples=40)
@given(st.lists(st.text(alphabet="ab ", max_size=30), max_size=12))
def test_groups_are_named_by_their_first_text(texts):
    """Equal texts share a group, and a group is the index of its first text, for any texts."""
    found = groups(texts)

    assert len(found) == len(texts)
    assert all(found[name] == name <= index for index, name in enumerate(found))
    assert all(found[texts.index(text)] == found[index] for index, text in enumerate(texts))
