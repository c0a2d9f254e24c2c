"""A loop over the Maildirs of a folder, in which one Maildir is."""

import pytest
from maildirs import make
from running_loop import running_loop


@pytest.fixture
def box(tmp_path):
    return make(tmp_path / "ann")


@pytest.fixture
def running(tmp_path, box):
    """A daemon that watches every Maildir in tmp_path; `load` calls `running.next`, which the test sets."""
    with running_loop(tmp_path) as running:
        yield running
