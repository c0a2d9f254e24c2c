"""Export and import of labels: every score returns to the last bit, and a file from anybody harms nothing."""

import base64
import contextlib
import dataclasses
import gzip
import hashlib
import io
import json
import random
import sqlite3
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unlike_letters import letter

from spamlstm.config.locations import LABELS
from spamlstm.errors import DataError
from spamlstm.learning import label_export, label_merge, label_store
from spamlstm.learning.label import Label, Origin
from spamlstm.learning.label_export import export_labels, exported_tables, staged_labels
from spamlstm.learning.label_merge import ImportCounts, merge_labels
from spamlstm.learning.label_rows import LAYOUT
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Trainer, label_request, learned_layer
from spamlstm.model.classifier import Classifier
from spamlstm.model.personal_features import PACKED_SKETCH

CLOCK = 1_700_000_000.0


@contextlib.contextmanager
def opened(state, *, time=CLOCK):
    with contextlib.closing(LabelStore.open(state, clock=lambda: time)) as labels:
        yield labels


def label(labels, number, kind, *, origin=Origin.COMMAND, tokens=bytes(PACKED_SKETCH) + b"\1\0\2\0"):
    request = label_request(letter(number, spam=kind is Label.SPAM), 0.1 * number, "m", origin, tokens=tokens)
    return labels.add_pairs([(request, kind)])[0]


def exported(state) -> bytes:
    with opened(state) as labels:
        out = io.BytesIO()
        export_labels(labels, out)
    return out.getvalue()


def imported(state, raw) -> ImportCounts:
    with staged_labels(io.BytesIO(raw), name="backup") as staged, opened(state) as labels:
        return merge_labels(labels, staged)


def rows(state):
    """All rows of all exported tables, in their order; ids are left out, because only their order counts."""
    with contextlib.closing(sqlite3.connect(state / LABELS)) as connection:
        tables = exported_tables(connection)
        return {
            name: [
                row[1:] if columns[0] == "id" else row
                for row in connection.execute(f"SELECT {', '.join(columns)} FROM {name} ORDER BY 1")  # noqa: S608
            ]
            for name, columns in tables.items()
        }


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


def lines_of(raw):
    return [json.loads(line) for line in gzip.decompress(raw).splitlines()]


def packed(values) -> bytes:
    """An export with these lines and a correct checksum."""
    lines = [json.dumps(value).encode() + b"\n" for value in values[:-1]]
    end = json.dumps({"sha256": hashlib.sha256(b"".join(lines)).hexdigest()}).encode() + b"\n"
    return gzip.compress(b"".join(lines) + end)


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> bytes:
    """A small export."""
    folder = tmp_path_factory.mktemp("sound")
    with opened(folder) as labels:
        for number in range(6):
            label(labels, number, list(Label)[number % 2], origin=list(Origin)[number % 4])
    return exported(folder)


def refused(raw, tmp_path_factory, *words):
    """The file is refused in one sentence, and a store with a label is unchanged."""
    state = tmp_path_factory.mktemp("state")
    with opened(state) as labels:
        label(labels, 50, Label.HAM)
    before = rows(state)
    with pytest.raises(DataError, match="nothing was imported") as failure:
        imported(state, raw)
    assert rows(state) == before
    assert all(word in str(failure.value) for word in words)
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("prior", [1e308, -1e308, 10_001])
def test_a_score_that_no_model_gives(sound, tmp_path_factory, prior):
    """A score before labels that would outweigh all that is learned is refused."""
    lines = lines_of(sound)
    columns = lines[0]["tables"]["labels"]
    lines[1 + [one[0] for one in lines[1:-1]].index("labels")][1 + columns.index("prior")] = prior
    refused(packed(lines), tmp_path_factory, "prior")


@given(at=st.integers(0, 10_000), value=st.integers(1, 255))
@settings(max_examples=60)
def test_a_changed_byte_is_noticed(sound, tmp_path_factory, at, value):
    """A file with any byte changed is refused, or has the same contents."""
    raw = bytearray(sound)
    raw[at % len(raw)] ^= value
    try:
        is_same = gzip.decompress(bytes(raw)) == gzip.decompress(sound)
    except (OSError, EOFError, zlib.error):
        is_same = False
    if not is_same:
        refused(bytes(raw), tmp_path_factory)


@given(length=st.integers(0, 10_000))
@settings(max_examples=30)
def test_a_cut_file_is_refused(sound, tmp_path_factory, length):
    """A file that ends too early is refused."""
    refused(sound[: length % len(sound)], tmp_path_factory)


@given(
    line=st.integers(1, 7),
    cell=st.integers(0, 11),
    value=st.one_of(
        st.sampled_from(
            [None, True, "", "x" * 5000, -1, 0, 1 << 62, 1 << 70, 1e308, {}, [], {"base64": "!"}, "\ud800"]
        ),
        st.integers(-(1 << 64), 1 << 64),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=20),
        st.binary(max_size=40).map(lambda raw: {"base64": base64.b64encode(raw).decode()}),
    ),
)
@settings(max_examples=150)
def test_any_cell(sound, tmp_path_factory, line, cell, value):
    """Any value in any cell, with a correct checksum, is refused, or gives a store that can be read completely."""
    lines = lines_of(sound)
    lines[line][cell % len(lines[line])] = value
    state = tmp_path_factory.mktemp("state")
    with contextlib.suppress(DataError):
        imported(state, packed(lines))
    with opened(state) as labels:
        list(labels.last())
        list(labels.kept())
        labels.prune()
        labels.interleave_bulk()
        labels.forget_adopted("/mail/ann")
        Trainer(labels).catch_up()
    exported(state)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "else"}, ("not an export",)),
        ({"version": 2}, ("newer version",)),
        ({"layout": 99}, ("newer version",)),
        ({"layout": 4}, ("version is not valid",)),
        ({"layout": True}, ("version is not valid",)),
        ({"rows": {}}, ("tables",)),
        ({"tables": {"labels": ["id"]}, "rows": {"labels": 6}}, ("row",)),
        ({"tables": {"labels; DROP TABLE labels": ["id"]}, "rows": {"labels; DROP TABLE labels": 6}}, ("tables",)),
        ({"tables": {"sqlite_master": ["id"]}, "rows": {"sqlite_master": 6}}, ("tables",)),
        ({"tables": {"labels": ["select"]}, "rows": {"labels": 6}}, ()),
        ({"tables": {f"t{n}": ["id"] for n in range(99)}, "rows": {f"t{n}": 0 for n in range(99)}}, ("tables",)),
        ({"tables": []}, ("tables",)),
    ],
)
def test_any_header(sound, tmp_path_factory, changes, words):
    """A header that is not that of an export of this or an earlier version is refused."""
    first, *others = lines_of(sound)
    refused(packed([{**first, **changes}, *others]), tmp_path_factory, *words)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"From: ann@x.org\n\nNo export.\n",
        gzip.compress(b"[" * 100_000 + b"\n", mtime=0),
        gzip.compress(b"1" * 100_000 + b"\n", mtime=0),
        gzip.compress(b"no line end", mtime=0),
        gzip.compress(b"\n" * 10, mtime=0),
        gzip.compress(b"\0" * (2 << 20), mtime=0),
        gzip.compress(b"\xff\n", mtime=0),
    ],
)
def test_any_file(tmp_path_factory, raw):
    """Any other file is refused."""
    refused(raw, tmp_path_factory)


def test_more_than_the_bounds(sound, tmp_path_factory, monkeypatch):
    """The number of rows and the unpacked size are bounded, so a small file cannot fill the disk."""
    monkeypatch.setattr(label_export, "_MOST_ROWS", 5)
    refused(sound, tmp_path_factory, "more than 5 rows")
    monkeypatch.setattr(label_export, "_MOST_BYTES", 1 << 20)
    bomb = gzip.compress(lines_start(sound) + b'["written", "m"]\n' * (1 << 18))
    refused(bomb, tmp_path_factory)


def lines_start(raw) -> bytes:
    return gzip.decompress(raw).split(b"\n")[0] + b"\n"


def test_a_repeated_message_or_id_is_refused(sound, tmp_path_factory):
    """Two rows for one message, or with one id, are damage."""
    header, first, second, *others = lines_of(sound)
    for cell in (1, 2):
        changed = [*second[:cell], first[cell], *second[cell + 1 :]]
        refused(packed([header, first, changed, *others]), tmp_path_factory, "is damaged")


def test_a_file_of_an_earlier_layout(sound, tmp_path, monkeypatch):
    """A file of an earlier layout is upgraded like a store of that layout."""
    column = "kind TEXT NOT NULL DEFAULT 'x'"
    later = dataclasses.replace(
        LAYOUT,
        version=LAYOUT.version + 1,
        schema=LAYOUT.schema.replace("source BLOB NOT NULL DEFAULT", f"{column}, source BLOB NOT NULL DEFAULT"),
        upgrades={
            **LAYOUT.upgrades,
            LAYOUT.version: f"ALTER TABLE labels ADD COLUMN {column};UPDATE labels SET kind='y'",  # noqa: S608
        },
    )
    for module in (label_export, label_store):
        monkeypatch.setattr(module, "LAYOUT", later)
    assert imported(tmp_path / "state", sound).new == 6
    with contextlib.closing(sqlite3.connect(tmp_path / "state" / LABELS)) as connection:
        assert connection.execute("SELECT DISTINCT kind FROM labels").fetchall() == [("y",)]


def test_a_file_of_the_first_layout(sound, tmp_path):
    """A file of layout 5, from before known senders, is imported, and later columns get the values of an upgrade."""
    header, *lines = lines_of(sound)
    columns, missing = header["tables"]["labels"], {"sender", "answered"}
    assert set(columns[-len(missing) :]) == missing
    header["layout"] = 5
    header["tables"] = {"labels": columns[: -len(missing)], "thresholds": ["model", "ham", "spam", "time"]}
    header["rows"] = {"labels": header["rows"]["labels"], "thresholds": 0}
    labels = [one[: -len(missing)] for one in lines[:-1] if one[0] == "labels"]
    file = packed([header, *labels, lines[-1]])
    assert imported(tmp_path / "state", file) == ImportCounts(new=6)


def test_another_number_of_rows(sound, tmp_path_factory):
    """A file with more or fewer rows than its header says is refused."""
    header, *lines = lines_of(sound)
    header["rows"]["labels"] += 1
    refused(packed([header, *lines]), tmp_path_factory, "checksum")


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
