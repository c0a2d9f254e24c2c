"""What the pipeline reports: the log and the counters."""

# ruff: noqa: PTH116  as in maildir

import json
import logging
import os


def test_the_log_tells_no_secrets(inbox, caplog):
    """The log has ids, folders, scores and reasons, and nothing from the message itself."""
    one = inbox()
    one.deliver(content=b"From: secret@x.org\nSubject: secret\n\nsecret spam\n")
    one.deliver(content=b"From: secret@x.org\nSubject: secret\n\nsecret broken\n")
    with caplog.at_level(logging.DEBUG, "spamlstm"):
        one.run()

    assert "secret" not in caplog.text.replace(one.root, "")
    done = next(record for record in caplog.records if record.event == "done")
    assert done.fields["folder"] == ".Junk"
    assert done.getMessage().startswith("done maildir=")
    assert "verdict=spam" in done.getMessage()


def test_a_name_cannot_forge_a_line_of_the_log(inbox, caplog):
    """A file name, which a local user can choose, cannot add a line to the log."""
    one = inbox()
    one.deliver("ham", name='1\ndone verdict=ham maildir="x')
    with caplog.at_level(logging.INFO, "spamlstm"):
        one.run()
    lines = [record.getMessage() for record in caplog.records]
    assert [line for line in lines if "\n" in line] == []
    assert any("verdict=ham" in line and "done" in line for line in lines)


def test_counters(inbox):
    """Counters can be sent as JSON; the latency counts from the delivery, whatever date the message has."""
    one = inbox()
    path = one.deliver()
    one.clock.now = os.stat(path).st_ctime + 0.03
    one.run()
    shown = json.loads(json.dumps(one.counters.snapshot()))

    assert (shown["judged"], shown["acted"]) == ({"spam": 1}, {"tag": 1, "file": 1})
    assert one.counters.latency.quantile(0.5) == 0.05
