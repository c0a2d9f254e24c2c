"""Every fact that the model reads has a sentence for `classify --explain`."""

from spamlstm.features.alignment import ALIGNMENT
from spamlstm.features.style import STYLE
from spamlstm.model.explain import CauseKind, _candidates, _removed
from spamlstm.model.fact_sentences import _SENTENCES, fact_sentence

VALUES = {**ALIGNMENT, **STYLE}


def test_every_fact_has_a_sentence():
    """The table holds exactly the codes of spamlstm.features, and no two facts share a sentence."""
    assert {name: set(values) for name, values in VALUES.items()} == {
        name: set(sentences) for name, sentences in _SENTENCES.items()
    }
    sentences = [fact_sentence(f"{name}:{value}") for name, values in VALUES.items() for value in values]
    assert len(set(sentences)) == len(sentences)
    assert not [sentence for sentence in sentences if ":" in sentence or "⟦" in sentence]


def test_an_example():
    """The sentence names both things that the fact relates."""
    assert fact_sentence("reply:other") == "the reply address belongs to a different organisation than the From address"


def test_the_fingerprint_of_the_headers_is_no_word():
    """The trace section is one fact; a word that also occurs there is removed only elsewhere."""
    window = "⟦reply:other⟧⟦from⟧ ann ⟦trace⟧ fdstm mutt 9.9 ⟦hosts⟧ ⟦body⟧ mutt barks"
    candidates = _candidates([window])
    words = [text for kind, text in candidates if kind is CauseKind.WORD]
    assert words == ["ann", "mutt", "barks"]
    assert [text for kind, text in candidates if kind is CauseKind.FACT] == ["reply:other", ""]
    assert "fdstm mutt 9.9" in _removed(window, (CauseKind.WORD, "mutt"))
    assert "fdstm" not in _removed(window, (CauseKind.FACT, ""))
