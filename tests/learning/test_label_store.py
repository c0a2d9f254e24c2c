"""The label store: one label for each message, the latest one, for its owner only and within bounds."""

import contextlib
import itertools
import os
import sqlite3
import stat
import zlib
from pathlib import Path

import pytest
from few_labels import HAM, MAILS, SPAM, add
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.config.locations import LABELS
from spamlstm.errors import DataError
from spamlstm.learning import label_rows
from spamlstm.learning.label import Label, Origin, interleave
from spamlstm.learning.label_rows import MOST_KEPT
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Trainer
from spamlstm.maildir.content_id import content_id


@pytest.fixture
def labels(tmp_path):
    with contextlib.closing(LabelStore.open(tmp_path)) as store:
        yield store


def test_the_same_twice_is_once(labels):
    """Contract 11: the same label of a message, of a copy or of a tagged copy changes nothing."""
    assert add(labels, MAILS[0], SPAM)
    assert not add(labels, MAILS[0], SPAM)
    assert not add(labels, b"X-Spam-Flag: YES\n" + MAILS[0].replace(b"\n", b"\r\n"), SPAM)
    assert labels.counts() == {HAM: 0, SPAM: 1}


def test_the_latest_label_counts(labels):
    """A message has one label, and a new one puts it last."""
    for raw, label in ((MAILS[0], SPAM), (MAILS[1], SPAM), (MAILS[0], HAM)):
        assert add(labels, raw, label)
    assert [(stored.content, stored.label) for stored in labels.last()] == [
        (content_id(MAILS[0]), HAM),
        (content_id(MAILS[1]), SPAM),
    ]
    assert labels.label(content_id(MAILS[0])) is HAM
    assert labels.label(content_id(MAILS[2])) is None


def test_only_the_owner_reads_it(labels, tmp_path):
    """The files of the store are readable by their owner only."""
    add(labels, MAILS[0], SPAM)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_purge_leaves_no_mail_in_the_file(labels, tmp_path):
    """After a purge no mail can be read, not even in free pages of the file."""
    secret = os.urandom(3000)
    add(labels, MAILS[0] + secret, SPAM)
    trainer = Trainer(labels)
    trainer.catch_up()
    trainer.save_layer(always=True)
    assert labels.purge() == 1
    rest = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert zlib.compress(MAILS[0] + secret, 1)[50:100] not in rest
    assert len(rest) < 200_000


def test_bounded_in_number_size_and_age(tmp_path, monkeypatch):
    """Old labels are removed when there are too many, when their mail takes too much, and when they are too old."""
    now = [1e9]
    with contextlib.closing(LabelStore.open(tmp_path, clock=lambda: now[0])) as labels:
        monkeypatch.setattr(label_rows, "MOST_LABELS", 100)
        for number in range(101):
            add(labels, b"Subject: %d\n\n" % number, HAM)
        assert labels.prune() == 11
        assert labels.prune() == 0
        assert next(labels.last()).content == content_id(b"Subject: 100\n\n")

        monkeypatch.setattr(label_rows, "MOST_BYTES", 25_000)
        for number in range(3):
            add(labels, b"Subject: big %d\n\n" % number + os.urandom(10_000), HAM)
        assert labels.prune() > 0
        assert labels.counts()[HAM] == 2

        for number in range(label_rows.MOST_MONTHS):
            now[0] += label_rows.MONTH
            add(labels, b"Subject: month %d\n\n" % number, HAM)
        assert labels.prune() == 2


def test_no_more_of_a_message_is_kept_than_needed(labels):
    """A large attachment is not stored, and learning reads only the beginning."""
    raw = b"Subject: large\n\n" + os.urandom(1 << 20)
    add(labels, raw, SPAM)
    (example,) = labels.examples(after=0, most_bytes=1000)
    assert example.raw == raw[:1000]
    assert labels._connection.execute("SELECT length(mail) FROM labels").fetchone()[0] < MOST_KEPT + 100


def test_a_foreign_or_damaged_file_is_refused(tmp_path):
    """A file that is not a label store is refused with one sentence, and is not overwritten."""
    path = tmp_path / LABELS
    path.write_bytes(b"this is no database, however long it may be" * 100)
    with pytest.raises(DataError, match="damaged"):
        LabelStore.open(tmp_path)
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 99")
    with pytest.raises(DataError, match=r"a newer version of spamlstm; update spamlstm, or .* without your labels$"):
        LabelStore.open(tmp_path)


@pytest.mark.parametrize("own", [Origin.COMMAND, Origin.MOVED])
def test_what_the_user_says_wins_over_what_was_adopted(labels, own):
    """The user's label replaces an adopted one and is not replaced by one, in any order, and survives an undo."""
    for raw, adopted, stored in ((MAILS[0], SPAM, HAM), (MAILS[1], SPAM, SPAM)):
        assert add(labels, raw, adopted, origin=Origin.ADOPTED)
        assert add(labels, raw, stored, origin=own) is (adopted is not stored)
        assert not add(labels, raw, adopted, origin=Origin.ADOPTED)
        assert labels.origin(content_id(raw)) == (stored, own)
    add(labels, MAILS[2], HAM, origin=own)
    assert not add(labels, MAILS[2], SPAM, origin=Origin.ADOPTED)
    assert add(labels, MAILS[3], SPAM, origin=Origin.ADOPTED)
    assert add(labels, MAILS[3], HAM, origin=Origin.ADOPTED)
    assert labels.forget_adopted("") == 1
    assert {stored.content: stored.label for stored in labels.last()} == {
        content_id(MAILS[0]): HAM,
        content_id(MAILS[1]): SPAM,
        content_id(MAILS[2]): HAM,
    }


def test_what_was_adopted_goes_first(tmp_path, monkeypatch):
    """In a full store, all adopted labels are removed before any of the user's own, however old that is."""
    monkeypatch.setattr(label_rows, "MOST_LABELS", 10)
    with contextlib.closing(LabelStore.open(tmp_path)) as labels:
        for number in range(14):
            origin = Origin.COMMAND if number < 5 else Origin.ADOPTED
            add(labels, b"Subject: %d\n\n" % number, HAM, origin=origin)
        assert labels.prune() == 5
        assert [stored.id for stored in labels.last()] == [14, 13, 12, 11, 5, 4, 3, 2, 1]


@given(rows=st.lists(st.tuples(st.sampled_from([*Label]), st.sampled_from([*Origin])), max_size=30))
def test_interleaving_loses_no_row(rows):
    """Each row stays, rows of one kind keep their order, and a second time changes nothing."""
    numbered = [(number, *row) for number, row in enumerate(rows)]
    turned = interleave(numbered)
    assert sorted(turned) == numbered
    bulk = [row for row in turned if row[2] == Origin.BULK]
    for kind in (
        [row for row in bulk if row[1] == HAM],
        [row for row in bulk if row[1] == SPAM],
        [row for row in turned if row[2] != Origin.BULK],
    ):
        assert kind == sorted(kind)
    again = [(number, *row[1:]) for number, row in enumerate(turned)]
    assert interleave(again) == again


def test_the_newest_labels_whatever_the_order_of_learning(tmp_path):
    """The newest labels come by the time at which they were given, also after bulk labels were interleaved."""
    given = [(SPAM, Origin.BULK)] * 2 + [(SPAM, Origin.COMMAND)] + [(HAM, Origin.BULK)] * 3
    with contextlib.closing(LabelStore.open(tmp_path, clock=itertools.count(1000.0).__next__)) as labels:
        for raw, (label, origin) in zip(MAILS, given, strict=True):
            add(labels, raw, label, origin=origin)
        labels.interleave_bulk()
        contents = [content_id(raw) for raw in reversed(MAILS)]
        assert [one.content for one in labels.last()] != contents
        assert [one.content for one in labels.newest()] == contents
        assert [one.content for one in labels.newest(2)] == contents[:2]


def test_the_state_folder_is_made(tmp_path):
    """`open` makes the state folder, for its owner alone; `find` makes nothing."""
    state = tmp_path / "a" / "b"
    assert LabelStore.find(state) is None
    assert not state.exists()
    LabelStore.open(state).close()
    assert stat.S_IMODE(Path(state).stat().st_mode) == 0o700
