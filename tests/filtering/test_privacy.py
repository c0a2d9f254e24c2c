"""No user's labels judge the mail of another user of the same server."""

import contextlib
from pathlib import Path

import pytest
from maildirs import make
from tiny_bundle import UNSURE

from spamlstm.config import Config, LabelScope, MaildirConfig
from spamlstm.filtering.counters import Counters
from spamlstm.filtering.journal import Journal
from spamlstm.filtering.pipeline import Pipeline
from spamlstm.learning.label import Label
from spamlstm.model.policy import Reason
from spamlstm.tracking.label_stores import LabelStores
from spamlstm.verdict import Verdict

USERS = ("ann", "bob", "carl")


@pytest.fixture
def stores(tmp_path, classifier):
    with contextlib.closing(LabelStores(tmp_path / "state", base=classifier, scope=LabelScope.PER_MAILDIR)) as one:
        yield one


@pytest.fixture
def maildirs(tmp_path):
    return {user: make(tmp_path / user) for user in USERS}


@pytest.fixture
def pipeline(tmp_path, classifier, stores, maildirs):
    config = Config(maildirs=tuple(MaildirConfig(path, spam=(), unsure=()) for path in maildirs.values()))
    with contextlib.closing(Journal.open(tmp_path / "state")) as journal:
        yield Pipeline(
            config=config, classifier=classifier, journal=journal, counters=Counters(), layer_of=stores.layer
        )


def deliver(pipeline, maildirs, mail):
    """Put ten letters into each inbox; returns the candidates, one of each inbox in turn."""
    for path in maildirs.values():
        pipeline.scan(path)
        for number in range(10):
            Path(path, "new", f"{number}.host").write_bytes(b"Message-ID: <%d@mx>\r\n" % number + mail)
    scans = [pipeline.scan(path) for path in maildirs.values()]
    return [candidate for turn in zip(*scans, strict=True) for candidate in turn]


def judged(pipeline, maildirs, mail):
    """Judge ten such letters to each user in one batch; returns the set of (verdict, reason) by user."""
    outcomes = pipeline.process(deliver(pipeline, maildirs, mail))
    assert len(outcomes) == 10 * len(maildirs)
    names = {path: user for user, path in maildirs.items()}
    found = {user: set() for user in maildirs}
    for one in outcomes:
        found[names[one.candidate.maildir]].add((one.judgement.verdict, one.judgement.reason))
    return found


def test_labels_of_several_users_in_one_batch(pipeline, stores, maildirs):
    """Ann has labelled a letter ham, Bob has labelled it spam, Carl has no labels: each one's mail is judged so."""
    stores.add_label(maildirs["ann"], UNSURE, Label.HAM)
    stores.add_label(maildirs["bob"], UNSURE, Label.SPAM)

    assert judged(pipeline, maildirs, UNSURE) == {
        "ann": {(Verdict.HAM, Reason.LABELS)},
        "bob": {(Verdict.SPAM, Reason.LABELS)},
        "carl": {(Verdict.UNSURE, Reason.SCORE)},
    }
