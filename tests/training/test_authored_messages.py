"""The messages of `training/messages`: both classes alike, and apart from the mail that models are judged by."""

from pathlib import Path

import pytest

from spamlstm.corpus.labelled_mail import read_labelled
from spamlstm.features.render import BODY, cut_windows, render
from spamlstm.learning.reference_mail import reference_mail
from spamlstm.message.message import parse_message
from spamlstm.model.text_groups import groups, text_to_compare

ROOT = Path(__file__).resolve().parents[2]
ARCHIVES = sorted((ROOT / "training/messages").glob("*.tar.xz"))


def first_window(raw):
    """Return the first window of the rendered message."""
    return cut_windows(render(parse_message(raw)), size=1000, most=6)[0]


@pytest.fixture(scope="module")
def texts():
    """The first windows of the messages of each archive, without those that have hardly any words."""
    return {
        path: [window for window in (first_window(one.raw) for one in read_labelled(path)) if has_words(window)]
        for path in ARCHIVES
    }


def has_words(window):
    """Return whether the body has enough words to tell its message from others."""
    return len(window.partition(BODY)[2].split()) >= 12


@pytest.mark.parametrize("path", ARCHIVES, ids=lambda path: path.name)
def test_both_classes_are_alike(path):
    """Each archive has at least 150 messages, neither class has under 40 % of them, and each kind has both classes."""
    mail = list(read_labelled(path))
    spam = [one.label == "spam" for one in mail]
    assert len(mail) >= 150
    assert 0.4 <= sum(spam) / len(mail) <= 0.6
    kinds = {one.source: {other.label for other in mail if other.source == one.source} for one in mail}
    assert all(labels == {"ham", "spam"} for labels in kinds.values()), kinds


@pytest.mark.parametrize("path", ARCHIVES, ids=lambda path: path.name)
def test_each_archive_is_a_source_of_its_own(path):
    """The source is the name of the archive, by which training can leave it out, and all messages have a date."""
    mail = list(read_labelled(path))
    assert {one.source.partition("/")[0] for one in mail} == {path.name.removesuffix(".tar.xz")}
    assert all(one.date for one in mail)


def test_no_message_is_like_one_that_judges_models(texts):
    """No message is a near-duplicate of a case or of a reference message: these are never learned."""
    judging = [path.read_bytes() for path in sorted((ROOT / "tests/cases").rglob("*.eml"))]
    judging += [one.raw for one in reference_mail()]
    kept_apart = [window for window in map(first_window, judging) if has_words(window)]
    assert len(kept_apart) > 150

    learned = [window for windows in texts.values() for window in windows]
    group = groups(text_to_compare(window) for window in [*learned, *kept_apart])
    assert not {*group[: len(learned)].tolist()} & {*group[len(learned) :].tolist()}
