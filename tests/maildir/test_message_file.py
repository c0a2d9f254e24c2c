"""The file of a message: whether somebody is still writing it."""

import on_disk

from spamlstm.maildir.message_file import is_being_written


def test_a_file_that_is_being_written(tmp_path):
    """A program that writes into new itself does not lose the rest of its message; a reader need not be waited for."""
    path = tmp_path / "new" / "x"
    path.parent.mkdir()
    with path.open("w") as writer:
        assert is_being_written(on_disk.entry(path))
        writer.write("half")
        writer.flush()
        assert is_being_written(on_disk.entry(path))
    with path.open() as reader:
        assert reader.read() == "half"
        assert not is_being_written(on_disk.entry(path))
    with path.open("a"):
        assert is_being_written(on_disk.entry(path))
    assert not is_being_written(on_disk.entry(path.with_name("gone")))
