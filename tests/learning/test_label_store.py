"""The label store and what is learned from it: a function of what the user says now, whatever came before."""

import contextlib
import itertools
import os
import sqlite3
import stat
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spamlstm.config import Thresholds
from spamlstm.config.locations import LABELS
from spamlstm.errors import DataError
from spamlstm.learning import bounds
from spamlstm.learning import label_store as module
from spamlstm.learning import trainer as label_stores
from spamlstm.learning.label import Label, LabelRequest, Origin
from spamlstm.learning.label_rows import MOST_KEPT
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Trainer
from spamlstm.learning.turns import interleave
from spamlstm.maildir.content_id import content_id
from spamlstm.model import personal_layer
from spamlstm.model.classifier import Assessed
from spamlstm.model.personal_features import runs
from spamlstm.model.personal_layer import HAM_TARGET, NOTHING_NEAR, SPAM_TARGET, PersonalLayer
from spamlstm.model.policy import NO_EVIDENCE

MAILS = [f"From: {name}@x.org\nSubject: about {name}\n\nSome words on {name}.\n".encode() for name in "abcdef"]
HAM, SPAM = Label.HAM, Label.SPAM


def says(labels: LabelStore, raw: bytes, label: Label, prior: float | None = 0.5, origin: Origin = Origin.SAID) -> bool:
    return labels.add(LabelRequest(content_id(raw), raw, "about it", prior, "tiny-1", origin), label)


@pytest.fixture
def labels(tmp_path):
    with contextlib.closing(LabelStore.open(tmp_path)) as store:
        yield store


def test_the_same_twice_is_once(labels):
    """Contract 9: a rescan, a copy and a tagged copy of what was labelled change nothing."""
    assert says(labels, MAILS[0], SPAM)
    assert not says(labels, MAILS[0], SPAM)
    assert not says(labels, b"X-Spam-Flag: YES\n" + MAILS[0].replace(b"\n", b"\r\n"), SPAM)
    assert labels.counts() == {HAM: 0, SPAM: 1}


def test_the_last_word_counts(labels):
    """A message has one label, and relabelling puts it last."""
    for raw, label in ((MAILS[0], SPAM), (MAILS[1], SPAM), (MAILS[0], HAM)):
        assert says(labels, raw, label)
    assert [(said.content, said.label) for said in labels.last()] == [
        (content_id(MAILS[0]), HAM),
        (content_id(MAILS[1]), SPAM),
    ]
    assert labels.label(content_id(MAILS[0])) is HAM
    assert labels.label(content_id(MAILS[2])) is None


def test_only_the_owner_reads_it(labels, tmp_path):
    """What the user said, and the mail with it, is nobody else's business."""
    says(labels, MAILS[0], SPAM)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_purge_leaves_no_mail_in_the_file(labels, tmp_path):
    """After a purge there is nothing to be read, even in the free pages of the file."""
    secret = os.urandom(3000)
    says(labels, MAILS[0] + secret, SPAM)
    trainer = Trainer(labels)
    trainer.catch_up()
    trainer.keep(always=True)
    assert labels.purge() == 1
    rest = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert zlib.compress(MAILS[0] + secret, 1)[50:100] not in rest
    assert len(rest) < 200_000


def test_bounded_in_number_size_and_age(tmp_path, monkeypatch):
    """The oldest labels go when there are too many, when their mail is too much, and when they are too old."""
    now = [1e9]
    with contextlib.closing(LabelStore.open(tmp_path, clock=lambda: now[0])) as labels:
        monkeypatch.setattr(bounds, "MOST_LABELS", 100)
        for number in range(101):
            says(labels, b"Subject: %d\n\n" % number, HAM)
        assert labels.prune() == 11
        assert labels.prune() == 0
        assert next(labels.last()).content == content_id(b"Subject: 100\n\n")

        monkeypatch.setattr(bounds, "MOST_BYTES", 25_000)
        for number in range(3):
            says(labels, b"Subject: big %d\n\n" % number + os.urandom(10_000), HAM)
        assert labels.prune() > 0
        assert labels.counts()[HAM] == 2

        for number in range(bounds.MOST_MONTHS):
            now[0] += bounds.MONTH
            says(labels, b"Subject: month %d\n\n" % number, HAM)
        assert labels.prune() == 2


def test_no_more_of_a_message_is_kept_than_needed(labels):
    """A large attachment does not fill the state folder, and learning reads the beginning only."""
    raw = b"Subject: large\n\n" + os.urandom(1 << 20)
    says(labels, raw, SPAM)
    (example,) = labels.examples(after=0, most_bytes=1000)
    assert example.raw == raw[:1000]
    assert labels._connection.execute("SELECT length(mail) FROM labels").fetchone()[0] < MOST_KEPT + 100


def test_a_foreign_or_damaged_file_is_told(tmp_path):
    """One sentence, and nothing is overwritten."""
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
    """What was said before there were origins was said; nothing is lost, and new labels have theirs."""
    with contextlib.closing(sqlite3.connect(tmp_path / LABELS)) as old:
        old.executescript(FIRST)
        mail = zlib.compress(MAILS[0])
        row = (bytes.fromhex(content_id(MAILS[0])), "spam", 1e9, 0.5, "tiny-1", "about a", mail)
        old.execute("INSERT INTO labels VALUES (7, ?, ?, ?, ?, ?, ?, ?)", row)
        old.commit()
    for _ in range(2):  # the upgrade, and what it left
        with contextlib.closing(LabelStore.open(tmp_path)) as labels:
            says(labels, MAILS[1], HAM, origin=Origin.MOVED)
            assert [(said.id, said.label, said.origin) for said in labels.last()] == [
                (8, HAM, "moved"),
                (7, SPAM, "said"),
            ]
            assert [example.raw for example in labels.examples(after=0, most_bytes=9999)] == MAILS[:2]
            assert labels.thresholds() == {}


def test_a_store_of_version_3_goes_on(tmp_path):
    """A learned state without a checksum is made anew from the labels; no label is lost."""
    trainer = Trainer(LabelStore.open(tmp_path))
    trainer.add_label(MAILS[0], SPAM, prior=0.0, model="m")
    trainer.keep(always=True)
    trainer.labels.close()
    with contextlib.closing(sqlite3.connect(tmp_path / LABELS)) as old:
        old.executescript("ALTER TABLE learned DROP COLUMN checksum; PRAGMA user_version = 3;")
    with contextlib.closing(LabelStore.open(tmp_path)) as labels:
        assert labels.learned() is None
        again = Trainer(labels)
        again.catch_up()
        again.keep(always=True)
        assert labels.learned().state == again.layer.dump() == trainer.layer.dump()


@pytest.mark.parametrize("own", [Origin.SAID, Origin.MOVED])
def test_what_the_user_says_wins_over_what_was_adopted(labels, own):
    """Whichever came first, and whether they agree or not; and to take back what was adopted leaves it."""
    for raw, adopted, said in ((MAILS[0], SPAM, HAM), (MAILS[1], SPAM, SPAM)):
        assert says(labels, raw, adopted, origin=Origin.ADOPTED)
        assert says(labels, raw, said, origin=own) is (adopted is not said)
        assert not says(labels, raw, adopted, origin=Origin.ADOPTED)
        assert labels.origin(content_id(raw)) == (said, own)
    says(labels, MAILS[2], HAM, origin=own)
    assert not says(labels, MAILS[2], SPAM, origin=Origin.ADOPTED)
    assert says(labels, MAILS[3], SPAM, origin=Origin.ADOPTED)
    assert says(labels, MAILS[3], HAM, origin=Origin.ADOPTED)
    assert labels.forget_adopted("") == 1
    assert {said.content: said.label for said in labels.last()} == {
        content_id(MAILS[0]): HAM,
        content_id(MAILS[1]): SPAM,
        content_id(MAILS[2]): HAM,
    }


def test_taking_back_what_was_adopted_leaves_no_trace(tmp_path):
    """Scores become, to the last bit, those of the user's own labels; the bars go too."""
    trainer, straight = Trainer(LabelStore.open(tmp_path)), Trainer(LabelStore.open(tmp_path / "straight"))
    for number, raw in enumerate(MAILS):
        origin = Origin.ADOPTED if number % 2 else Origin.SAID
        trainer.add_label(raw, SPAM, prior=0.5, model="tiny-1", origin=origin)
        if origin is Origin.SAID:
            straight.add_label(raw, SPAM, prior=0.5, model="tiny-1")
    trainer.keep(always=True)
    trainer.labels.set_thresholds("tiny-1", Thresholds(0.1, 0.9))
    assert trainer.labels.thresholds() == {"tiny-1": Thresholds(0.1, 0.9)}
    assert trainer.labels.forget_adopted("") == 3
    trainer.catch_up()
    assert scores(trainer) == scores(straight)
    assert trainer.labels.thresholds() == {}
    for one in (trainer, straight):
        one.labels.close()


def test_what_was_adopted_goes_first(tmp_path, monkeypatch):
    """Where the store is full, no word of the user's own goes while there is something adopted, however old it is."""
    monkeypatch.setattr(bounds, "MOST_LABELS", 10)
    with contextlib.closing(LabelStore.open(tmp_path)) as labels:
        for number in range(14):
            origin = Origin.SAID if number < 5 else Origin.ADOPTED
            says(labels, b"Subject: %d\n\n" % number, HAM, origin=origin)
        assert labels.prune() == 5
        assert [said.id for said in labels.last()] == [14, 13, 12, 11, 5, 4, 3, 2, 1]


# --- what is learned ------------------------------------------------------------------------------------------------

Act = st.tuples(st.sampled_from(range(len(MAILS))), st.sampled_from([HAM, SPAM, None, "keep", "restart"]))


def scores(trainer: Trainer) -> list[float]:
    return [trainer.layer.score(runs(raw), 0.5) for raw in MAILS]


def final(acts) -> list[tuple[int, Label]]:
    """What stands at the end, in the order in which it was last said."""
    said: dict[int, Label] = {}
    for number, act in acts:
        if act is None:
            said.pop(number, None)
        elif isinstance(act, Label) and said.get(number) is not act:
            said.pop(number, None)
            said[number] = act
    return list(said.items())


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(Act, max_size=12))
def test_any_history_equals_its_end(tmp_path_factory, acts):
    """Labelling, relabelling, forgetting and restarting in any order: the scores are, to the last bit, those of
    learning what stands at the end, in its order. In particular `forget` is as if never learned.
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
    """Label a folder whole, as the command does."""
    assessed = [Assessed(letter(number), 0.5, NO_EVIDENCE, runs(letter(number)), ()) for number in numbers]
    assert all(trainer.add_labels(assessed, label, model="tiny-1"))


def test_folders_are_learned_in_turns(tmp_path):
    """Whichever was named first, ham or spam, of however many; and single words, said before or after, come last."""
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
        said = [one.label for one in trainer.labels.last()][::-1]
        assert said[-1] is SPAM
        assert max(len(list(same)) for _, same in itertools.groupby(said[:-1])) <= 3
        again = Trainer(trainer.labels)
        again.catch_up()
        assert again.layer.dump() == trainer.layer.dump()
        trainer.labels.close()


@given(rows=st.lists(st.tuples(st.sampled_from([*Label]), st.sampled_from([*Origin])), max_size=30))
def test_turns_lose_no_row(rows):
    """Each row stays, those of a kind in their order, and a second time nothing changes."""
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
    """What is named on one command line by hand is learned as what is moved by hand."""
    trainer = Trainer(LabelStore.open(tmp_path))
    folder(trainer, SPAM, range(label_stores.MANY - 1))
    assert {said.origin for said in trainer.labels.last()} == {Origin.SAID}
    trainer.labels.close()


def test_two_processes(tmp_path):
    """What another process labels or forgets is known after `catch_up`; what an ended epoch made is not kept."""
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
    """One that was far behind is, to the last bit, where it would be if it had learned all of it."""
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
    """After an upgrade that learns otherwise, all is learned anew."""
    trainer = Trainer(LabelStore.open(tmp_path))
    trainer.add_label(MAILS[0], SPAM, prior=0.0, model="m")
    trainer.keep(always=True)
    assert trainer.labels.learned() is not None
    monkeypatch.setattr(module, "SHAPE", "another")
    assert trainer.labels.learned() is None
    trainer.labels.close()


def test_after_one_word_the_message_is_judged_so():
    """However sure the base was, and for mail of any length."""
    for raw in (*MAILS, b"", b"a", b"\n\n", np.random.default_rng(0).bytes(9000)):
        found = runs(raw)
        for spam, prior in ((True, -30.0), (False, 30.0), (True, None)):
            layer = PersonalLayer()
            layer.learn(found, prior=prior, spam=spam)
            score = layer.score(found, prior)
            assert (score >= SPAM_TARGET) if spam else (score <= -HAM_TARGET)


def test_an_empty_layer_says_what_the_base_says():
    """Without labels nothing changes, whatever the base's score."""
    assert PersonalLayer().score(runs(MAILS[0]), 12.5) == 12.5


def test_bytes_of_mail_do_not_depend_on_what_filters_add():
    """Our own verdict is no feature, nor is anyone's who tags mail after its delivery."""
    tagged = b"From x Sun Apr  8 13:09:29 2007\r\nX-Spam-Status: Yes, score=9\r\n" + MAILS[0].replace(b"\n", b"\r\n")
    assert (runs(tagged) == runs(MAILS[0])).all()


def test_the_state_folder_is_made(tmp_path):
    """The first label makes it, for its owner alone; `find` makes nothing."""
    state = tmp_path / "a" / "b"
    assert LabelStore.find(state) is None
    assert not state.exists()
    LabelStore.open(state).close()
    assert stat.S_IMODE(Path(state).stat().st_mode) == 0o700


# --- the latest labelled messages, remembered -----------------------------------------------------------------------


def letter(seed: int, *, changed: int = 0) -> bytes:
    """1,500 random characters, of which the last so many are others."""
    text = np.random.default_rng(seed).integers(97, 123, 1500).astype(np.uint8)
    text[len(text) - changed :] = np.random.default_rng(seed + 1000).integers(97, 123, changed)
    return b"Subject: a letter\n\n" + text.tobytes()


@pytest.mark.parametrize("spam", [True, False])
def test_a_near_duplicate_follows_at_once(spam):
    """After one word on a message, its like is judged so though the base was wrong; what is unlike it stays put."""
    layer, prior = PersonalLayer(), -3.0 if spam else 3.0
    for number in range(1, 6):
        layer.learn(runs(letter(number)), prior=prior, spam=number == 3 if spam else number != 3)
    like, unlike = runs(letter(3, changed=60)), runs(letter(9))
    near = layer.near(like)
    assert (near.label, near.pull) == (3, 1 if spam else -1)
    assert near.share == pytest.approx(0.96, abs=0.06)
    score = layer.score(like, prior)
    assert score >= SPAM_TARGET if spam else score <= -HAM_TARGET
    assert layer.near(unlike) == NOTHING_NEAR
    assert layer.score(unlike, prior) == pytest.approx(prior, abs=0.01)


def test_after_thousands_of_labels_too_where_the_score_only_was_not_sure_enough():
    """One word on a piece of a campaign that was unsure takes its like along, but not against what the base says."""
    layer = PersonalLayer()
    for number in range(1000):
        layer.learn(runs(letter(number)), prior=-3.0 if number % 2 else 3.0, spam=number % 2 == 0)
    layer.learn(runs(letter(2000)), prior=3.0, spam=True)
    assert layer.score(runs(letter(2000, changed=60)), 3.0) >= SPAM_TARGET
    assert layer.score(runs(letter(2000, changed=60)), -3.0) < SPAM_TARGET - 1


def test_labels_that_contradict_each_other_cancel():
    """Of like messages, as many called ham as spam, nothing is said of another like them."""
    layer = PersonalLayer()
    for at in range(4):
        layer.learn(runs(letter(3, changed=at)), prior=0.0, spam=at % 2 == 0)
    assert layer.near(runs(letter(3, changed=5))).pull == 0


def test_the_oldest_memories_go_and_the_rest_survives_a_dump(monkeypatch):
    """Memory is bounded, is the same to the last bit after it was kept, and counts the labels before it too."""
    monkeypatch.setattr(personal_layer, "MEMORY", 4)
    layer, again = personal_layer.PersonalLayer(), personal_layer.PersonalLayer()
    for number in range(1, 8):
        layer.learn(runs(letter(number)), prior=0.0, spam=True)
    again.load(layer.dump())
    assert again.dump() == layer.dump()
    known = [again.near(runs(letter(number, changed=5))).label for number in range(1, 8)]
    assert known == [0, 0, 0, 4, 5, 6, 7]
    again.load(b"")
    assert again.dump() == personal_layer.PersonalLayer().dump()
