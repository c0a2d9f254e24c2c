"""Tables of errors by kind and language: only the sources that were asked for, and right shares."""

import sys
from pathlib import Path
from random import Random

import modern_texts
import pytest

from spamlstm.errors import UserError
from spamlstm.verdict import Verdict
from training.synthetic.modern import Dresser, load_material

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import breakdown
from breakdown import Judged


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return modern_texts.write(tmp_path_factory.mktemp("texts"))


def test_only_the_named_sources_are_dressed(texts):
    """With sources, only their texts are dressed, in both classes; an unknown source is an error that names it."""
    make = breakdown.maker(Dresser(load_material(texts)), ["app:Shop-One", "own:parcel"])
    made = [make(Random(number), label) for number in range(20) for label in ("ham", "spam")]

    assert {one.source for one in made} == {"app:Shop-One", "own:parcel"}
    assert {one.label for one in made} == {"ham", "spam"}
    with pytest.raises(UserError, match="app:Nothing"):
        breakdown.maker(Dresser(load_material(texts)), ["app:Nothing"])


def test_a_message_is_counted_by_kind_and_language(texts):
    """A dressed message belongs to the groups of its kind, its language and its route."""
    (item,) = breakdown.dressed(texts, ["app:Shop-One"], 1)

    assert not item.spam
    assert {name.partition(" ")[0] for name in item.groups} == {"all", "kind", "language", "disguised", "route"}


def test_a_row_has_the_shares_of_wrong_verdicts():
    """The columns are numbers of ham and spam, shares of verdicts in percent, and (1-ROCA)%."""
    of = [
        Judged(spam=False, verdict=Verdict.HAM, score=-3.0),
        Judged(spam=False, verdict=Verdict.SPAM, score=2.0),
        Judged(spam=True, verdict=Verdict.SPAM, score=3.0),
        Judged(spam=True, verdict=Verdict.UNSURE, score=1.0),
    ]

    assert breakdown.row("kind x", of).split() == ["kind", "x", "2", "2", "50.0", "0.0", "0.0", "50.0", "25.00"]
    assert breakdown.row("kind y", of[:2]).split()[-3:] == ["–", "–", "–"]
