"""A damaged label store: with any value in any cell, each query is answered or refused with one sentence."""

import contextlib
import itertools
import math
import sqlite3
import zlib

import numpy as np
import pytest
from damage import VALUES, cells, plant

from spamlstm.config.locations import LABELS
from spamlstm.errors import DataError, UserError
from spamlstm.features.sender_identity import KEY_BYTES
from spamlstm.learning.label import Label, LabelRequest, Origin, SavedLayer
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Trainer
from spamlstm.maildir.content_id import content_id
from spamlstm.model.personal_features import PACKED_SKETCH, READ_BYTES, packed_tokens, runs
from spamlstm.model.personal_layer import PersonalLayer

MAILS = [f"From: a@x.org\nSubject: about {number}\n\nSome words on {number}.\n".encode() for number in range(6)]
# A state has 14 MB: it is there only where it is damaged.
COLUMNS = {
    "labels": (
        *("id", "content", "label", "time", "prior", "model", "subject", "mail", "origin", "source", "tokens"),
        *("sender", "answered"),
    ),
    "written": ("name", "source", "origin", "time"),
    "epoch": ("number", "written"),
    "learned": ("last", "shape", "state", "checksum"),
}
CASES = [(table, column) for table, columns in COLUMNS.items() for column in columns]


def mail(number, origin=Origin.COMMAND):
    tokens = bytes(PACKED_SKETCH) + b"\1\0\2\0"
    return LabelRequest(content_id(MAILS[number]), MAILS[number], "about it", 0.5, "m", origin, "/mail/ann", tokens)


def fill(state, *, keep):
    """Write five labels, of each origin."""
    with contextlib.closing(LabelStore.open(state)) as labels:
        for number, origin in enumerate((*Origin, Origin.COMMAND)):
            labels.add(mail(number, origin), Label.SPAM if number % 2 else Label.HAM)
        names = {b"a" * KEY_BYTES: 5.0, b"b" * KEY_BYTES: 6.0}
        labels.written_names.add(names, source="/mail/ann", origin=Origin.ADOPTED)
        if keep:
            trainer = Trainer(labels)
            trainer.catch_up()
            trainer.save_layer(always=True)
    return state / LABELS


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store without a saved layer."""
    return fill(tmp_path_factory.mktemp("store"), keep=False)


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A store with a saved layer."""
    return fill(tmp_path_factory.mktemp("learned"), keep=True)


def catch_up(labels):
    trainer = Trainer(labels)
    trainer.catch_up()
    assert all(math.isfinite(trainer.layer.score(runs(raw), 0.5)) for raw in MAILS)


QUESTIONS = {
    "catch up": catch_up,
    "save": lambda labels: labels.saved_layers.save(SavedLayer(9, b"state"), epoch=labels.epoch, most=1),
    "relearn": lambda labels: list(Trainer(labels).relearn()),
    "say": lambda labels: labels.add(mail(5), Label.SPAM),
    "say the other": lambda labels: labels.add(mail(0), Label.SPAM),
    "label": lambda labels: labels.label(content_id(MAILS[0])),
    "labels": lambda labels: list(labels.last()),
    "with_mail": lambda labels: list(labels.with_mail()),
    "counts": lambda labels: (labels.counts(), labels.labelled_by_user(), labels.adopted(), labels.priors_from("m")),
    "interleave": lambda labels: labels.interleave_bulk(),
    "prune": lambda labels: labels.prune(),
    "rescore": lambda labels: labels.rescore({1: (0.5, b"")}, model="n"),
    "forget": lambda labels: labels.forget(content_id(MAILS[1])),
    "forget adopted": lambda labels: labels.forget_adopted("/mail/ann"),
    "add written": lambda labels: labels.written_names.add({b"c" * KEY_BYTES: 7.0}, source="/", origin=Origin.MOVED),
    "purge": lambda labels: labels.purge(),
}


@pytest.mark.parametrize(("table", "column"), CASES)
@pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
def test_any_cell(store, learned, tmp_path, table, column):
    """With any value in one cell, each query is answered, with finite scores, or refused by a UserError."""
    for value, state in cells(learned if table == "learned" else store, table, column, copies=tmp_path):
        with contextlib.closing(LabelStore.open(state)) as labels:
            labels._connection.execute("PRAGMA synchronous = OFF")
            for name, ask in QUESTIONS.items():
                try:
                    ask(labels)
                except UserError as error:
                    if LABELS not in str(error):
                        raise
                except Exception as error:
                    raise AssertionError(f"{table}.{column} = {value}: {name}") from error


def test_all_columns_are_tried(learned):
    """The test above covers every column."""
    with contextlib.closing(sqlite3.connect(learned)) as database:
        for table, columns in COLUMNS.items():
            found = database.execute("SELECT name FROM pragma_table_info(?)", (table,))
            assert [name for (name,) in found] == list(columns)
    assert len(VALUES) == len(set(VALUES))


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("label", "'maybe'", "label: 'maybe'"),
        ("origin", "'z'", "origin: 'z'"),
        ("prior", "'x'", "prior: 'x'"),
        ("tokens", "x'01'", "tokens: 1 bytes"),
        ("tokens", "x'0102'", "tokens: 2 bytes"),
        ("sender", "'x'", "sender: 'x'"),
        ("answered", "2", "answered: 2"),
        ("mail", "x'ff'", "mail"),
        ("mail", "x''", "mail"),
        ("mail", "substr(mail, 1, 30)", "it is cut"),
        ("time", "9e999", None),
        ("label", "CAST(x'ff' AS TEXT)", "UTF-8"),
    ],
)
def test_what_is_damaged_is_named(store, tmp_path, column, value, words):
    """The sentence names file and column and says what to do; damage that learning does not read is ignored."""
    copy = tmp_path / LABELS
    copy.write_bytes(store.read_bytes())
    plant(copy, "labels", column, value)
    with contextlib.closing(LabelStore.open(tmp_path)) as labels:
        if words is None:
            Trainer(labels).catch_up()
            return
        with pytest.raises(DataError, match=words) as caught:
            Trainer(labels).catch_up()
    assert str(copy) in str(caught.value)
    assert "move it away to begin anew" in str(caught.value)


def test_a_mail_that_unpacks_to_much_is_read_no_further_than_asked(store, tmp_path):
    """A cell of 60 KB that unpacks to 60 MB takes no more memory than any mail."""
    copy = tmp_path / LABELS
    copy.write_bytes(store.read_bytes())
    with contextlib.closing(sqlite3.connect(copy)) as database:
        database.execute("UPDATE labels SET mail = ?", (zlib.compress(bytes(60 << 20)),))
        database.commit()
    with contextlib.closing(LabelStore.open(tmp_path)) as labels:
        assert {len(raw) for _, raw in labels.with_mail()} == {64 << 10}
        assert {len(example.raw) for example in labels.examples(after=0, most_bytes=READ_BYTES)} == {READ_BYTES}


# --- learned states -------------------------------------------------------------------------------------------------


def damaged(state, kind):
    """Return a saved state with damage of this kind."""
    match kind:
        case "empty":
            return b""
        case "cut":
            return state[:-1000]
        case "long":
            return state + b"x"
        case "bit":
            return state[:5000] + bytes([state[5000] ^ 1]) + state[5001:]
        case "page":
            return state[: 4096 * 9] + b"\x11" * 4096 + state[4096 * 10 :]
        case "swapped":
            return state[8192:16384] + state[:8192] + state[16384:]
    raise AssertionError(kind)


@pytest.mark.parametrize("kind", ["empty", "cut", "long", "bit", "page", "swapped"])
def test_a_damaged_state_is_learned_again(tmp_path, kind):
    """A damaged saved layer is dropped, reported once, and learned again from the labels."""
    expected = PersonalLayer()
    with contextlib.closing(LabelStore.open(fill(tmp_path, keep=True).parent)) as labels:
        good = labels.saved_layers.latest()
        bad = damaged(good.state, kind)
        assert bad != good.state
        labels._connection.execute("UPDATE learned SET state = ?", (bad,))
        notes = []
        for _ in range(2):
            trainer = Trainer(labels, tell=notes.append)
            trainer.catch_up()
            assert trainer.layer.dump() == good.state != expected.dump()
        assert len(notes) == 1
        assert "learned again" in notes[0]
        assert labels.saved_layers.latest() is None


@pytest.mark.parametrize(("column", "value"), [("last", 3), ("checksum", 0)])
def test_a_state_of_other_rows_is_not_used(tmp_path, column, value):
    """The checksum covers the last row of a state, so that no label is left out or learned twice."""
    with contextlib.closing(LabelStore.open(fill(tmp_path, keep=True).parent)) as labels:
        good = labels.saved_layers.latest()
        labels._connection.execute(f"UPDATE learned SET {column} = ?", (value,))  # noqa: S608  ours
        trainer = Trainer(labels)
        trainer.catch_up()
        assert trainer.layer.dump() == good.state


def broken_layers():
    """Yield states of the right length that no layer dumps."""
    good = PersonalLayer()
    for number in range(3):
        layer = PersonalLayer()
        layer._parts()[number][77] = np.nan
        yield layer.dump()
        layer._parts()[number][77] = np.inf
        yield layer.dump()
    layer = PersonalLayer()
    layer._weights.squared_gradients[5] = -1
    yield layer.dump()
    layer = PersonalLayer()
    layer._recent.sketches[0, 0] = 1 << 31
    yield layer.dump()
    layer = PersonalLayer()
    layer._recent.signs[0] = -128
    yield layer.dump()
    layer = PersonalLayer()
    layer._recent.count = -1
    yield layer.dump()
    layer = PersonalLayer()
    layer._base_errors = [-1.0, 0.0, 0.0, 0.0]
    yield layer.dump()
    layer = PersonalLayer()
    layer._balance.counts[0, 0, 0] = np.nan
    yield layer.dump()
    layer = PersonalLayer()
    layer._likeness._latest.append(0.5)
    yield layer.dump()
    layer = PersonalLayer()
    layer.ham_scores.add(math.inf)
    yield layer.dump()
    yield good.dump() + b"123456789"[:8]


def test_a_state_with_a_right_checksum_and_wrong_numbers(tmp_path):
    """Values with which scores would fail or be NaN are refused; the layer stays as it was and is learned again."""
    fill(tmp_path, keep=False)
    with contextlib.closing(LabelStore.open(tmp_path)) as labels:
        trainer = Trainer(labels)
        trainer.catch_up()
        good = trainer.layer.dump()
        for number, state in zip(itertools.count(), broken_layers(), strict=False):
            with pytest.raises(ValueError):
                trainer.layer.load(state)
            assert trainer.layer.dump() == good, number
        labels.saved_layers.save(SavedLayer(5, state), epoch=labels.epoch, most=1)
        again = Trainer(labels)
        again.catch_up()
        assert again.layer.dump() == good


def test_some_labels_alone_are_never_used(tmp_path):
    """After a label is removed while another row is damaged, the base alone decides until the row is mended."""
    fill(tmp_path, keep=False)
    with contextlib.closing(LabelStore.open(tmp_path)) as labels:
        trainer = Trainer(labels)
        trainer.catch_up()
        labels.add(mail(5), Label.SPAM)
        labels._connection.execute("UPDATE labels SET label = 'maybe' WHERE id = 4")
        trainer.catch_up()
        assert trainer.layer.labels == 6  # row 4 was learned when it was right
        labels.forget(content_id(MAILS[0]))
        for _ in range(2):
            with pytest.raises(DataError):
                trainer.catch_up()
            assert trainer.layer.labels == 0
        labels._connection.execute("UPDATE labels SET label = 'spam' WHERE id = 4")
        trainer.catch_up()
        assert trainer.layer.labels == 5


def test_tokens_fit_their_bound():
    """A message with all possible tokens is within the bound."""
    every = np.arange(1 << 20, (1 << 20) + (1 << 16), dtype=np.uint32)
    assert len(packed_tokens(every)) == 130 + (2 << 16)
