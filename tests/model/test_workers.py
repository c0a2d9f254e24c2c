"""Reader processes import our modules, whatever lies in the current folder."""

from hostile_folder import HostileFolder

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
    """A reader that is started in a folder of somebody else's executes no file there."""
    folder = HostileFolder(tmp_path)
    done = folder.run(READ, root=root)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "1"
    assert folder.marks() == []
