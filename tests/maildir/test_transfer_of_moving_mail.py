"""Messages that others move, link or copy while they are transferred: each is there once, where its user put it."""

# ruff: noqa: PTH104, PTH108, PTH110, PTH118  as in maildir

import os

import pytest
from interruption import Interruption
from maildirs import make
from readers_and_kills import (
    FRESH,
    OLD,
    carry_out,
    deliver,
    everything,
    identity,
    settle,
)

from spamlstm.maildir import names
from spamlstm.maildir.transfer import TransferResult

DONE, UNDONE, GONE = TransferResult.DONE, TransferResult.UNDONE, TransferResult.GONE
# A rename, and a replacement by a fresh file.
BOTH = pytest.mark.parametrize("content", [None, FRESH], ids=["rename", "replace"])


def after_publishing(act):
    """Call `act` when the fresh message is in its folder and the old one is still there: before the second fsync."""
    return Interruption(1, act, calls=("fsync",))


@BOTH
def test_a_name_given_to_another_message(root, content):
    """Mail that was delivered under a name used before (procmail) is not taken for what was read."""
    source = deliver(root)
    known = identity(source)
    os.rename(source, os.path.join(root, "cur", "1.host:2,S"))
    deliver(root, content=b"another")

    assert carry_out(root, source, content, expected=known).result is GONE
    assert sorted(everything(root)) == [OLD, b"another"]


def test_a_name_given_away_at_the_last_moment(root, junk):
    """A message that got the name after the fresh one was published is not removed, nor taken for the old one later."""
    source = deliver(root)
    known, base = identity(source), names.unique()

    def act():
        os.rename(source, os.path.join(root, "cur", "1.host:2,"))
        deliver(root, content=b"another")

    with after_publishing(act):
        assert carry_out(junk, source, FRESH, base=base).result is GONE

    assert sorted(everything(root, junk)) == [OLD, b"another"]
    os.unlink(os.path.join(root, "cur", "1.host:2,"))
    assert settle(source, junk, base=base, expected=known) is GONE
    assert everything(root, junk) == [b"another"]


def test_a_removal_that_says_it_failed(root, junk):
    """NFS may say 'no such file' of a removal that was done: the fresh message is the only one then, and stays."""
    source = deliver(root)

    with after_publishing(lambda: os.unlink(source)):
        assert carry_out(junk, source, FRESH).result is DONE

    assert everything(root, junk) == [FRESH]


@pytest.mark.parametrize("how", [os.rename, os.link])
def test_a_user_who_moves_it_at_the_last_moment(root, junk, tmp_path, how):
    """A message that was moved elsewhere after the fresh one was published is there once, where it was moved to."""
    archive = make(tmp_path / "Maildir" / ".Archive")
    source = deliver(root)
    known, base = identity(source), names.unique()

    def act():
        how(source, os.path.join(archive, "cur", "2.host:2,S"))
        if os.path.exists(source):
            os.unlink(source)

    with after_publishing(act):
        assert carry_out(junk, source, FRESH, base=base).result is GONE

    assert everything(root, junk, archive) == [OLD]
    assert settle(source, junk, base=base, expected=known) is GONE


def test_one_listing_does_not_prove_that_a_message_is_gone(root, junk):
    """A message that moves from cur to new while both are listed is found by a second listing, and is not doubled."""
    source = deliver(root, "1.host:2,S", part="cur")
    known, base = identity(source), names.unique()
    deliver(junk, base, content=FRESH)

    with Interruption(1, lambda: os.rename(source, os.path.join(root, "new", "1.host")), calls=("scandir",)):
        assert settle(source, junk, base=base, expected=known) is UNDONE

    assert everything(root, junk) == [OLD]


@BOTH
def test_a_move_that_is_half_done(root, junk, tmp_path, content):
    """A server moves by a link and then an unlink. If all of our steps come between, its link is the message."""
    archive = make(tmp_path / "Maildir" / ".Archive")
    source = deliver(root)
    known = identity(source)
    os.link(source, os.path.join(archive, "cur", "1.host:2,S"))

    assert carry_out(junk, source, content, expected=known).result is GONE
    assert everything(root, junk, archive) == [OLD]


@BOTH
@pytest.mark.parametrize("when", ["before it was read", "while it was replaced"])
def test_links_of_others_are_no_move(root, junk, tmp_path, when, content):
    """A backup made of links, or a copy that was there before, takes nothing from the user's folders."""
    other = make(tmp_path / "Maildir" / ".Copies") if when == "before it was read" else make(tmp_path / "backup")
    source = deliver(root)
    known = identity(source)
    os.link(source, os.path.join(other, "cur", "1.host"))
    if when == "before it was read":
        known = identity(source)

    assert carry_out(junk, source, content, expected=known).result is DONE
    assert (everything(root, junk), everything(other)) == ([content or OLD], [OLD])


def test_a_copy_of_what_was_moved(root, junk, tmp_path):
    """A user may copy what we filed, by a link, before we are back from a crash: both are the user's, and both stay."""
    archive = make(tmp_path / "Maildir" / ".Archive")
    source = deliver(root)
    known, base = identity(source), names.unique()
    carry_out(junk, source, base=base)
    os.link(os.path.join(junk, "new", base), os.path.join(archive, "cur", "2.host:2,S"))

    assert settle(source, junk, base=base, expected=known) is DONE
    assert everything(junk, archive) == [OLD, OLD]
