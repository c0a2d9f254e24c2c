"""Compressed mail is judged as plain mail, filed by a rename, and never rewritten."""

# ruff: noqa: PTH118  as in maildir

import os
import sys
from pathlib import Path

import pytest
from compressed import ALL, gz
from inbox import raw

from spamlstm.filtering.undo import UndoStatus

SPAM = raw("spam", 900)
UNSURE = raw("unsure", 901)


@pytest.mark.parametrize("compress", ALL)
def test_filed_and_back(inbox, compress):
    """Spam is filed with its bytes, its flags and its plain size in the name; undo brings it back unchanged."""
    one = inbox()
    stored = compress(SPAM)
    name = f"a,S={len(SPAM)},W={len(SPAM) + 6}:2,SZ"
    one.deliver(content=stored, name=name, part="cur")
    one.deliver(content=compress(raw("spam", 902)), name=f"b,S={len(SPAM)}")
    first, second = one.run()
    assert (first.actions, second.actions) == (("file",), ("file",))
    assert one.contents(one.junk) == sorted([stored, compress(raw("spam", 902))])
    ((_, read), (_, unread)) = one.names(one.junk)
    assert read.endswith(name[1:])
    assert unread.endswith(f",S={len(SPAM)}")
    assert [result.status for result in one.undo()] == [UndoStatus.UNDONE] * 2
    assert one.contents() == sorted([stored, compress(raw("spam", 902))])
    assert one.run() == []


def test_compressed_mail_is_not_tagged(inbox):
    """Unsure mail keeps its bytes and its name, because headers cannot be added without writing it again."""
    one = inbox()
    one.deliver(content=gz(UNSURE), name="a,S=9")
    assert [outcome.status for outcome in one.run()] == ["left"]
    assert one.names() == [("new", "a,S=9")]
    assert one.contents() == [gz(UNSURE)]


def test_the_same_message_compressed_has_its_content_id(inbox):
    """The content id is that of the plain message, so that a copy that a server compressed is the same message."""
    one = inbox(spam=())
    one.deliver(content=SPAM)
    (plain,) = one.run()
    one.deliver(content=gz(SPAM))
    (stored,) = one.run()
    assert plain.content == stored.content != ""


def test_compressed_after_it_was_tagged(inbox):
    """A tagged message that a script compressed since then is moved back as it is."""
    one = inbox()
    one.deliver(content=SPAM)
    one.run()
    ((part, name),) = one.names(one.junk)
    path = Path(one.junk, part, name)
    stored = gz(path.read_bytes())
    path.write_bytes(stored)
    (undone,) = one.undo()
    assert undone.status == UndoStatus.UNDONE
    assert one.contents() == [stored]


def test_without_the_package(inbox, monkeypatch):
    """The message stays, is counted, and is judged once the package is there."""
    one = inbox()
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    one.deliver(content=b"\x28\xb5\x2f\xfd" + bytes(100))
    (outcome,) = one.run()
    assert (outcome.status, outcome.kind) == ("failed", "compressed")
    assert outcome.failure == "it is compressed with zstd; install the package zstandard, or spamlstm[compressed]"
    assert one.counters.failed == {"compressed": 1}
    assert len(one.names()) == 1


def test_a_bomb_is_left_alone(inbox):
    """A message that would be larger than any mail is not judged."""
    one = inbox()
    one.deliver(content=gz(bytes(65 << 20)))
    (outcome,) = one.run()
    assert (outcome.status, outcome.kind) == ("failed", "too-large")
    assert len(one.names()) == 1
    assert os.listdir(os.path.join(one.root, "tmp")) == []  # noqa: PTH208
