"""Disguised copies of real mail: readable, repeatable, padded with ham, and in one group with their originals."""

from email import message_from_bytes
from email.policy import default
from random import Random

import pytest
import small_corpus
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.message.message import parse_message
from training.evaded import Donors, evaded_copy
from training.innocent import Innocent, innocent_text, language_of
from training.sampling import split

SPAM = (
    b"From: Shop <info@shop.example>\nTo: anna@home.example\nSubject: Cheap watches\nMessage-ID: <1@shop.example>\n"
    b"DKIM-Signature: v=1; d=shop.example; b=x\nDate: Tue, 4 Mar 2025 09:12:44 +0000\nMIME-Version: 1.0\n"
    b'Content-Type: multipart/alternative; boundary="b"\n\n--b\nContent-Type: text/plain; charset=utf-8\n\n'
    b"Order the cheapest watches today and visit our shop at http://bad.example/x for the best offers\n"
    b"--b\nContent-Type: text/html; charset=utf-8\n\n<html><body><p>Order the cheapest watches today</p>"
    b'<a href="http://bad.example/x">here</a></body></html>\n--b--\n'
)
HAM_SENTENCES = "The garden society meets on Thursday evening. Bring the seeds for the children of the school. " * 3


@pytest.fixture(scope="module")
def innocent():
    return Innocent([HAM_SENTENCES, "Die Gruppe trifft sich am Donnerstag und bringt die Samen mit. " * 3])


@pytest.mark.parametrize("label", ["ham", "spam"])
def test_a_copy_is_a_changed_readable_message(innocent, label):
    """Each copy differs from its message, has a sender and a subject, and this project's parser reads it."""
    for seed in range(120):
        raw = evaded_copy(SPAM, label, innocent, Random(seed))
        assert raw is not None
        assert raw != SPAM
        message = message_from_bytes(raw, policy=default)
        assert message["From"], raw
        assert message["Subject"] is not None
        assert message["To"] == "anna@home.example"
        assert parse_message(raw).headers


def test_the_same_draw_gives_the_same_copy(innocent):
    """A copy depends only on the message, the sentences and the random numbers."""
    copies = [[evaded_copy(SPAM, "spam", innocent, Random(seed)) for seed in range(30)] for _ in range(2)]

    assert copies[0] == copies[1]
    assert len(set(copies[0])) == 30


def test_an_aligned_copy_has_one_sender(innocent):
    """In a copy from an aligned domain, From, signature, envelope, Message-ID and links belong to that domain."""
    found = 0
    for seed in range(300):
        raw = evaded_copy(SPAM, "spam", innocent, Random(seed)) or b""
        message = message_from_bytes(raw, policy=default)
        domain = str(message["From"]).rpartition("@")[2].strip(">")
        if domain == "shop.example":
            continue
        found += 1
        assert str(message["Return-Path"]).endswith(f"@{domain}>")
        assert str(message["Message-ID"]).endswith(f"@{domain}>")
        assert b"d=shop.example" not in raw
        assert b"http://bad.example" not in raw
    assert found > 5


def test_padding_has_the_language_of_the_message(innocent):
    """Padding is made of sentences in the language of the message, if there are any, and otherwise in another one."""
    assert "Samen" in innocent.words(Random(1), "de", 12)
    assert "garden" in innocent.words(Random(1), "en", 30)
    assert innocent.words(Random(1), "ja", 12)
    assert not Innocent([])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The meeting of the society is on Thursday and you are welcome", "en"),
        ("Die Sitzung ist am Donnerstag und wir freuen uns auf dich", "de"),
        ("La réunion est jeudi et nous serons heureux de vous voir dans la salle", "fr"),
        ("La reunión es el jueves y los esperamos en la sala con una taza", "es"),
        ("Zebranie jest w czwartek i nie trzeba się zapisywać", "pl"),
        ("会議は木曜日に行われます", "ja"),
        ("Встреча в четверг вечером", "ru"),
        ("我们星期四开会", "zh"),
        ("", "en"),
    ],
)
def test_a_language_is_recognised(text, code):
    """Languages are told apart by their scripts and their short words."""
    assert language_of(text) == code


@given(st.binary(max_size=300), st.integers(0, 50))
def test_no_message_raises(data, seed):
    """Whatever a message is made of, it is copied or skipped."""
    innocent = Innocent([HAM_SENTENCES])
    evaded_copy(data, "spam", innocent, Random(seed))
    evaded_copy(SPAM[: 40 + seed] + data + SPAM[400:], "ham", innocent, Random(seed))


def test_a_message_without_text_or_donors_is_not_copied(innocent):
    """There is no copy of a message without text or above the limit of size, and none without innocent sentences."""
    assert evaded_copy(b"From: a@b.example\n\n", "spam", innocent, Random(1)) is None
    assert evaded_copy(SPAM + b"x" * 300_000, "spam", innocent, Random(1)) is None
    assert evaded_copy(SPAM, "spam", innocent_text([]), Random(1)) is None


def test_donors_are_of_the_corpus_that_is_read():
    """Ham of the current corpus pads its copies; ham of earlier ones does if the current one has little."""
    donors = Donors(1)
    donors.next_corpus()
    first = donors.take([b"first"] * 80)
    donors.next_corpus()

    assert set(first) == {b"first"}
    assert set(donors.take([b"second"] * 5)) == {b"first"}
    assert set(donors.take([b"second"] * 80)) == {b"second"}


def test_copies_are_rows_in_the_group_of_their_originals(tmp_path, load):
    """With a share of 0.3 about as many messages get a copy, in one group with it; without, there is none."""
    corpus = small_corpus.indexed(tmp_path / "corpus", {"a": 150, "b": 150})
    data, plain = load(corpus, evaded=0.3), load(corpus)
    copies = [index for index, row in enumerate(data.rows) if row.source.startswith("evaded:")]
    originals = {(row.source, row.id): index for index, row in enumerate(data.rows) if index not in set(copies)}

    assert len(plain) == 300
    assert 0.2 * 300 < len(copies) < 0.4 * 300
    assert data.fingerprint() == load(corpus, evaded=0.3).fingerprint()
    for index in copies:
        row = data.rows[index]
        original = originals[row.source.removeprefix("evaded:"), row.id]
        assert data.group[index] == data.group[original]
        assert row.spam == data.rows[original].spam
    held = split(data, leave_out=["a"])
    assert not {data.rows[index].source for index in held.train} & {"a", "evaded:a"}
