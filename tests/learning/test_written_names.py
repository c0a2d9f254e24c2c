"""The names to which the user wrote: stored once with the latest time, bounded, and removed with their adoption."""

import contextlib

import pytest

from spamlstm.features.sender_identity import name_key
from spamlstm.learning.label import Origin
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Trainer


@pytest.fixture
def labels(tmp_path):
    with contextlib.closing(LabelStore.open(tmp_path)) as store:
        yield store


def test_correspondents_of_the_store(labels):
    """Names are added once, bounded by the latest, removed with their adoption or all at once, and learned at once."""
    trainer = Trainer(labels)
    names = {name_key(f"{number}.example"): float(number) for number in range(1, 9)}
    labels.written_names.add(names, source="/mail/ann", origin=Origin.ADOPTED)
    labels.written_names.add(
        {name_key("8.example"): 20.0, name_key("new.example"): 9.0}, source="/mail/ann", origin=Origin.MOVED
    )
    trainer.catch_up()
    assert trainer.layer.correspondents.written == names.keys() | {name_key("new.example")}
    assert labels.written_names.latest_time("/mail/ann") == 20.0
    assert labels.written_names.latest_time("/mail/bob") == 0.0
    assert labels.forget_adopted("/mail/ann") == 0
    trainer.catch_up()
    assert trainer.layer.correspondents.written == {name_key("8.example"), name_key("new.example")}
    labels.purge()
    trainer.catch_up()
    assert trainer.layer.correspondents.written == frozenset()


def test_correspondents_are_bounded(labels, monkeypatch):
    """The correspondents of the oldest messages are removed."""
    monkeypatch.setattr("spamlstm.learning.written_names.MOST_WRITTEN", 3)
    for start in (0, 4):
        names = {name_key(f"{number}.example"): float(number) for number in range(start, start + 4)}
        labels.written_names.add(names, source="/", origin=Origin.MOVED)
    assert labels.written_names.all() == {name_key(f"{number}.example") for number in (5, 6, 7)}


def test_an_older_message_does_not_lower_the_time(labels):
    """A name keeps the time of the latest message to it, in whatever order the sent mail is read."""
    for time in (20.0, 10.0):
        labels.written_names.add({name_key("one.example"): time}, source="/mail/ann", origin=Origin.MOVED)
    assert labels.written_names.latest_time("/mail/ann") == 20.0


def test_a_change_has_a_new_version(labels):
    """The version changes with each change of the names, so a trainer in another process reads them again."""
    versions = [labels.written_names.version]
    labels.written_names.add({name_key("one.example"): 1.0}, source="/mail/ann", origin=Origin.ADOPTED)
    versions.append(labels.written_names.version)
    labels.forget_adopted("/mail/ann")
    versions.append(labels.written_names.version)
    labels.purge()
    versions.append(labels.written_names.version)
    assert len(set(versions)) == 4
