"""The lines of the log, for people and for the journal."""

import io
import logging
import os

import pytest

from spamlstm.daemon.logs import LineFormatter, is_journal, set_up


def record(text, *arguments, level=logging.INFO, error=None):
    info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("spamlstm.x", level, "x.py", 1, text, arguments, info)


def test_the_journal_gets_priorities():
    """Each line starts with the priority in angle brackets, sd-daemon(3)."""
    line = LineFormatter(journal=True).format
    assert line(record("ready")) == "<6>ready"
    assert line(record("late", level=logging.WARNING)) == "<4>late"
    assert line(record("broken", level=logging.ERROR)) == "<3>broken"


def test_people_get_the_time():
    """A line for people begins with the time and, from warning on, the level."""
    assert (
        LineFormatter(journal=False).format(record("late by %d s", 3, level=logging.WARNING))[8:]
        == " warning: late by 3 s"
    )


def test_one_event_is_one_line_without_control_characters():
    """Line ends and control characters in a file name are escaped."""
    assert LineFormatter(journal=True).format(record("name=%s", "a\nb\x1b[2J\udcff")) == "<6>name=a\\nb\\x1b[2J\\udcff"


def test_a_bug_is_logged_by_its_place_not_its_text():
    """An exception's text may quote a message."""
    try:
        int("Dear Ann")
    except ValueError as error:
        shown = LineFormatter(journal=True).format(record("this is a bug", level=logging.ERROR, error=error))
    assert "(ValueError at " in shown
    assert "test_logs.py:" in shown
    assert "Ann" not in shown


def test_the_journal_is_recognized_by_device_and_inode(tmp_path):
    """Programs whose standard error goes elsewhere inherit the variable too."""
    with (tmp_path / "log").open("w") as stream:
        status = os.fstat(stream.fileno())
        assert is_journal(stream, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
        assert not is_journal(stream, {"JOURNAL_STREAM": "9:9"})
        assert not is_journal(stream, {})
    assert not is_journal(io.StringIO(), {"JOURNAL_STREAM": "9:9"})


@pytest.mark.parametrize("name", ["spamlstm", "spamlstm.filtering.pipeline"])
def test_all_of_our_log_goes_to_the_stream(name):
    """The lines of every logger of this program go to the stream."""
    stream = io.StringIO()
    handler = set_up(stream, environment={})
    try:
        logging.getLogger(name).info("ready")
    finally:
        logging.getLogger("spamlstm").removeHandler(handler)
        logging.getLogger("spamlstm").propagate = True
    assert stream.getvalue().endswith(" ready\n")
