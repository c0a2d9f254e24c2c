"""Export and import of labels: every score returns to the last bit, and the preferred label wins."""

import contextlib
import gzip
import json
import random
import sqlite3

import pytest
from exported_labels import exported, imported, label, opened, rows
from hypothesis import given, settings
from hypothesis import strategies as st
from unlike_letters import letter

from spamlstm.config.locations import LABELS
from spamlstm.errors import DataError
from spamlstm.learning import label_merge
from spamlstm.learning.label import Label, Origin
from spamlstm.learning.label_merge import ImportCounts
from spamlstm.learning.label_rows import LAYOUT
from spamlstm.learning.trainer import Trainer, label_request, learned_layer
from spamlstm.model.classifier import Classifier


@pytest.fixture
def filled(tmp_path):
    """A store with labels of each origin, some of them changed or forgotten."""
    choice = random.Random(1)
    with opened(tmp_path / "filled") as labels:
        for number in range(120):
            label(labels, number, choice.choice(list(Label)), origin=choice.choice(list(Origin)))
        for number in range(0, 120, 7):
            labels.forget(label_request(letter(number, spam=False), None, "m", Origin.COMMAND).content)
        labels.interleave_bulk()
        for number in range(30):
            labels.written_names.add({bytes([number]) * 8: 100.0 - number}, source="/mail/ann", origin=Origin.ADOPTED)
    return tmp_path / "filled"


def test_scores_return_to_the_last_bit(tmp_path, tiny):
    """Export, purge, import: each of 500 messages has the score that it had, to the last bit."""
    classifier = Classifier.open(tiny, personal_features=True)
    mails = [letter(number, spam=number % 2 == 0) for number in range(500)]
    with opened(tmp_path / "state") as labels:
        trainer = Trainer(labels)
        for kind, some in ((Label.SPAM, mails[:100:2]), (Label.HAM, mails[1:100:2]), (Label.HAM, mails[100:104])):
            assessed = classifier.assess_many(((raw, raw) for raw in some), readers=0)
            list(trainer.add_labels(assessed, kind, model=classifier.bundle.label))
        for raw in mails[10:20]:
            labels.forget(label_request(raw, None, "m", Origin.COMMAND).content)

    def scores():
        layer = learned_layer(tmp_path / "state")
        return [classifier.classify(raw, layer=layer).score for raw in mails]

    before, raw = scores(), exported(tmp_path / "state")
    with opened(tmp_path / "state") as labels:
        assert labels.purge() == 94
    assert imported(tmp_path / "state", raw) == ImportCounts(new=94)
    assert scores() == before


def test_every_column_returns(filled, tmp_path):
    """An import into an empty store restores every cell of every row, in order. A second import changes nothing."""
    raw = exported(filled)
    assert imported(tmp_path / "other", raw).new == len(rows(filled)["labels"])
    assert rows(tmp_path / "other") == rows(filled)
    with opened(tmp_path / "other") as labels:
        epoch = labels.epoch
    again = imported(tmp_path / "other", raw)
    assert (again.new, again.changed) == (0, 0)
    with opened(tmp_path / "other") as labels:
        assert labels.epoch == epoch
    assert exported(filled) == raw


def test_each_table_is_exported_or_computed(filled):
    """A table or a column that is added to the store is exported too, unless the list of computed tables has it."""
    with contextlib.closing(sqlite3.connect(filled / LABELS)) as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        header = json.loads(gzip.decompress(exported(filled)).splitlines()[0])
        for name, columns in header["tables"].items():
            assert columns == [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
    assert set(header["tables"]) == names - {"learned", "epoch", "sqlite_sequence"}
    assert header["layout"] == LAYOUT.version


@pytest.mark.parametrize(
    ("ours", "theirs", "wins"),
    [
        ((Origin.COMMAND, 1), (Origin.COMMAND, 2), "theirs"),
        ((Origin.COMMAND, 2), (Origin.COMMAND, 1), "ours"),
        ((Origin.COMMAND, 1), (Origin.COMMAND, 1), "ours"),
        ((Origin.ADOPTED, 2), (Origin.MOVED, 1), "theirs"),
        ((Origin.MOVED, 1), (Origin.ADOPTED, 2), "ours"),
    ],
)
def test_which_label_wins(tmp_path, ours, theirs, wins):
    """A label of the user is preferred to an adopted label, then the later label, then that of the store."""
    for name, (origin, time), kind in (("ours", ours, Label.HAM), ("theirs", theirs, Label.SPAM)):
        with opened(tmp_path / name, time=time) as labels:
            label(labels, 1, kind, origin=origin)
    with contextlib.closing(sqlite3.connect(tmp_path / "theirs" / LABELS)) as connection, connection:
        (content,) = sqlite3.connect(tmp_path / "ours" / LABELS).execute("SELECT content FROM labels").fetchone()
        connection.execute("UPDATE labels SET content = ?", (content,))
    counts = imported(tmp_path / "ours", exported(tmp_path / "theirs"))
    assert counts == (ImportCounts(changed=1) if wins == "theirs" else ImportCounts(known=1))
    with opened(tmp_path / "ours") as labels:
        assert labels.counts()[Label.SPAM if wins == "theirs" else Label.HAM] == 1


@settings(max_examples=30, deadline=None)
@given(
    given_labels=st.lists(
        st.tuples(st.sampled_from(Label), st.sampled_from([Origin.COMMAND, Origin.ADOPTED])), min_size=2, max_size=5
    ),
    choice=st.randoms(use_true_random=False),
)
def test_the_order_of_imports(tmp_path_factory, given_labels, choice):
    """Several exports give one message the same label with the same time, in whatever order they are imported."""
    folder = tmp_path_factory.mktemp("exports")
    exports = []
    for time, (kind, origin) in enumerate(given_labels, start=1):
        request = label_request(letter(1, spam=True), 0.5, "m", origin)
        with opened(folder / str(time), time=time) as labels:
            labels.add_pairs([(request, kind)])
            labels.written_names.add({bytes(8): 1.0 * time}, source="", origin=Origin.MOVED)
        exports.append(exported(folder / str(time)))
    shuffled = choice.sample(exports, len(exports))
    for name, order in (("in order", exports), ("in another order", shuffled)):
        for raw in order:
            imported(folder / name, raw)
    by_user = [(origin is Origin.COMMAND, time, kind) for time, (kind, origin) in enumerate(given_labels, start=1)]
    for name in ("in order", "in another order"):
        with opened(folder / name) as labels:
            (stored,) = labels.last()
            assert (stored.origin is Origin.COMMAND, stored.time, stored.label) == max(by_user)
            assert labels.written_names.latest_time("") == len(given_labels)


def test_imported_labels_come_first(tmp_path):
    """Labels that were given since the backup are learned last, as if the backup had never been lost."""
    for name, numbers in (("all", range(20)), ("old", range(12)), ("new", range(12, 20))):
        with opened(tmp_path / name) as labels:
            for number in numbers:
                label(labels, number, Label.SPAM)
    assert imported(tmp_path / "new", exported(tmp_path / "old")) == ImportCounts(new=12)
    assert rows(tmp_path / "new") == rows(tmp_path / "all")
    assert learned_layer(tmp_path / "new").dump() == learned_layer(tmp_path / "all").dump()


def test_other_processes_learn_the_imported_labels(tmp_path):
    """A process that has the store open learns the imported rows at its next look."""
    with opened(tmp_path / "old") as labels:
        for number in range(30):
            label(labels, number, Label.SPAM)
    with opened(tmp_path / "state") as labels:
        label(labels, 99, Label.HAM)
        trainer = Trainer(labels)
        trainer.catch_up()
        imported(tmp_path / "state", exported(tmp_path / "old"))
        trainer.catch_up()
        assert trainer.layer.dump() == learned_layer(tmp_path / "state").dump()


def test_correspondents_of_both_are_kept(tmp_path):
    """Correspondents of the store and of the file are kept, whatever their row numbers."""
    for name, numbers in (("ours", range(5)), ("theirs", range(3, 9))):
        with opened(tmp_path / name) as labels:
            for number in numbers:
                labels.written_names.add({bytes([number]) * 8: 1.0}, source="", origin=Origin.MOVED)
    imported(tmp_path / "ours", exported(tmp_path / "theirs"))
    with opened(tmp_path / "ours") as labels:
        assert labels.written_names.all() == {bytes([number]) * 8 for number in range(9)}


def test_a_damaged_store_is_not_exported(filled):
    """A damaged store is reported when it is exported, and not when its backup is needed."""
    with contextlib.closing(sqlite3.connect(filled / LABELS)) as connection, connection:
        connection.execute("UPDATE labels SET mail = x'00' WHERE id = (SELECT max(id) FROM labels)")
    with pytest.raises(DataError, match="is damaged"):
        exported(filled)


def test_an_interrupted_import_changes_nothing(filled, tmp_path, monkeypatch):
    """Ctrl-C at any point of an import leaves the store as it was."""
    raw = exported(filled)
    with opened(tmp_path / "state") as labels:
        label(labels, 50, Label.HAM)
    before = rows(tmp_path / "state")
    insert = label_merge._insert

    def interrupted(*arguments, **options):
        insert(*arguments, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(label_merge, "_insert", interrupted)
    with pytest.raises(KeyboardInterrupt):
        imported(tmp_path / "state", raw)
    assert rows(tmp_path / "state") == before
