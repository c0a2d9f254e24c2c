"""Paths that are not Maildirs."""

import os

from spamlstm.maildir.paths import why_not_maildir


def test_a_path_that_is_not_a_maildir_is_described_as_it_is(tmp_path):
    """The sentence says what is there, and its advice fits: a file, a loop of links, a long name, a missing folder."""
    (tmp_path / "file").touch()
    (tmp_path / "to-file").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("file", "to-file", "fifo"):
        assert why_not_maildir(f"{tmp_path}/{name}") == f"{tmp_path}/{name} is not a folder; correct the path"
    assert why_not_maildir(f"{tmp_path}/file/below").startswith(f"{tmp_path}/file/below does not exist; correct")
    for name in ("loop", "x" * 300):
        assert why_not_maildir(f"{tmp_path}/{name}").endswith("); correct the path")
