"""The same message gets the same score on an IMAP server as in every other way in (tests/cli/test_ways_in.py)."""

import contextlib
import logging
import shutil

import maildirs
import pytest
from dovecot import running
from imap_account import SPECIAL, served
from own_mail import COUNT, is_unchanged_by_servers, own_mail

from spamlstm.config import CatchUp, Config, DaemonConfig
from spamlstm.filtering.event_log import logger
from spamlstm.maildir.content_id import content_id
from spamlstm.model.classifier import Classifier
from spamlstm.model.registry import find_bundle

pytestmark = [
    pytest.mark.peers,
    pytest.mark.model,
    pytest.mark.timeout(240),
    pytest.mark.skipif(shutil.which("dovecot") is None, reason="dovecot is not installed here"),
]


@contextlib.contextmanager
def judged():
    """Give the fields of the events about classified messages by content id."""

    class Collector(logging.Handler):
        def emit(self, record):
            if getattr(record, "event", "") == "judged":
                found[record.fields["id"]] = record.fields

    found, collector, level = {}, Collector(), logger.level
    logger.addHandler(collector)
    logger.setLevel(logging.INFO)
    try:
        yield found
    finally:
        logger.removeHandler(collector)
        logger.setLevel(level)


def test_the_same_score_on_a_server(tmp_path):
    """All messages that a server returns by IMAP get the score of a message alone, if no server need repair them.

    Whatever is classified together with them, all three decimals of the log are those of the message alone.
    """
    messages = {content_id(raw): raw for raw in own_mail() if is_unchanged_by_servers(raw)}
    assert len(messages) > COUNT / 2
    config = Config(daemon=DaemonConfig(catch_up=CatchUp.ALL, dry_run=False))
    with running(SPECIAL) as server, judged() as found:
        for number, raw in enumerate(messages.values()):
            maildirs.by_rename(server.maildir, f"{number:03}.host", raw).chmod(0o666)
        with served(server, tmp_path / "state", find_bundle(None), config=config) as account:
            assert sum(account.tally.judged.values()) == len(messages)
        assert server.complaints() == []
    classifier = Classifier.open()
    alone = {content: classifier.classify(raw) for content, raw in messages.items()}
    expected = {content: (one.verdict, rounded(one.score), one.reason) for content, one in alone.items()}
    assert {content: (one["verdict"], one.get("score"), one["reason"]) for content, one in found.items()} == expected


def rounded(score):
    """Return a score as the log has it."""
    return None if score is None else round(score, 3)
