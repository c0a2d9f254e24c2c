"""The rendering changes only together with TEXT_VERSION, which binds each bundle to the text it was trained on."""

import json
import re

import pytest
from golden import COMMAND, FILE, MESSAGES, rendered

from spamlstm.features.render import MARKS, SECONDARY, TEXT_VERSION

KEPT = json.loads(FILE.read_text("utf-8"))
ADVICE = f"raise TEXT_VERSION in spamlstm/features and regenerate with `{COMMAND}`"
# Marks that no message leads to.
NEVER: set[str] = set()


def test_version():
    """The golden texts are those of the present TEXT_VERSION."""
    assert KEPT["text_version"] == TEXT_VERSION, f"golden.json is of another version: run `{COMMAND}`"


@pytest.mark.parametrize("name", MESSAGES)
def test_golden(name):
    """Each message renders as its golden text."""
    assert rendered(MESSAGES[name]) == KEPT["texts"].get(name), f"the rendering of {name!r} has changed: {ADVICE}"


def test_coverage():
    """Every mark occurs in a golden text, so a change to any fact fails a test."""
    text = json.dumps(KEPT["texts"], ensure_ascii=False)
    assert {mark.strip("⟦⟧") for mark in MARKS if mark not in text} == NEVER


def test_every_mark_is_declared():
    """Every mark in a golden text is in MARKS; another mark would be read as several tokens.

    SECONDARY only separates texts. No window has it.
    """
    found = set(re.findall(r"⟦[^⟦⟧]*⟧", json.dumps(KEPT["texts"], ensure_ascii=False)))
    assert found - {SECONDARY} <= set(MARKS)
