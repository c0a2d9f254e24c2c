"""Label stores that earlier versions wrote: opening one upgrades it, and no label is lost."""

import contextlib
import sqlite3
import zlib
from dataclasses import replace

from few_labels import HAM, MAILS, SPAM, add

from spamlstm.config.locations import LABELS
from spamlstm.learning.label import Origin
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Trainer
from spamlstm.maildir.content_id import content_id
from spamlstm.model.personal_features import PACKED_SKETCH

HANDED_OVER = b"Received: from mx.x.org (mx.x.org [198.51.100.7]) by mx.example.org (Postfix); today\n"
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
    trainer.save_layer(always=True)
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
        again.save_layer(always=True)
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
        trainer.save_layer(always=True)
        kept = [(replace(label, model=""), raw) for label, raw in labels.with_mail()]
        before = kept, list(labels.examples(after=0, most_bytes=9999)), labels.saved_layers.latest()
    with contextlib.closing(sqlite3.connect(tmp_path / LABELS)) as old:
        old.executescript(SIXTH + FOURTH)
    for _ in range(2):  # the upgrade, and the upgraded store
        with contextlib.closing(LabelStore.open(tmp_path)) as labels:
            after = (
                list(labels.with_mail()),
                list(labels.examples(after=0, most_bytes=9999)),
                labels.saved_layers.latest(),
            )
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
