"""The base scores in the label store are those of the model in use."""

import contextlib
import sqlite3

import pytest
from tiny_bundle import make
from unlike_letters import add_labels, letter

from spamlstm.config.locations import LABELS
from spamlstm.learning.label import Label
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Trainer, rescore_labels
from spamlstm.model.classifier import Classifier
from spamlstm.model.limits import Limits
from spamlstm.model.personal_layer import PersonalLayer


@pytest.fixture
def other(tmp_path):
    """A base model that is more certain."""
    return Classifier.open(make(tmp_path / "other", weight=2, version="2"), personal_features=True)


def test_another_base_scores_all_labels_anew(labelled, other):
    """The layer is then the same as if all labels had been given with that base."""
    with contextlib.closing(LabelStore.open(labelled)) as labels:
        trainer = Trainer(labels)
        trainer.catch_up()
        trainer.save_layer(always=True)
        assert rescore_labels(labels, other) == 80
        assert {stored.model for stored in labels.last()} == {"tiny-2"}
        trainer.catch_up()
        with contextlib.closing(LabelStore.open(labelled / "anew")) as fresh:
            expected = Trainer(fresh)
            add_labels(expected, other)
            assert trainer.layer.dump() == expected.layer.dump()


def test_another_base_finds_the_threshold_anew(tmp_path, unsure, other):
    """The threshold for the user's mail is not lost with a new model: it follows from the labels with its scores."""
    limits = Limits(-1.4, 3.9, 0.001)
    found = []
    for state, base in (("by the new model", other), ("later", Classifier.open(unsure, personal_features=True))):
        with contextlib.closing(LabelStore.open(tmp_path / state)) as labels:
            trainer = Trainer(labels)
            for kind in Label:
                mails = [letter(number, spam=kind is Label.SPAM) for number in range(100)]
                list(
                    trainer.add_labels(base.assess_many(zip(mails, mails, strict=True)), kind, model=base.bundle.label)
                )
            rescore_labels(labels, other)
            trainer.catch_up()
            found.append((trainer.layer.ham_scores.dump(), trainer.layer.ham_scores.threshold(limits)))
    assert found[0] == found[1]
    assert found[0][0]


def test_what_the_base_read_is_learned_too(labelled, unsure):
    """The layer learns from the store exactly what it would learn from the messages."""
    base, straight = Classifier.open(unsure, personal_features=True), PersonalLayer()
    with contextlib.closing(LabelStore.open(labelled)) as labels:
        trainer = Trainer(labels)
        trainer.catch_up()
    for number in range(80):
        stored = base.assess(letter(number, spam=number % 2 == 1))
        straight.learn(stored.personal_features, prior=stored.prior, spam=number % 2 == 1)
    assert trainer.layer.dump() == straight.dump()
    assert len(stored.tokens) > 100


def test_a_store_of_version_2_learns_what_the_base_read(labelled, unsure):
    """Labels without tokens get them at the first use with a base."""
    with contextlib.closing(sqlite3.connect(labelled / LABELS)) as old:
        wanted = old.execute("SELECT tokens FROM labels ORDER BY id").fetchall()
        for column in ("tokens", "sender", "answered"):
            old.execute(f"ALTER TABLE labels DROP COLUMN {column}")
        old.execute("DROP TABLE written")
        old.execute("ALTER TABLE epoch DROP COLUMN written")
        old.execute("CREATE TABLE bars (model, ham, spam, time)")
        old.execute("PRAGMA user_version = 2")
    with contextlib.closing(LabelStore.open(labelled)) as labels:
        assert rescore_labels(labels, Classifier.open(unsure, personal_features=True)) == 80
        assert [(example.tokens,) for example in labels.examples(after=0, most_bytes=0)] == wanted


def test_the_same_base_changes_nothing(labelled, unsure):
    """With the same base, nothing is scored again."""
    with contextlib.closing(LabelStore.open(labelled)) as labels:
        epoch = labels.epoch
        assert rescore_labels(labels, Classifier.open(unsure)) == 0
        assert labels.epoch == epoch


def test_all_or_none(labelled, other):
    """An error in the middle leaves every score as it was."""
    with contextlib.closing(LabelStore.open(labelled)) as labels:
        before = [(stored.prior, stored.model) for stored in labels.last()]
        with pytest.raises(sqlite3.Error):
            labels.rescore({1: (1.0, b""), 2: (object(), b"")}, model="tiny-2")
        assert [(stored.prior, stored.model) for stored in labels.last()] == before
