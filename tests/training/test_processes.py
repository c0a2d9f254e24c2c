"""Several trainings at the same time."""

import multiprocessing
import os

import pytest

pytest.importorskip("torch", reason="the train extra is not installed")

from spamlstm.errors import DataError
from training.processes import run_together


def test_all_work_is_done_and_its_lines_are_said(tmp_path):
    """Each function runs in a process of its own, and its lines come with its name."""
    lines = []

    def work(name):
        def run(say):
            say("begins")
            (tmp_path / name).write_text(str(os.getpid()))

        return run

    run_together([(name, work(name)) for name in ("one", "two", "three")], most=2, say=lines.append)

    assert sorted(lines) == ["one: begins", "three: begins", "two: begins"]
    processes = {(tmp_path / name).read_text() for name in ("one", "two", "three")}
    assert len(processes) == 3
    assert str(os.getpid()) not in processes


def test_an_error_ends_only_its_own_process(tmp_path):
    """What fails in a process is missing afterwards; the other work is done."""

    def fail(_):
        raise DataError("no mail")

    run_together([("bad", fail), ("good", lambda _: (tmp_path / "done").touch())], most=1, say=print)

    assert (tmp_path / "done").exists()


def test_an_interrupt_ends_all_processes():
    """Ctrl-C while the processes work ends them."""

    def forever(say):
        say("begins")
        while True:
            os.sched_yield()

    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_together([("endless", forever)], most=2, say=interrupt)
    assert not multiprocessing.active_children()
