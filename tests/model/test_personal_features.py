"""Personal features are the same for a message and its copies, and the same in memory and in the store."""

import os
import subprocess
import sys
from array import array
from base64 import encodebytes

import numpy as np
import pytest
from few_labels import MAILS
from hypothesis import given
from hypothesis import strategies as st
from tiny_bundle import mail
from unlike_letters import letter

from spamlstm.model.classifier import Classifier
from spamlstm.model.personal_features import (
    FEATURES,
    NO_PART,
    joined,
    packed_tokens,
    parts_of,
    runs,
    runs_of,
    text_sketch,
    tokens,
    unpacked_tokens,
    weighted,
)

Rows = st.lists(
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=50).map(lambda ids: array("I", ids)), max_size=3
)


@given(raw=st.binary(max_size=5000), rows=Rows, windows=st.lists(st.text(), max_size=3))
def test_numbers_in_order_and_each_once(raw, rows, windows):
    """For any mail, features are ascending and distinct, in the order of their kinds, and survive packing."""
    found = joined(runs(raw), tokens(rows), text_sketch(windows, sender="ann@x.org"))
    assert found.dtype == np.uint32
    assert (np.diff(found.astype(np.int64)) > 0).all()
    assert (weighted(found) == joined(runs(raw), tokens(rows))).all()
    assert (found[len(weighted(found)) :] >= FEATURES).all()
    assert len(found) - len(weighted(found)) <= 65
    assert (runs_of(found) == runs(raw)).all()
    assert (joined(runs(raw), unpacked_tokens(packed_tokens(found))) == found).all()


def test_a_tagged_copy_has_the_same(tiny):
    """A file that the filter has tagged, and one with CRLF as IMAP has, has the same features."""
    base = Classifier.open(tiny, personal_features=True)
    raw = mail("a meeting about the garden, and of nothing else", subject="garden").replace(b"\r", b"")
    plain, tagged = base.assess(raw), base.assess(b"X-Spam-Status: Yes, score=9\r\n" + raw.replace(b"\n", b"\r\n"))
    assert len(plain.tokens) > 20
    assert (plain.personal_features == tagged.personal_features).all()


DATES = ("Sun, 29 Nov 2026 02:03:04 +0000 (UTC)", "9 Jan 2027 23:59:58 +0100", "Mon,  4 Jan 2027 00:00:00 -0330 (NST)")


def test_the_time_of_arrival_has_no_effect(tiny):
    """The same message has the same features whenever a server received it, and other messages have others."""
    base = Classifier.open(tiny, personal_features=True)
    head = "Received: from mail.example.com ([192.0.2.7])\n\tby mx.example.net (Postfix) with ESMTP id 4A;{}{}\n"
    found = [
        base.assess(head.format(space, date).encode() + mail("a meeting", subject="garden")).personal_features
        for date in DATES
        for space in (" ", "\n\t")
    ]
    assert all((one == found[0]).all() for one in found)
    other = base.assess(head.replace("4A", "4B").format(" ", DATES[0]).encode() + mail("a meeting", subject="garden"))
    assert not np.array_equal(other.personal_features, found[0])


SAME = """
import sys, hashlib, threading
from pathlib import Path
from unlike_letters import letter
from spamlstm.model.classifier import Classifier
from spamlstm.model.personal_layer import PersonalLayer
base, layer = Classifier.open(Path(sys.argv[1]), personal_features=True, threads=int(sys.argv[2])), PersonalLayer()
for number in range(30):
    one = base.assess(letter(number, spam=number % 3 == 0))
    layer.learn(one.personal_features, prior=one.prior, spam=number % 3 == 0, sender=one.sender)
scores = [layer.score(one.personal_features, one.prior) for one in (base.assess(letter(7, spam=s)) for s in (0, 1))]
print(hashlib.sha256(layer.dump()).hexdigest(), scores)
"""


def test_the_same_labels_give_the_same_layer(tiny, root):
    """What is learned is equal to the bit, whatever the hash seed, the threads and the time zone of the process."""
    path = os.pathsep.join(map(str, (root, root / "tests" / "fixtures")))
    outputs = {
        subprocess.run(
            [sys.executable, "-c", SAME, str(tiny), threads],
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": seed, "TZ": zone},
            capture_output=True,
            check=True,
        ).stdout
        for seed, threads, zone in (("1", "1", "UTC"), ("2", "2", "Asia/Kathmandu"))
    }
    assert len(outputs) == 1


def test_what_a_message_is_about_counts_however_it_was_encoded(tiny):
    """A letter in base64 has other runs, but the same tokens."""
    base = Classifier.open(tiny, personal_features=True)
    head, text = mail(" ".join(f"word{number} other" for number in range(60)), subject="garden").split(b"\r\n\r\n", 1)
    encoded = head.replace(b"8bit", b"base64") + b"\r\n\r\n" + encodebytes(text)
    plain, other = (unpacked_tokens(base.assess(raw).tokens) for raw in (head + b"\r\n\r\n" + text, encoded))
    assert len(np.intersect1d(plain, other)) > 0.8 * len(plain)
    assert len(np.intersect1d(runs(text), runs(encodebytes(text)))) < 0.05 * len(runs(text))


def test_tokens_without_features_are_an_error(tiny):
    """Without personal features, `tokens` is an error and not an empty result, which would lose what the base read."""
    with pytest.raises(ValueError, match="without personal features"):
        _ = Classifier.open(tiny).assess(mail("a meeting")).tokens


def sketched(raw, tiny):
    """Return the parts of the text sketch of a message, and the part of its sender."""
    *parts, sender = parts_of(Classifier.open(tiny, personal_features=True).assess(raw).personal_features).tolist()
    return parts, sender


def equal(one, other):
    return np.mean([a == b != NO_PART for a, b in zip(one, other, strict=True)])


def test_the_text_sketch_depends_on_the_text_alone(tiny):
    """One text has one sketch, whatever the sender, subject, numbers and layout; another text has another sketch."""
    text, another = (letter(number, spam=False).partition(b"\r\n\r\n")[2].decode() for number in (1, 2))
    first, ann = sketched(mail(text, subject="one", sender="ann@x.org"), tiny)
    second, bob = sketched(mail(text.replace(" ", " 17\r\n"), subject="another", sender="bob@y.org"), tiny)
    third, _ = sketched(mail(another, subject="one", sender="ann@x.org"), tiny)
    assert equal(first, second) > 0.8  # a longer layout is cut into other windows
    assert ann != bob
    assert equal(first, third) < 0.1


@given(text=st.text(max_size=500), more=st.text(max_size=200))
def test_a_longer_text_has_no_larger_parts(text, more):
    """The sketch of a text that continues another has its parts or smaller ones, for text in any script."""
    part, whole = (parts_of(text_sketch([f"⟦body⟧{one}"], sender="")) for one in (text, text + more))
    assert (whole <= part).all()
    assert ((whole == part) | (whole < NO_PART)).all()


@pytest.mark.parametrize(
    "letters", ["abcdefghijklmnopqrstuvwxyz", "абвгдежзийклмнопрстуфхцчшщ", "กขคงจฉชซญดตถทธนบปผฝพ"]
)
def test_texts_of_one_script_are_not_similar(letters):
    """Two texts in one alphabet have nothing in common, also in alphabets that the vocabulary spells out."""
    random = np.random.default_rng(3)
    one, other = ("".join(random.choice(list(letters), 600)) for _ in range(2))
    sketches = (parts_of(text_sketch([f"⟦body⟧{text}"], sender=""))[:-1].tolist() for text in (one, other))
    assert equal(*sketches) < 0.05


def test_bytes_of_mail_do_not_depend_on_what_filters_add():
    """Headers that filters, including this one, add after delivery are not features."""
    tagged = b"From x Sun Apr  8 13:09:29 2007\r\nX-Spam-Status: Yes, score=9\r\n" + MAILS[0].replace(b"\n", b"\r\n")
    assert (runs(tagged) == runs(MAILS[0])).all()
