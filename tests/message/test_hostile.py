"""Mail written to keep a filter busy takes little time; benchmarks/hostile.py measures the same at other sizes."""

import re
import sys
from pathlib import Path

import pytest
from hostile_text import TooSlowError, limit

from spamlstm.maildir.content_id import arrived, content_id
from spamlstm.maildir.headers import tag, untag
from spamlstm.model.reading import MessageReader
from spamlstm.verdict import Judgement, Verdict

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

from hostile_mail import FAMILIES

CASES = {f"{family}: {name}": make for family, cases in FAMILIES.items() for name, make in cases().items()}
SIZE, SECONDS = 256 << 10, 1.0
JUDGEMENT = Judgement(Verdict.SPAM, 0.99, 5.0, "score", "m 1")
READER = MessageReader(4096, 3, style=True, runs=True)


@pytest.mark.parametrize("name", CASES)
def test_hostile_mail(name):
    """Judging and tagging 256 KB of each kind takes less than a second of processor time; 0.1 s were measured."""
    raw = CASES[name](SIZE)

    with limit(SECONDS):
        content = content_id(raw)
        reading = READER.read(raw)
        tagged = tag(raw, JUDGEMENT, version="1", spam_threshold=0.9)
        arrived(raw, stored=1e9)

    assert not reading.failure
    assert untag(tagged) == untag(raw)
    assert content_id(tagged) == content


def test_too_much_is_noticed(monkeypatch):
    """The limit of time stops a pattern that takes the square of a run of spaces."""
    monkeypatch.setattr("spamlstm.model.reading._DATA", re.compile(r"\s*[A-Za-z0-9+/=]{48,}+\s*"))

    with limit(0.2):
        reading = READER.read(CASES["bodies: data and spaces"](SIZE))

    assert TooSlowError.__name__ in reading.failure
