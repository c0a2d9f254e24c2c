"""A call of the operating system fails during a visit: the next visits learn each move, and nothing else."""

import errno
import itertools
import os
import shutil
import tempfile
from pathlib import Path
from unittest.mock import patch

import pytest
from interruption import Interruption
from maildirs import make
from tracked_maildir import TrackedMaildir, delivered

from spamlstm.maildir.content_id import content_id
from spamlstm.tracking.label_stores import LabelStores, StoreUnavailableError

CALLS = ("open", "scandir", "stat", "dup")


def fail():
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


@pytest.fixture
def memory():
    """Return a folder on a RAM disk, if there is one."""
    disk = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
    with tempfile.TemporaryDirectory(dir=disk) as folder:
        yield Path(folder)


@pytest.mark.parametrize("always", [False, True], ids=["once", "from then on"])
def test_descriptors_are_short_during_a_visit(memory, always):
    """Whichever call fails, alone or with all later ones, the labels are those of the user's moves in the end.

    A folder that could not be read was not removed, and a file that could not be opened is read at the next visit.
    """
    for number in itertools.count():
        maildir = TrackedMaildir(make(memory / "Maildir"), memory / "state").visited()
        spam, missed = delivered(maildir, "spam"), delivered(maildir, "ham")
        maildir.wait()
        maildir.look()
        maildir.move(spam, maildir.archive, how="copy")
        maildir.move(missed, maildir.junk, how="copy")
        with Interruption(number, fail, calls=CALLS, always=always) as interruption:
            maildir.look()
        for _ in range(2):
            maildir.wait()
            maildir.look()
        assert maildir.labels() == {content_id(spam): "ham", content_id(missed): "spam"}, number
        _remove(maildir)
        if not interruption.happened:
            assert number > 30
            return


def test_descriptors_are_short_while_a_pending_label_is_added(memory):
    """A label that could not be added is added at the next visit, also if no folder has changed."""
    for number in itertools.count():
        maildir = TrackedMaildir(make(memory / "Maildir"), memory / "state").visited()
        missed = delivered(maildir, "ham")
        maildir.move(missed, maildir.junk)
        with patch.object(LabelStores, "add_label", side_effect=StoreUnavailableError):
            for _ in range(2):
                maildir.look()
                maildir.wait()
        assert maildir.labels() == {}
        with Interruption(number, fail, calls=CALLS) as interruption:
            maildir.look()
        maildir.wait()
        maildir.look()
        assert maildir.labels() == {content_id(missed): "spam"}, number
        _remove(maildir)
        if not interruption.happened:
            assert number > 10
            return


def _remove(maildir):
    """Close the databases, and remove the Maildir and the state folder, so that the next attempt begins anew."""
    maildir.label_stores.close()
    maildir.mailbox_state.close()
    for path in (maildir.root, maildir.state):
        shutil.rmtree(path)
