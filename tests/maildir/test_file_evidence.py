"""The evidence of a file: inode, date, Received headers and marks, that tell a move from another delivery."""

import os

import hypothesis.strategies as st
import on_disk
import pytest
from changed_mail import MAILS, WAYS
from hypothesis import given
from maildirs import make

from spamlstm.maildir.file_evidence import UNKNOWN_FILE, FileEvidence, FileMark, trace_of
from spamlstm.maildir.message_file import read_message

evidence = st.builds(
    FileEvidence,
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**32 - 1),
    st.none() | st.integers(0, 2**63 - 1),
    st.lists(st.binary(min_size=4, max_size=4), max_size=16).map(b"".join),
    st.sampled_from([FileMark(number) for number in range(32)]),
)


@given(evidence)
def test_a_cell_holds_all(one):
    """Evidence comes back from the database as it was."""
    assert FileEvidence.unpacked(one.packed()) == one


@given(st.none() | st.binary(max_size=40))
def test_any_cell_can_be_read(cell):
    """A damaged cell never raises."""
    assert FileEvidence.unpacked(cell).marks in FileMark(31)


@given(st.binary(max_size=300).map(lambda raw: b"Received: a\n" * 40 + raw))
def test_a_trace_is_short(raw):
    """However many headers a message has, at most 16 hashes are kept."""
    assert len(trace_of(raw)) == 64


@pytest.mark.parametrize("way", sorted(WAYS.keys() - {"a Received header added", "Received lost"}))
def test_a_trace_survives_what_servers_change(way):
    """Folding, other headers and line ends do not change it; a Received header in the body does not count."""
    mail = MAILS["plain"]
    assert trace_of(WAYS[way](mail) + b"\nReceived: in the text\n") == trace_of(mail) != b""


def test_a_new_file_with_the_same_inode(tmp_path):
    """A file with the inode and date of a removed one, as ext4 gives at once, is another file; a renamed one is not."""
    root = make(tmp_path / "Maildir")

    def read(name):
        path = os.path.join(root, "cur", name)  # noqa: PTH118
        return FileEvidence.of(name, read_message(on_disk.entry(path), most=1000))

    for name in ("1:2,S", "2,U=3:2,"):
        with open(f"{root}/cur/{name}", "wb") as file:  # noqa: PTH123
            file.write(MAILS["plain"])
        os.utime(f"{root}/cur/{name}", (5, 5))
        if name == "1:2,S":
            first = read(name)
            os.rename(f"{root}/cur/{name}", f"{root}/cur/3:2,")  # noqa: PTH104
            assert read("3:2,").is_same_file(first)
            os.unlink(f"{root}/cur/3:2,")  # noqa: PTH108
    second = read(name)
    assert not second.is_same_file(first)
    assert second.is_synchronized_copy(first)
    assert not UNKNOWN_FILE.is_same_file(UNKNOWN_FILE)
