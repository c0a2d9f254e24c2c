"""All messages under the paths that a user names are found, each once; other paths are reported."""

import gzip
import io
import os
import subprocess
from pathlib import Path

import pytest
from tiny_bundle import HAM, SPAM

from spamlstm.corpus import mbox, paths
from spamlstm.corpus.paths import FileMessage, GivenMessage, UnreadablePath, find_messages

SEPARATOR = b"From ann@x.org Mon Jan  5 10:00:00 2026\n"


def names(*given) -> list[str]:
    return [found.name for found in find_messages([str(path) for path in given])]


def test_a_maildir(tmp_path):
    """The files in new and cur are messages, but no dot files and folders; a subfolder is a Maildir of its own."""
    for folder in ("new", "cur", "tmp", ".Junk/new", ".Junk/cur", ".Junk/tmp"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "1.host").write_bytes(HAM)
    (tmp_path / "new" / ".hidden").write_bytes(HAM)
    (tmp_path / "cur" / "folder").mkdir()
    (tmp_path / "dovecot-uidlist").write_bytes(b"3 V1 N2")
    wanted = ["new/1.host", "cur/1.host", ".Junk/new/1.host", ".Junk/cur/1.host"]
    assert names(tmp_path) == [str(tmp_path / name) for name in wanted]


def test_a_plain_folder(tmp_path):
    """Mail is found at any depth, sorted; other files are skipped in a folder, but read if they are named."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two.eml").write_bytes(SPAM)
    (tmp_path / "one").write_bytes(HAM)
    (tmp_path / "index.tsv").write_bytes(b"id\tlabel\n")
    os.mkfifo(tmp_path / "pipe")
    assert names(tmp_path) == [str(tmp_path / "one"), str(tmp_path / "b" / "two.eml")]
    assert names(tmp_path / "index.tsv") == [str(tmp_path / "index.tsv")]


def test_a_pipe_of_the_shell():
    """`<(command)` is a path of a pipe without a name, and is read."""
    reader, writer = os.pipe()
    os.write(writer, HAM)
    os.close(writer)
    (found,) = find_messages([f"/dev/fd/{reader}"])
    os.close(reader)
    assert found.read() == HAM


@pytest.mark.parametrize("written", [None, HAM])
def test_a_pipe_that_has_a_name(tmp_path, written):
    """A FIFO is refused at once, with or without a writer, because its writer may never write; so is a device."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    writer = None if written is None else os.open(tmp_path / "pipe", os.O_WRONLY)
    for path in (str(tmp_path / "pipe"), "/dev/zero"):
        (found,) = find_messages([path])
        assert found == UnreadablePath(path, "it is not a regular file")
    for one in (reader, writer):
        if one is not None:
            os.close(one)


def test_no_pipe_in_a_folder_is_opened(tmp_path):
    """A pipe in a folder is never opened, and a link in a Maildir is no message."""
    for folder in ("new", "cur", "tmp", "plain"):
        (tmp_path / folder).mkdir()
        os.mkfifo(tmp_path / folder / "pipe.eml")
    (tmp_path / "secret").write_bytes(HAM)
    (tmp_path / "new" / "link").symlink_to(tmp_path / "secret")
    (found,) = find_messages([str(tmp_path)])
    assert found.name == str(tmp_path / "plain" / "pipe.eml")
    with pytest.raises(OSError, match="not a regular file"):
        found.read()


def test_a_message_that_is_swapped_for_a_link(tmp_path):
    """A link that replaces a message between listing and reading is not followed."""
    for folder in ("new", "cur", "tmp"):
        (tmp_path / folder).mkdir()
    (tmp_path / "new" / "1").write_bytes(HAM)
    (found,) = find_messages([str(tmp_path)])
    (tmp_path / "secret").write_bytes(SPAM)
    (tmp_path / "new" / "1").unlink()
    (tmp_path / "new" / "1").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError):
        found.read()


def test_loops_of_links_end(tmp_path):
    """Each folder is read once, however many links lead to it."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.eml").write_bytes(HAM)
    (tmp_path / "in" / "again").symlink_to(tmp_path)
    assert names(tmp_path) == [str(tmp_path / "in" / "a.eml")]


@pytest.fixture
def deep(tmp_path, monkeypatch):
    """A folder with one message below more folders than Python permits nested calls."""
    monkeypatch.chdir(tmp_path)
    for _ in range(1200):
        Path("d").mkdir()
        monkeypatch.chdir("d")
    Path("one.eml").write_bytes(HAM)
    yield tmp_path / "d"
    subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)  # pytest would run out of nested calls


def test_folders_nested_deeply(deep):
    """Mail is found however deeply its folder is nested."""
    assert names(deep) == [f"{deep}{'/d' * 1199}/one.eml"]


def test_a_file_that_has_no_data_yet(tmp_path, monkeypatch):
    """A file of the kernel that has no data yet, such as trace_pipe in /sys, is not mail."""

    class Empty(io.BytesIO):
        def read(self, _most=-1):
            return None

    (tmp_path / "trace_pipe").touch()
    monkeypatch.setattr(paths, "open_regular", lambda _path: Empty())
    assert names(tmp_path) == [str(tmp_path)]


def test_a_link_to_itself(tmp_path):
    """A link to itself is reported, and the files beside it are read."""
    (tmp_path / "a.eml").write_bytes(HAM)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    assert [type(found) for found in find_messages([str(tmp_path)])] == [FileMessage, UnreadablePath]


@pytest.mark.parametrize("filler", [b"", b"x" * (mbox._BLOCK - 300) + b"\n", b"line\n" * 500_000])
def test_an_mbox(tmp_path, filler):
    """Each message is read in full and without its separator, wherever the blocks of reading end."""
    messages = [HAM + filler, SPAM + b"\nFrom here on it goes on.\n", HAM]
    box = tmp_path / "box"
    box.write_bytes(b"\n".join(SEPARATOR + message for message in messages))
    found = list(find_messages([str(box)]))
    assert [one.read() for one in found] == messages
    assert [one.name for one in found] == [f"{box}#1", f"{box}#2", f"{box}#3"]


def test_an_mbox_of_one(tmp_path):
    """The only message of an mbox has the name of the file."""
    (tmp_path / "one").write_bytes(SEPARATOR + HAM)
    assert names(tmp_path / "one") == [str(tmp_path / "one")]


@pytest.mark.parametrize(("name", "count"), [("box", 2), ("box.eml", 1), ("new/1", 2), ("Maildir/cur/1:2,S", 1)])
def test_a_message_that_looks_like_an_mbox(tmp_path, name, count):
    """A file that ends in .eml or lies in a Maildir is one message, whatever its lines."""
    for folder in ("new", "Maildir/new", "Maildir/cur"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / name).write_bytes((SEPARATOR + HAM + b"\n") * 2)
    assert len(names(tmp_path / name)) == count


def test_what_cannot_be_read(tmp_path):
    """A missing file and a folder without mail are reported, and later paths are read."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.eml").write_bytes(HAM)
    found = list(find_messages([str(tmp_path / "none"), str(tmp_path / "empty"), str(tmp_path / "a.eml")]))
    assert [type(one) for one in found[:2]] == [UnreadablePath, UnreadablePath]
    assert [one.why for one in found[:2]] == ["no such file or directory", "there is no mail in this folder"]
    assert found[2].read() == HAM


def test_standard_input(monkeypatch):
    """Standard input is one message, read up to the limit and one byte."""
    assert list(find_messages(["-"], stdin=io.BytesIO(HAM))) == [GivenMessage("-", HAM)]
    monkeypatch.setattr(paths, "MOST_BYTES", 10)
    assert list(find_messages(["-"], stdin=io.BytesIO(HAM))) == [GivenMessage("-", HAM[:11])]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a link of another user")
@pytest.mark.parametrize("part", ["", "Maildir"])
def test_links_of_another_user(tmp_path, part):
    """Root follows no link of a user to files of others; links to the user's own files are followed."""
    for name in ("secret/new", "secret/cur", "own", f"ann/{part}/new", f"ann/{part}/cur"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "secret" / "new" / "1").write_bytes(HAM)
    (tmp_path / "own" / "2.eml").write_bytes(SPAM)
    os.chown(tmp_path / "own", 20_001, 20_001)
    links = {"folder": "secret", "file.eml": "secret/new/1", "own": "own", ".Junk": "secret"}
    for name, target in links.items():
        above = tmp_path / "ann" / (part if name == ".Junk" else "")
        (above / name).symlink_to(tmp_path / target)
        os.chown(above / name, 20_001, 20_001, follow_symlinks=False)
    (tmp_path / "ann" / part / "new").rmdir()
    (tmp_path / "ann" / part / "new").symlink_to(tmp_path / "secret" / "new")
    os.chown(tmp_path / "ann" / part / "new", 20_001, 20_001, follow_symlinks=False)

    found = list(find_messages([str(tmp_path / "ann")]))

    assert [one.read() for one in found if isinstance(one, FileMessage)] == [SPAM]
    refused = {Path(one.name).name for one in found if isinstance(one, UnreadablePath)}
    assert refused == {"folder", "file.eml", ".Junk", "new"}


def test_compressed_mail(tmp_path):
    """Compressed messages are read as plain ones; a compressed mbox is reported, other archives are skipped."""
    for folder in ("new", "cur"):
        (tmp_path / "Maildir" / folder).mkdir(parents=True)
    (tmp_path / "Maildir" / "cur" / "1:2,S").write_bytes(gzip.compress(HAM))
    (tmp_path / "one").write_bytes(gzip.compress(SPAM))
    (tmp_path / "two.eml").write_bytes(gzip.compress(SPAM))
    (tmp_path / "data.gz").write_bytes(gzip.compress(bytes(2000)))
    found = list(find_messages([str(tmp_path)]))
    assert [(Path(one.name).name, one.read()) for one in found] == [("one", SPAM), ("two.eml", SPAM), ("1:2,S", HAM)]
    (piped,) = find_messages(["-"], stdin=io.BytesIO(gzip.compress(HAM)))
    assert piped.read() == HAM
    (tmp_path / "old.mbox.gz").write_bytes(gzip.compress(SEPARATOR + HAM + b"\n" + SEPARATOR + SPAM))
    (refused,) = find_messages([str(tmp_path / "old.mbox.gz")])
    assert refused == UnreadablePath(str(tmp_path / "old.mbox.gz"), "it is a compressed mbox; decompress it first")
