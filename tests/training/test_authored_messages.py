"""The messages written for training and for judging: both classes alike, and nothing of one among the other."""

from pathlib import Path

import pytest

from spamlstm.corpus.labelled_mail import read_labelled
from spamlstm.features.render import BODY, cut_windows, render
from spamlstm.learning.reference_mail import reference_mail
from spamlstm.message.message import parse_message
from spamlstm.model.text_groups import groups, text_to_compare

ROOT = Path(__file__).resolve().parents[2]
LEARNED = sorted((ROOT / "training/messages").glob("*.tar.xz"))
JUDGING = sorted((ROOT / "benchmarks/messages").glob("*.tar.xz"))


def first_window(raw):
    """Return the first window of the rendered message."""
    return cut_windows(render(parse_message(raw)), size=1000, most=6)[0]


def windows(mail):
    """Return the first windows of the messages that have enough words to tell them from others."""
    return [window for window in map(first_window, mail) if has_words(window)]


def has_words(window):
    """Return whether the body has enough words to tell its message from others."""
    return len(window.partition(BODY)[2].split()) >= 12


@pytest.mark.parametrize("path", [*LEARNED, *JUDGING], ids=lambda path: path.name)
def test_both_classes_are_alike(path):
    """Each archive has at least 150 messages, neither class has under 40 % of them, and each kind has both classes."""
    mail = list(read_labelled(path))
    spam = [one.label == "spam" for one in mail]
    assert len(mail) >= 150
    assert 0.4 <= sum(spam) / len(mail) <= 0.6
    kinds = {one.source: {other.label for other in mail if other.source == one.source} for one in mail}
    assert all(labels == {"ham", "spam"} for labels in kinds.values()), kinds


@pytest.mark.parametrize("path", [*LEARNED, *JUDGING], ids=lambda path: path.name)
def test_each_archive_is_a_source_of_its_own(path):
    """The source is the name of the archive, by which training can leave it out, and all messages have a date."""
    mail = list(read_labelled(path))
    assert {one.source.partition("/")[0] for one in mail} == {path.name.removesuffix(".tar.xz")}
    assert all(one.date for one in mail)


def test_no_learned_message_is_like_one_that_judges_models():
    """No near-duplicate of a case, of a reference message or of a message of `benchmarks/messages` is learned."""
    judging = [path.read_bytes() for path in sorted((ROOT / "tests/cases").rglob("*.eml"))]
    judging += [one.raw for one in reference_mail()]
    judging += [one.raw for path in JUDGING for one in read_labelled(path)]
    learned = windows(one.raw for path in LEARNED for one in read_labelled(path))
    kept_apart = windows(judging)
    assert len(kept_apart) > 900

    group = groups(text_to_compare(window) for window in [*learned, *kept_apart])
    assert not {*group[: len(learned)].tolist()} & {*group[len(learned) :].tolist()}
