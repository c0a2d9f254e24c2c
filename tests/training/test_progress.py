"""Progress is a bar on a terminal and lines in a log."""

import io

import pytest
from rich.console import Console

from training import progress


def _console(*, terminal):
    return Console(file=io.StringIO(), force_terminal=terminal, width=100)


def test_lines_stand_in_a_log_as_they_are():
    """A log line has no markup, wrapping or colour: a path in brackets stays as it is."""
    console = _console(terminal=False)
    progress.say(console, "[bold] " + "long " * 50)

    assert console.file.getvalue().endswith("[bold] " + "long " * 50 + "\n")


@pytest.mark.parametrize("terminal", [True, False])
def test_counting_is_shown(terminal, monkeypatch):
    """Both ways take counts of any size; a log tells the total and the speed now and then."""
    monkeypatch.setattr("spamlstm.progress.LOG_EVERY_SECONDS", 0.0)
    console = _console(terminal=terminal)
    with progress.shown(console, "reading", each=100) as tick:
        for _ in range(3):
            tick(70)
        progress.say(console, "epoch 2")

    assert "epoch 2" in console.file.getvalue()
    assert ("reading: 210 messages" in console.file.getvalue()) is not terminal
