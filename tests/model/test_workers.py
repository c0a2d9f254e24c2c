"""Reader processes import our modules, whatever lies in the current folder, and ignore Ctrl-C."""

import contextlib
import re
import signal
from pathlib import Path

from hostile_folder import HostileFolder

from spamlstm.model.workers import ReaderProcess

READ = """
from spamlstm.model.reading import MessageReader
from spamlstm.model.workers import ReaderPool

with ReaderPool(1) as pool:
    task = pool.give(MessageReader(1000, 4, style=True, runs=True), [b"Subject: a meeting\\n\\nsome more words\\n"])
    assert task._process is not None
    (reading,) = task._process.answer()
print(reading.failure, len(reading.windows), len(reading.runs))
"""


def test_modules_in_the_current_folder_are_not_imported(tmp_path, root):
    """A reader that is started in another user's folder executes no file there."""
    folder = HostileFolder(tmp_path)
    done = folder.run(READ, root=root)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "1"
    assert folder.marks() == []


def test_a_reader_process_never_receives_sigint():
    """A reader that is interrupted while it starts would print a traceback beside the command's own message."""
    with contextlib.closing(ReaderProcess()) as reader:
        status = Path(f"/proc/{reader._process.pid}/status").read_text()
    blocked = int(re.search(r"^SigBlk:\s*([0-9a-f]+)$", status, re.MULTILINE)[1], 16)
    assert blocked >> (signal.SIGINT - 1) & 1
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
