"""Import of label files that are damaged, hostile or of an earlier version: a file from anybody harms nothing."""

import base64
import contextlib
import dataclasses
import gzip
import hashlib
import json
import sqlite3
import zlib

import pytest
from exported_labels import exported, imported, label, opened, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from spamlstm.config.locations import LABELS
from spamlstm.errors import DataError
from spamlstm.learning import label_export, label_store
from spamlstm.learning.label import Label, Origin
from spamlstm.learning.label_merge import ImportCounts
from spamlstm.learning.label_rows import LAYOUT
from spamlstm.learning.trainer import Trainer


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
        list(labels.with_mail())
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
