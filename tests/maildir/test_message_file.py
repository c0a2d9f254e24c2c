"""The file of a message: its sizes, and whether somebody is still writing it."""

import os
import re

import on_disk
import pytest
from hypothesis import given
from hypothesis import strategies as st
from maildirs import make, size_in

from spamlstm.maildir.message_file import is_being_written, separator_in, sized
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


@pytest.mark.parametrize(
    ("there", "file_system", "separator"),
    [
        ((), "ext4", ":"),
        ((), "vfat", ";"),
        ((), "exfat", ";"),
        (("a",), "vfat", ";"),
        (("a", "b!2,S"), "vfat", "!"),
        (("b!2,S",), "ext4", "!"),
        (("a:2,",), "vfat", ":"),
        ((".b!2,S",), "ext4", ":"),
    ],
)
def test_the_separator_of_a_folder(tmp_path, there, file_system, separator):
    """A name gets the separator that its folder uses; an empty folder gets one that its file system can store."""
    root = make(tmp_path / "Maildir")
    for name in there:
        (tmp_path / "Maildir" / "cur" / name).touch()
    device = (tmp_path / "Maildir").stat().st_dev
    table = tmp_path / "mountinfo"
    table.write_text(f"36 35 {os.major(device)}:{os.minor(device)} / / rw - {file_system} /dev/x rw\n")

    assert separator_in(on_disk.opened(root), table) == separator
