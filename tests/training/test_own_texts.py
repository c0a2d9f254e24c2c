"""The draw of a text that was written for this project."""

from collections import Counter
from math import sqrt
from random import Random

import pytest

from training.synthetic.modern.own_texts import LANGUAGES, draw_own, own_texts


def search_own(rng, label, without):
    """Draw a text as `draw_own` does, by a search through all texts."""
    lang = LANGUAGES.draw(rng)
    searched = {kind: [text for text in found if text.lang == lang] for kind, found in own_texts(label).items()}
    kinds = sorted(kind for kind, found in searched.items() if found and found[0].source not in without)
    if not kinds:
        return search_own(rng, label, without)
    (kind,) = rng.choices(kinds, [sqrt(len(searched[kind])) for kind in kinds])
    return rng.choice(searched[kind])


@pytest.mark.parametrize("label", ["ham", "spam"])
@pytest.mark.parametrize("kept", ["all", "most", "one"])
def test_texts_are_drawn_as_by_a_search(label, kept):
    """A seed draws the same text, and leaves the generator in the same state, as a search through all texts."""
    counts = Counter(text.source for found in own_texts(label).values() for text in found)
    sources = [source for source, _ in counts.most_common()]
    without = {"all": (), "most": sources[:5], "one": sources[1:]}[kept]
    for number in range(150):
        drawn, searched = Random(number), Random(number)
        assert draw_own(drawn, label, without=without) == search_own(searched, label, without)
        assert drawn.getstate() == searched.getstate()
