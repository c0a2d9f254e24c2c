"""The tiny bundle, models that are less certain or wrong, and a user with labels."""

import contextlib
from pathlib import Path

import pytest
from maildirs import make as make_maildir
from tiny_bundle import make
from unlike_letters import add_labels, letter

from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Trainer
from spamlstm.model import registry
from spamlstm.model.classifier import Classifier


@pytest.fixture
def unsure(tmp_path, monkeypatch) -> Path:
    """A shipped model that is certain of nothing; the user's own models are in a folder of the test."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv(registry.ENVIRONMENT, raising=False)
    path = make(tmp_path / "unsure", weight=0.3, version="0")
    monkeypatch.setattr(registry, "_SHIPPED", (path,))
    return path


@pytest.fixture
def labelled(tmp_path, unsure) -> Path:
    """A state folder with 40 ham and 40 spam labels."""
    classifier = Classifier.open(unsure, personal_features=True)
    with contextlib.closing(LabelStore.open(tmp_path / "state")) as labels:
        add_labels(Trainer(labels), classifier)
    return tmp_path / "state"


@pytest.fixture
def maildir(tmp_path) -> Path:
    """A Maildir with sixty unlabelled messages."""
    make_maildir(tmp_path / "mail")
    for number in range(1000, 1060):
        (tmp_path / "mail/cur" / f"{number}:2,S").write_bytes(letter(number, spam=number % 2 == 1))
    return tmp_path / "mail"
