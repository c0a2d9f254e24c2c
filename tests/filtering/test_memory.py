"""The bytes of mail that are in memory at once, counted by the interpreter, so that the machine does not matter."""

import tracemalloc

import pytest
from inbox import Inbox
from maildirs import make
from tiny_bundle import make as make_bundle
from tracked_maildir import TrackedMaildir

from spamlstm.config import Action
from spamlstm.filtering.outcome import Status
from spamlstm.maildir.content_id import content_id
from spamlstm.model.classifier import Classifier

MB = 1 << 20


def large(number, size):
    """Mail of many lines with an attachment in base64, of about `size` bytes."""
    head = f"""Received: by mx id {number}
From: ann@example.org
Subject: the pictures of day {number}
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b

Here are the pictures that I took.
--b
Content-Type: image/jpeg
Content-Transfer-Encoding: base64

"""
    return head.encode() + (b"A" * 76 + b"\n") * (size // 77) + b"--b--\n"


def peak(work):
    """Return the most bytes that were allocated at once while `work` ran, and its result."""
    tracemalloc.start()
    try:
        done = work()
        return tracemalloc.get_traced_memory()[1], done
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return Classifier.open(make_bundle(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.mark.parametrize(
    ("size", "count", "most"),
    [
        # A batch of 16 MiB, as many tagged copies, and a chunk.
        (MB, 60, 50 * MB),
        # One message at a time: its bytes, its tagged copy, and the memory for its content id.
        (6 * MB, 8, 5 * 6 * MB),
    ],
)
def test_large_mail_that_waits(tmp_path, classifier, size, count, most):
    """However many large messages wait to be tagged, memory is bounded by a batch, or by one message."""
    inbox = Inbox(
        make(tmp_path / "Maildir"),
        tmp_path / "state",
        {"ham": (Action.TAG,), "unsure": (Action.TAG,)},
        judge=classifier,
    ).watch()
    inbox.deliver(content=large(count, 1000))
    inbox.run()  # loads what is loaded with the first message
    for number in range(count):
        inbox.deliver(content=large(number, size))
    used, outcomes = peak(inbox.run)
    assert [one.status for one in outcomes] == [Status.DONE] * count
    assert used < most


def test_large_mail_that_is_moved(tmp_path):
    """Large messages that a user moves together are in memory one at a time; all are learned."""
    inbox = TrackedMaildir(make(tmp_path / "Maildir"), tmp_path / "state", {"spam": (), "unsure": ()}).watch()
    mails = [large(number, 3 * MB if number else 1000) for number in range(13)]
    for content in mails:
        inbox.deliver("ham", content=content)
    inbox.run()
    junk = inbox.folder(".Junk")
    inbox.look()
    inbox.move(mails[0], junk)
    inbox.look()  # the store and the layer, which is 14 MB
    for content in mails[1:]:
        inbox.move(content, junk)
    used, _ = peak(inbox.look)
    assert set(inbox.labels()) == set(map(content_id, mails))
    assert used < 6 * 3 * MB
