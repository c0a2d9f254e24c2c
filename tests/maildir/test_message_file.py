"""The file of a message: its sizes, and whether somebody is still writing it."""

import re

import on_disk
from hypothesis import given
from hypothesis import strategies as st
from maildirs import size_in

from spamlstm.maildir.message_file import is_being_written, sized
from spamlstm.maildir.names import Name


@given(st.binary(max_size=200))
def test_wire_size_is_that_of_crlf(content):
    """W is the size of the message as IMAP sends it."""
    size = size_in(sized(Name("a"), content, base="b"), "W")

    assert size == len(re.sub(rb"(?<!\r)\n", b"\r\n", content))


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
