"""The label store and the learned layer, which depends only on the present labels."""

import contextlib
import itertools
import os
import sqlite3
import stat
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spamlstm.config.locations import LABELS
from spamlstm.errors import DataError
from spamlstm.learning import label_rows
from spamlstm.learning import label_store as module
from spamlstm.learning import trainer as label_stores
from spamlstm.learning.label import Label, LabelRequest, Origin, interleave
from spamlstm.learning.label_rows import MOST_KEPT
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Trainer
from spamlstm.maildir.content_id import content_id
from spamlstm.model import near_duplicates
from spamlstm.model.classifier import Assessed
from spamlstm.model.near_duplicates import NO_MATCH
from spamlstm.model.personal_features import PACKED_SKETCH, runs
from spamlstm.model.personal_layer import HAM_TARGET, SPAM_TARGET, PersonalLayer
from spamlstm.model.policy import NO_EVIDENCE

MAILS = [f"From: {name}@x.org\nSubject: about {name}\n\nSome words on {name}.\n".encode() for name in "abcdef"]
HANDED_OVER = b"Received: from mx.x.org (mx.x.org [198.51.100.7]) by mx.example.org (Postfix); today\n"
HAM, SPAM = Label.HAM, Label.SPAM


def add(
    labels: LabelStore, raw: bytes, label: Label, prior: float | None = 0.5, origin: Origin = Origin.COMMAND
) -> bool:
    return labels.add(LabelRequest(content_id(raw), raw, "about it", prior, "tiny-1", origin), label)


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
    trainer.keep(always=True)
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
    """It is refused with one sentence, and not overwritten."""
    path = tmp_path / LABELS
    path.write_bytes(b"this is no database, however long it may be" * 100)
    with pytest.raises(DataError, match="damaged"):
        LabelStore.open(tmp_path)
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 99")
    with pytest.raises(DataError, match="another version"):
        LabelStore.open(tmp_path)


# What version 1 wrote.
FIRST = """
CREATE TABLE labels (id INTEGER PRIMARY KEY AUTOINCREMENT, content BLOB NOT NULL UNIQUE, label TEXT NOT NULL,
    time REAL NOT NULL, prior REAL, model TEXT NOT NULL, subject TEXT NOT NULL, mail BLOB NOT NULL);
CREATE TABLE learned (last INTEGER PRIMARY KEY, shape TEXT NOT NULL, state BLOB NOT NULL);
CREATE TABLE epoch (number INTEGER NOT NULL);
INSERT INTO epoch VALUES (0);
PRAGMA user_version = 1;
"""


def test_a_store_of_version_1_goes_on(tmp_path):
    """A store without origins is upgraded: its labels are by command, and none is lost."""
    with contextlib.closing(sqlite3.connect(tmp_path / LABELS)) as old:
        old.executescript(FIRST)
        mail = zlib.compress(MAILS[0])
        row = (bytes.fromhex(content_id(MAILS[0])), "spam", 1e9, 0.5, "tiny-1", "about a", mail)
        old.execute("INSERT INTO labels VALUES (7, ?, ?, ?, ?, ?, ?, ?)", row)
        old.commit()
    for _ in range(2):  # the upgrade, and what it left
        with contextlib.closing(LabelStore.open(tmp_path)) as labels:
            add(labels, MAILS[1], HAM, origin=Origin.MOVED)
            assert [(stored.id, stored.label, stored.origin) for stored in labels.last()] == [
                (8, HAM, "moved"),
                (7, SPAM, "command"),
            ]
            assert [example.raw for example in labels.examples(after=0, most_bytes=9999)] == MAILS[:2]


WITHOUT_SENDERS = (
    "DROP TABLE written; ALTER TABLE epoch DROP COLUMN written;"
    "ALTER TABLE labels DROP COLUMN sender; ALTER TABLE labels DROP COLUMN answered;"
)


def test_a_store_of_version_3_goes_on(tmp_path):
    """A saved layer without a checksum is learned again from the labels; none is lost."""
    trainer = Trainer(LabelStore.open(tmp_path))
    trainer.add_label(MAILS[0], SPAM, prior=0.0, model="m")
    trainer.keep(always=True)
    trainer.labels.close()
    with contextlib.closing(sqlite3.connect(tmp_path / LABELS)) as old:
        old.executescript(
            "ALTER TABLE learned DROP COLUMN checksum; CREATE TABLE bars (model, ham, spam, time);"
            + WITHOUT_SENDERS
            + "PRAGMA user_version = 3;"
        )
    with contextlib.closing(LabelStore.open(tmp_path)) as labels:
        assert labels.saved_layers.latest() is None
        again = Trainer(labels)
        again.catch_up()
        again.keep(always=True)
        assert labels.saved_layers.latest().state == again.layer.dump() == trainer.layer.dump()


# Packed features without a text sketch, as far as version 6 stored them.
TOKENS = b"\xff" * PACKED_SKETCH + b"\1\0"
# Versions up to 6 had no text sketch.
SIXTH = "UPDATE labels SET tokens = ifnull(substr(tokens, 131), x''); PRAGMA user_version = 6;"


def test_a_store_of_version_6_gets_text_sketches(tmp_path):
    """Labels and what the base read of them are as before; all are scored again, which adds the text sketches."""
    with contextlib.closing(LabelStore.open(tmp_path)) as labels:
        trainer = Trainer(labels)
        for raw, tokens in zip(MAILS, (TOKENS, TOKENS + b"\0\0\xff\xff", b""), strict=False):
            trainer.add_label(raw, SPAM, prior=0.5, model="m", tokens=tokens)
        before = list(labels.examples(after=0, most_bytes=9999))
    with contextlib.closing(sqlite3.connect(tmp_path / LABELS)) as old:
        old.executescript(SIXTH)
        assert old.execute("SELECT max(length(tokens)) FROM labels").fetchone() == (6,)
    for _ in range(2):  # the upgrade, and the upgraded store
        with contextlib.closing(LabelStore.open(tmp_path)) as labels:
            assert list(labels.examples(after=0, most_bytes=9999)) == before
            assert [stored.model for stored in labels.last()] == ["m", "", ""]


# What version 4 had in place of the present tables; it wrote the origin 'said' for 'command'.
FOURTH = f"""
{WITHOUT_SENDERS}
CREATE TABLE old (id INTEGER PRIMARY KEY AUTOINCREMENT, content BLOB NOT NULL UNIQUE, label TEXT NOT NULL,
    time REAL NOT NULL, prior REAL, model TEXT NOT NULL, subject TEXT NOT NULL, mail BLOB NOT NULL,
    origin TEXT NOT NULL DEFAULT 'said', source BLOB NOT NULL DEFAULT x'', tokens BLOB NOT NULL DEFAULT x'');
INSERT INTO old SELECT * FROM labels;
DROP TABLE labels;
ALTER TABLE old RENAME TO labels;
UPDATE labels SET origin = 'said' WHERE origin = 'command';
CREATE TABLE bars (model, ham, spam, time);
PRAGMA user_version = 4;
"""  # noqa: S608  ours


def test_a_store_of_version_4_is_upgraded_without_loss(tmp_path):
    """Labels, their origins and the saved layer are as before, and new labels can be added."""
    with contextlib.closing(LabelStore.open(tmp_path)) as labels:
        trainer = Trainer(labels)
        for raw, origin in zip(MAILS, (*Origin, *Origin), strict=False):
            trainer.add_label(raw, SPAM, prior=0.5, model="m", tokens=TOKENS, origin=origin)
        trainer.keep(always=True)
        kept = [(replace(label, model=""), raw) for label, raw in labels.kept()]
        before = kept, list(labels.examples(after=0, most_bytes=9999)), labels.saved_layers.latest()
    with contextlib.closing(sqlite3.connect(tmp_path / LABELS)) as old:
        old.executescript(SIXTH + FOURTH)
    for _ in range(2):  # the upgrade, and the upgraded store
        with contextlib.closing(LabelStore.open(tmp_path)) as labels:
            after = list(labels.kept()), list(labels.examples(after=0, most_bytes=9999)), labels.saved_layers.latest()
            assert after == before
    with contextlib.closing(LabelStore.open(tmp_path)) as labels:
        assert add(labels, b"Subject: new\n\n", HAM)
        assert next(labels.last()).origin is Origin.COMMAND


def test_a_store_of_version_5_knows_its_senders(tmp_path):
    """The senders of older labels are read from the stored mail, so the layer is as if they had been stored."""
    with contextlib.closing(LabelStore.open(tmp_path)) as labels:
        trainer = Trainer(labels)
        for number in range(3):
            trainer.add_label(HANDED_OVER + MAILS[number], HAM, prior=0.5, model="m")
        expected, sender = trainer.layer.dump(), next(labels.examples(after=0, most_bytes=99)).sender
        assert sender is not None
    with contextlib.closing(sqlite3.connect(tmp_path / LABELS)) as old:
        old.executescript(WITHOUT_SENDERS + "DELETE FROM learned; PRAGMA user_version = 5;")  # noqa: S608  ours
    for _ in range(2):  # the upgrade, and the upgraded store
        with contextlib.closing(LabelStore.open(tmp_path)) as labels:
            trainer = Trainer(labels)
            trainer.catch_up()
            assert trainer.layer.dump() == expected
            assert trainer.layer.correspondents.evidence(sender).ham == 3
            assert labels.written_names.all() == frozenset()


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


def test_taking_back_what_was_adopted_leaves_no_trace(tmp_path):
    """After an undo, scores are exactly those of the user's own labels."""
    trainer, straight = Trainer(LabelStore.open(tmp_path)), Trainer(LabelStore.open(tmp_path / "straight"))
    for number, raw in enumerate(MAILS):
        origin = Origin.ADOPTED if number % 2 else Origin.COMMAND
        trainer.add_label(raw, SPAM, prior=0.5, model="tiny-1", origin=origin)
        if origin is Origin.COMMAND:
            straight.add_label(raw, SPAM, prior=0.5, model="tiny-1")
    trainer.keep(always=True)
    assert trainer.labels.forget_adopted("") == 3
    trainer.catch_up()
    assert scores(trainer) == scores(straight)
    for one in (trainer, straight):
        one.labels.close()


def test_what_was_adopted_goes_first(tmp_path, monkeypatch):
    """In a full store, all adopted labels are removed before any of the user's own, however old that is."""
    monkeypatch.setattr(label_rows, "MOST_LABELS", 10)
    with contextlib.closing(LabelStore.open(tmp_path)) as labels:
        for number in range(14):
            origin = Origin.COMMAND if number < 5 else Origin.ADOPTED
            add(labels, b"Subject: %d\n\n" % number, HAM, origin=origin)
        assert labels.prune() == 5
        assert [stored.id for stored in labels.last()] == [14, 13, 12, 11, 5, 4, 3, 2, 1]


# --- what is learned ------------------------------------------------------------------------------------------------

Act = st.tuples(st.sampled_from(range(len(MAILS))), st.sampled_from([HAM, SPAM, None, "keep", "restart"]))


def scores(trainer: Trainer) -> list[float]:
    return [trainer.layer.score(runs(raw), 0.5) for raw in MAILS]


def final(acts) -> list[tuple[int, Label]]:
    """Return the labels at the end, in the order in which they were last given."""
    stored: dict[int, Label] = {}
    for number, act in acts:
        if act is None:
            stored.pop(number, None)
        elif isinstance(act, Label) and stored.get(number) is not act:
            stored.pop(number, None)
            stored[number] = act
    return list(stored.items())


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(Act, max_size=12))
def test_any_history_equals_its_end(tmp_path_factory, acts):
    """After labelling, relabelling, forgetting and restarting in any order, scores are exactly those of learning the
    remaining labels in order. In particular, a forgotten label has no effect.
    """
    state, fresh = tmp_path_factory.mktemp("state"), tmp_path_factory.mktemp("fresh")
    trainer = Trainer(LabelStore.open(state))
    for number, act in acts:
        if act is None:
            trainer.forget(MAILS[number])
        elif act == "keep":
            trainer.keep(always=True)
        elif act == "restart":
            trainer.labels.close()
            trainer = Trainer(LabelStore.open(state))
            trainer.catch_up()
        else:
            trainer.add_label(MAILS[number], act, prior=0.5, model="tiny-1")
    straight = Trainer(LabelStore.open(fresh))
    for number, label in final(acts):
        straight.add_label(MAILS[number], label, prior=0.5, model="tiny-1")
    assert scores(trainer) == scores(straight)
    trainer.labels.close()
    straight.labels.close()


def folder(trainer: Trainer, label: Label, numbers: range) -> None:
    """Label a whole folder, as the command does."""
    assessed = [Assessed(letter(number), 0.5, NO_EVIDENCE, runs(letter(number)), ()) for number in numbers]
    assert all(trainer.add_labels(assessed, label, model="tiny-1"))


def test_bulk_labels_are_interleaved(tmp_path):
    """Whichever of ham and spam came first, and however many, they are interleaved; single labels come last."""
    ham, spam, single = range(70), range(100, 130), letter(500)
    first, second = Trainer(LabelStore.open(tmp_path / "1")), Trainer(LabelStore.open(tmp_path / "2"))
    folder(first, HAM, ham)
    folder(first, SPAM, spam)
    first.add_label(single, SPAM, prior=0.5, model="tiny-1")
    folder(second, SPAM, spam)
    second.keep(always=True)
    second.add_label(single, SPAM, prior=0.5, model="tiny-1")
    folder(second, HAM, ham)
    assert first.layer.dump() == second.layer.dump()
    for trainer in (first, second):
        stored = [one.label for one in trainer.labels.last()][::-1]
        assert stored[-1] is SPAM
        assert max(len(list(same)) for _, same in itertools.groupby(stored[:-1])) <= 3
        again = Trainer(trainer.labels)
        again.catch_up()
        assert again.layer.dump() == trainer.layer.dump()
        trainer.labels.close()


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


def test_a_few_files_are_corrections(tmp_path):
    """A few files named in one command are learned like single corrections."""
    trainer = Trainer(LabelStore.open(tmp_path))
    folder(trainer, SPAM, range(label_stores.MANY - 1))
    assert {stored.origin for stored in trainer.labels.last()} == {Origin.COMMAND}
    trainer.labels.close()


def test_two_processes(tmp_path):
    """`catch_up` learns what another process labelled or forgot; a layer of an ended epoch is not saved."""
    one, other = Trainer(LabelStore.open(tmp_path)), Trainer(LabelStore.open(tmp_path))
    one.add_label(MAILS[0], SPAM, prior=0.0, model="m")
    one.add_label(MAILS[1], HAM, prior=0.0, model="m")
    other.catch_up()
    assert scores(one) == scores(other)
    other.forget(MAILS[0])
    one.keep(always=True)  # of an epoch that has ended
    one.catch_up()
    assert scores(one) == scores(other)
    third = Trainer(LabelStore.open(tmp_path))
    third.catch_up()
    assert scores(third) == scores(one)
    for trainer in (one, other, third):
        trainer.labels.close()


def test_what_another_process_learned_is_taken_over(tmp_path, monkeypatch):
    """A trainer that loads a layer saved by another process has exactly the same scores."""
    monkeypatch.setattr(label_stores, "KEEP_EVERY", 3)
    one, other = Trainer(LabelStore.open(tmp_path)), Trainer(LabelStore.open(tmp_path))
    one.add_label(MAILS[0], SPAM, prior=0.0, model="m")
    other.catch_up()
    for raw in MAILS[1:5]:
        one.add_label(raw, HAM, prior=0.0, model="m")
    one.keep(always=True)
    one.add_label(MAILS[5], SPAM, prior=0.0, model="m")
    other.catch_up()
    assert scores(one) == scores(other)
    assert other.layer.labels == len(MAILS)
    for trainer in (one, other):
        trainer.labels.close()


def test_a_kept_layer_of_another_shape_is_not_used(tmp_path, monkeypatch):
    """After an upgrade that learns in another way, all labels are learned again."""
    trainer = Trainer(LabelStore.open(tmp_path))
    trainer.add_label(MAILS[0], SPAM, prior=0.0, model="m")
    trainer.keep(always=True)
    assert trainer.labels.saved_layers.latest() is not None
    monkeypatch.setattr(module, "SHAPE", "another")
    assert trainer.labels.saved_layers.latest() is None
    trainer.labels.close()


def test_after_one_label_the_message_is_judged_so():
    """One label decides on its message, whatever the base score, and for mail of any length."""
    for raw in (*MAILS, b"", b"a", b"\n\n", np.random.default_rng(0).bytes(9000)):
        found = runs(raw)
        for spam, prior in ((True, -30.0), (False, 30.0), (True, None)):
            layer = PersonalLayer()
            layer.learn(found, prior=prior, spam=spam)
            score = layer.score(found, prior)
            assert (score >= SPAM_TARGET) if spam else (score <= -HAM_TARGET)


def test_an_empty_layer_leaves_the_base_score():
    """Without labels, the score is the base score."""
    assert PersonalLayer().score(runs(MAILS[0]), 12.5) == 12.5


def test_bytes_of_mail_do_not_depend_on_what_filters_add():
    """Headers that filters, including this one, add after delivery are not features."""
    tagged = b"From x Sun Apr  8 13:09:29 2007\r\nX-Spam-Status: Yes, score=9\r\n" + MAILS[0].replace(b"\n", b"\r\n")
    assert (runs(tagged) == runs(MAILS[0])).all()


def test_the_state_folder_is_made(tmp_path):
    """`open` makes the state folder, for its owner alone; `find` makes nothing."""
    state = tmp_path / "a" / "b"
    assert LabelStore.find(state) is None
    assert not state.exists()
    LabelStore.open(state).close()
    assert stat.S_IMODE(Path(state).stat().st_mode) == 0o700


# --- the latest labelled messages, remembered -----------------------------------------------------------------------


def letter(seed: int, *, changed: int = 0) -> bytes:
    """Return 1,500 random characters, with the last `changed` replaced by others."""
    text = np.random.default_rng(seed).integers(97, 123, 1500).astype(np.uint8)
    text[len(text) - changed :] = np.random.default_rng(seed + 1000).integers(97, 123, changed)
    return b"Subject: a letter\n\n" + text.tobytes()


@pytest.mark.parametrize("spam", [True, False])
def test_a_near_duplicate_follows_at_once(spam):
    """After one label, near-duplicates are judged so although the base was wrong; other mail keeps its score."""
    layer, prior = PersonalLayer(), -3.0 if spam else 3.0
    for number in range(1, 6):
        layer.learn(runs(letter(number)), prior=prior, spam=number == 3 if spam else number != 3)
    like, unlike = runs(letter(3, changed=60)), runs(letter(9))
    near = layer.near(like)
    assert (near.label, near.pull) == (3, 1 if spam else -1)
    assert near.share == pytest.approx(0.96, abs=0.06)
    score = layer.score(like, prior)
    assert score >= SPAM_TARGET if spam else score <= -HAM_TARGET
    assert layer.near(unlike) == NO_MATCH
    assert layer.score(unlike, prior) == pytest.approx(prior, abs=0.01)


def test_after_thousands_of_labels_too_where_the_score_only_was_not_sure_enough():
    """With many labels, one label of an unsure campaign still moves its copies, but not against the base score."""
    layer = PersonalLayer()
    for number in range(1000):
        layer.learn(runs(letter(number)), prior=-3.0 if number % 2 else 3.0, spam=number % 2 == 0)
    layer.learn(runs(letter(2000)), prior=3.0, spam=True)
    assert layer.score(runs(letter(2000, changed=60)), 3.0) >= SPAM_TARGET
    assert layer.score(runs(letter(2000, changed=60)), -3.0) < SPAM_TARGET - 1


def test_labels_that_contradict_each_other_cancel():
    """Near-duplicates with as many ham as spam labels do not move another one."""
    layer = PersonalLayer()
    for at in range(4):
        layer.learn(runs(letter(3, changed=at)), prior=0.0, spam=at % 2 == 0)
    assert layer.near(runs(letter(3, changed=5))).pull == 0


def test_the_oldest_sketches_are_replaced_and_the_rest_survives_a_dump(monkeypatch):
    """Memory is bounded, survives a dump exactly, and numbers labels from the first one learned."""
    monkeypatch.setattr(near_duplicates, "MEMORY", 4)
    layer, again = PersonalLayer(), PersonalLayer()
    for number in range(1, 8):
        layer.learn(runs(letter(number)), prior=0.0, spam=True)
    again.load(layer.dump())
    assert again.dump() == layer.dump()
    known = [again.near(runs(letter(number, changed=5))).label for number in range(1, 8)]
    assert known == [0, 0, 0, 4, 5, 6, 7]
    again.load(b"")
    assert again.dump() == PersonalLayer().dump()
