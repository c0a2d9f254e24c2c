"""File names of messages, and the messages that a folder lists."""

# As in the module, paths are handled by os:
# ruff: noqa: PTH102, PTH104, PTH118, PTH211

import os

import on_disk
import pytest
from hypothesis import given
from hypothesis import strategies as st
from readers_and_kills import (
    OLD,
    deliver,
)

from spamlstm.maildir import message_file, names
from spamlstm.maildir.names import Name

# Names


file_names = st.text(st.sampled_from("aZ01.,:;=SWU2_") | st.characters(exclude_characters="/\0"), max_size=30)


@given(file_names)
def test_any_name_is_restored(text):
    """Parsing any name loses nothing."""
    assert str(Name.parse(text)) == text


def test_the_pieces_of_a_name():
    """A name has a base, fields, flags and keywords."""
    name = Name.parse("1.M2P3.host,S=123,X=y,W=130,U=7:2,Sab")

    assert (name.base, name.fields) == ("1.M2P3.host", ("S=123", "X=y", "W=130", "U=7"))
    assert (name.flags, name.keywords) == ("S", "ab")


@pytest.mark.parametrize(
    ("name", "flags", "keywords"),
    [
        ("a", "", ""),
        ("a:2,", "", ""),
        ("a:2,SFRS", "FRS", ""),
        ("a:2,baS", "S", "ab"),
        ("a:1,x", "", ""),
        ("a:2,F,S", "F", ""),
    ],
)
def test_flags(name, flags, keywords):
    """Flags are sorted, without duplicates; letters after a second comma are no flags."""
    assert (Name.parse(name).flags, Name.parse(name).keywords) == (flags, keywords)


@pytest.mark.parametrize(
    ("name", "moved"),
    [
        ("a", "new"),
        ("a,S=1,U=7,W=2", "new,S=1,W=2"),
        ("a,S=1:2,", "new,S=1:2,"),
        ("a,U=7:2,SbFa", "new:2,FS"),
        ("a:2,S,x", "new:2,S,x"),
        ("a:1,x", "new:1,x"),
    ],
)
def test_a_name_elsewhere(name, moved):
    """The number of mbsync and the keywords of the old folder are dropped; sizes, flags and unknown fields stay."""
    assert str(Name.parse(name).elsewhere(base="new")) == moved


def test_keywords_can_be_mapped():
    """Keyword letters change to those of the other folder; flags are in ASCII order."""
    assert str(Name.parse("a:2,Scba").elsewhere(base="b", keywords={"c": "a", "a": "d"})) == "b:2,Sad"


def test_a_name_for_other_bytes():
    """S and W tell the size of the new bytes, W with each line ended by CRLF; flags and keywords stay, U goes."""
    name = message_file.sized(Name.parse("a,S=1,X=y,W=1,U=7:2,Sa"), b"a\nb\r\nc", base="b")

    assert str(name) == "b,S=6,W=7,X=y:2,Sa"


@given(file_names)
def test_a_name_elsewhere_stays_put(text):
    """A second move changes only the base of a name."""
    once = Name.parse(text).elsewhere(base="b")

    assert once.elsewhere(base="b") == once
    assert not any(field.startswith("U=") for field in once.fields)
    assert (once.flags, once.keywords) == (Name.parse(text).flags, "")


def test_unique_names():
    """All are different, also in a forked process, and all are valid base names."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writable, "\n".join(names.unique() for _ in range(100)).encode())
        os._exit(0)
    mine = [names.unique() for _ in range(100)]
    os.waitpid(child, 0)
    theirs = os.read(readable, 60_000).decode().split("\n")
    os.close(readable)
    os.close(writable)

    assert len({*mine, *theirs}) == 200
    assert all(str(Name(name)) == name == Name.parse(name).base and len(name) < 140 for name in mine)


@pytest.mark.parametrize(
    ("host", "escaped"), [("a/b:c,d", "a\\057b\\072c\\054d"), ("", "localhost"), ("é", "\\303\\251")]
)
def test_the_host_in_a_name(host, escaped):
    """Characters with a meaning in a name are escaped in octal, as in maildir(5)."""
    assert names._host(host) == escaped


# Listings


def test_messages(root):
    """The files in new and cur are listed, but no hidden names, folders and links."""
    deliver(root, "a")
    deliver(root, "b:2,S", part="cur")
    deliver(root, ".hidden")
    deliver(root, "c", part="tmp")
    os.mkdir(os.path.join(root, "cur", "folder"))
    os.symlink("/etc/passwd", os.path.join(root, "new", "link"))

    found = list(on_disk.opened(root).messages())

    assert [(entry.part, entry.name) for entry in found] == [("new", "a"), ("cur", "b:2,S")]
    assert [entry.path for entry in on_disk.opened(root).find("b")] == [found[1].path]


def test_a_missing_folder_is_not_an_empty_one(tmp_path):
    """Listing a folder that does not exist is an error."""
    with pytest.raises(FileNotFoundError):
        list(on_disk.opened(tmp_path / "gone").messages())


def test_names_that_are_not_utf_8(root):
    """A name of any bytes is listed, read and kept as it is."""
    os.rename(os.fsencode(deliver(root)), os.fsencode(root) + b"/new/1.h\xff,S=3")

    (entry,) = on_disk.opened(root).messages()

    assert message_file.read_message(entry, most=100)[0] == OLD
    assert str(Name.parse(entry.name)) == entry.name
