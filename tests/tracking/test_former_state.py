"""State folders of earlier versions, which had other content ids, are taken over.

Nothing is lost, and nothing is filed or learned twice.
"""

import contextlib
import os
from pathlib import Path

import pytest
from changed_mail import WAYS
from former_state import FIRST, LAST, former_id, make_former
from inbox import raw
from maildirs import make
from tracked_maildir import TrackedMaildir

from spamlstm.filtering.outcome import Status
from spamlstm.learning.label import Label
from spamlstm.learning.label_store import LabelStore
from spamlstm.maildir.content_id import content_id


def marked(body, number):
    """A message that had another content id in each version."""
    return raw(body, number).replace(b"Subject: x", b"Subject: [EXTERN] x").replace(b"@x.org>", b"@X.org>")


SPAM, MISSED, WRONG, HAM = marked("spam", 1), marked("ham", 2), marked("spam", 3), marked("ham", 4)
FILED, LARGE = marked("ham", 5), marked("ham", 6) + b"a line of a large message\n" * 4000


@pytest.fixture(params=[FIRST, LAST], ids=["first", "last"])
def layouts(request):
    """An earlier version."""
    return request.param


@pytest.fixture
def former(tmp_path, layouts):
    """A Maildir and the state of an earlier version: spam that was filed, labels by moves, and mail in the inbox."""
    one = TrackedMaildir(make(tmp_path / "Maildir"), tmp_path / "state").visited()
    for content in (SPAM, MISSED, WRONG, HAM, FILED, LARGE):
        one.deliver(content=content)
    one.run()
    one.look()
    for content in (MISSED, HAM, FILED, LARGE):
        one.flag(content, "S")
    for content, folder in ((MISSED, one.junk), (WRONG, one.root), (FILED, one.archive), (LARGE, one.archive)):
        one.move(content, folder)
    one.look()
    assert len(one.labels()) == 4
    one.label_stores.close()
    one.mailbox_state.close()
    one.journal.close()
    make_former(one.state, [SPAM, MISSED, WRONG, HAM, FILED, LARGE], layouts)
    yield one
    one.label_stores.close()
    one.mailbox_state.close()


def start(one):
    one.__dict__.pop("mailbox_state")
    one.open()
    return one


def test_nothing_changes(former, layouts):
    """After the upgrade, no label is added, changed or lost, and nothing is filed again."""
    one = start(former)
    places = {path: path.read_bytes() for path in Path(one.root).rglob("*:2,*")}
    for _ in range(2):
        one.run()
        one.look()
    assert {path: path.read_bytes() for path in Path(one.root).rglob("*:2,*")} == places
    large = former_id(LARGE, layouts)
    assert one.labels() == {
        content_id(MISSED): "spam",
        content_id(WRONG): "ham",
        content_id(FILED): "ham",
        large: "ham",
    }


@pytest.mark.parametrize("way", [None, "X-Antivirus added", "Received lost", "headers folded at each space"])
@pytest.mark.parametrize("visited", [True, False])
def test_moves_after_the_upgrade(former, way, visited):
    """Moves are recognised; if a visit came first, also those in which the headers change."""
    if way is not None and not visited:
        return  # the former content id cannot be computed from changed headers
    one = start(former)
    if visited:
        one.look()
    for content, folder in ((SPAM, one.root), (HAM, one.junk), (MISSED, one.archive)):
        target = one.move(content, folder)
        if way is not None:
            Path(target).write_bytes(WAYS[way](Path(target).read_bytes()))
            os.utime(target, (one.clock.now + 1,) * 2)
    assert {outcome.status for outcome in one.run()} <= {Status.KNOWN}
    one.look()
    labels = one.labels()
    assert [labels.get(content_id(content)) for content in (SPAM, HAM, MISSED)] == ["ham", "spam", "ham"]
    assert [len(one.where(content)) for content in (SPAM, HAM, MISSED)] == [1, 1, 1]
    assert one.where(SPAM)[0].folder.rstrip("/") == one.root


def test_undo_after_the_upgrade(former, layouts):
    """Acts of the earlier version can be undone, all or those on one message."""
    one = start(former)
    results = one.undo(contents=[content_id(SPAM), former_id(SPAM, layouts)])
    assert [result.status for result in results] == ["undone"]
    one.look()
    assert content_id(SPAM) not in one.labels()
    assert one.where(SPAM)[0].folder.rstrip("/") == one.root


def test_labels_after_the_upgrade(former):
    """A label is found under the present id. If the message is not stored completely, it is found by the message."""
    with contextlib.closing(LabelStore.open(former.state)) as labels:
        before = [stored.id for stored in labels.last()]
        assert labels.label(content_id(MISSED)) is Label.SPAM
        assert labels.label(content_id(LARGE)) is None
        labels.renew(LARGE, content_id(LARGE))
        assert labels.label(content_id(LARGE)) is Label.HAM
        assert [stored.id for stored in labels.last()] == before
        labels.renew(LARGE, content_id(LARGE))
        assert labels.forget(content_id(LARGE))
        assert len(list(labels.last())) == 3


@pytest.mark.parametrize("layouts", [FIRST], ids=["first"])
def test_two_deliveries_of_one_message(former, layouts):
    """Of two rows of one message, the later stays, and the labels are learned again without the other."""
    with contextlib.closing(LabelStore.open(former.state)) as labels:
        epoch = labels.epoch
    again = MISSED.replace(b"mx id 2", b"mx id 22")
    with contextlib.closing(LabelStore.open(former.state)) as labels:
        connection = labels._connection
        connection.execute(
            "UPDATE labels SET content = ? WHERE label = 'spam'", (bytes.fromhex(former_id(MISSED, layouts)),)
        )
        columns = "time, prior, model, subject, mail, origin, source, tokens, sender, answered"
        row = f"SELECT 99, ?, 'ham', {columns} FROM labels WHERE id = 1"  # noqa: S608  constants
        connection.execute(f"INSERT INTO labels {row}", (bytes.fromhex(former_id(again, layouts)),))
        connection.execute("UPDATE labels SET mail = (SELECT mail FROM labels WHERE label = 'spam') WHERE id = 99")
        connection.execute("PRAGMA user_version = 7")
    with contextlib.closing(LabelStore.open(former.state)) as labels:
        assert labels.label(content_id(MISSED)) is Label.HAM
        assert len(list(labels.last())) == 4
        assert labels.epoch == epoch + 1


@pytest.mark.parametrize("layouts", [LAST], ids=["last"])
def test_marked_later(former):
    """Spam that the last version filed is recognised if a program marks its subject when its user takes it back."""
    one = start(former)
    one.look()
    target = one.move(SPAM, one.root)
    Path(target).write_bytes(Path(target).read_bytes().replace(b"Subject: ", b"Subject: ***SPAM*** "))
    os.utime(target, (one.clock.now + 1,) * 2)
    assert {outcome.status for outcome in one.run()} <= {Status.KNOWN}
    one.look()
    assert one.labels()[content_id(SPAM)] == "ham"
