"""File names of messages, and the messages that a folder lists."""

# As in the module, paths are handled by os:
# ruff: noqa: PTH102, PTH104, PTH118, PTH211

import os
import re

import on_disk
import pytest
from hypothesis import given
from hypothesis import strategies as st
from maildirs import size_in
from readers_and_kills import (
    OLD,
    deliver,
)

from spamlstm.maildir import message_file, names
from spamlstm.maildir.names import Name

# Names


file_names = st.text(st.sampled_from("aZ01.,:;!=SWU2_") | st.characters(exclude_characters="/\0"), max_size=30)


@given(file_names)
def test_any_name_is_restored(text):
    """Parsing any name loses nothing."""
    assert str(Name.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "base", "fields", "info", "separator"),
    [
        ("1.a.host;2,S", "1.a.host", (), "2,S", ";"),
        ("1.a.host!2,", "1.a.host", (), "2,", "!"),
        ("1514931185.576_2.x,U=2!2,RS", "1514931185.576_2.x", ("U=2",), "2,RS", "!"),
        ("1.a.host,S=5_2,FS", "1.a.host", ("S=5",), "2,FS", "_"),
        ("1.a.host\uf03a2,S", "1.a.host", (), "2,S", "\uf03a"),
        ("1.a.host:2,S!2,T", "1.a.host", (), "2,S!2,T", ":"),
        ("1355543030.15049_2,S=4", "1355543030.15049_2", ("S=4",), None, ":"),
        ("1.a!2.host", "1.a!2.host", (), None, ":"),
        ("!2,S", "!2,S", (), None, ":"),
        ("a.2,S", "a.2,S", (), None, ":"),
        ("a\udce92,S", "a\udce92,S", (), None, ":"),
        ("a,1", "a,1", (), None, ":"),
        ("a,1,S=3,x:2,", "a,1", ("S=3", "x"), "2,", ":"),
        ("1.2_0.host,U=1,FMD5=844bb96d:2,", "1.2_0.host", ("U=1", "FMD5=844bb96d"), "2,", ":"),
        ("2026-11-28_12:01:05", "2026-11-28_12", (), "01:05", ":"),
        ("a:2,S", "a", (), "2,S", ":"),
    ],
)
def test_separators_and_commas(text, base, fields, info, separator):
    """Flags are found after any separator that mail programs write; commas without a known field belong to the base."""
    name = Name.parse(text)

    assert (name.base, name.fields, name.info, name.separator) == (base, fields, info, separator)
    assert str(name) == text
    assert names.base_of(text) == base


# Names as delivery agents write them: time, pid and host, digests, mailing list tags, anything but a colon and a slash.
base_names = st.text(
    st.sampled_from("aZ0123456789.,;!=_-+@%2SW") | st.characters(exclude_characters="/\0:"), min_size=1, max_size=40
).filter(lambda text: not re.search(r",[A-Z][A-Z0-9]*=|[^\w.,=]2,[A-Za-z]*\Z|_2,[A-Za-z]*\Z", text))
stem_fields = st.lists(st.sampled_from(["S=12", "W=13", "U=7", "FMD5=0aF"]), unique=True).map(tuple)
separators = st.sampled_from(":;!_-\uf03a")
flag_letters = st.text(st.sampled_from("abDFPRSTZ"), max_size=6)


@given(base_names, stem_fields, separators, flag_letters)
def test_a_base_name_stays_the_same(base, fields, separator, letters):
    """Whatever fields and flags programs add to a name, and with whatever separator, the base name is found again."""
    text = ",".join((base, *fields)) + f"{separator}2,{letters}"
    name = Name.parse(text)

    assert (name.base, name.fields, str(name)) == (base, fields, text)
    assert name.flags + name.keywords == "".join(sorted(set(letters)))
    assert names.base_of(text) == names.base_of(base) == Name.parse(base).base == base
    filed = name.elsewhere(base="1.new.host")
    assert str(filed).endswith(f"{separator}2,{name.flags}")
    assert Name.parse(str(filed)) == filed


@given(st.lists(base_names, min_size=2, max_size=5, unique=True))
def test_distinct_names_stay_distinct(bases):
    """Two base names of delivery agents never count as one."""
    assert len({names.base_of(base) for base in bases}) == len(bases)


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
    name = Name.parse("a,S=1,X=y,W=1,U=7:2,Sa").rewritten(b"a\nb\r\nc", base="b")

    assert str(name) == "b,S=6,W=7,X=y:2,Sa"


@given(st.binary(max_size=200))
def test_the_wire_size_is_that_of_crlf(content):
    """W is the size of the message as IMAP sends it."""
    size = size_in(Name("a").rewritten(content, base="b"), "W")

    assert size == len(re.sub(rb"(?<!\r)\n", b"\r\n", content))


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


def test_a_message_is_found_by_its_base(root):
    """A base with commas is found under all its flags and separators, and never another message."""
    for name in ("a,1:2,S", "a,2;2,", "a:2,F", "a,1,S=3", "a!2,T", "ab:2,"):
        deliver(root, name, part="cur")
    found = {base: sorted(one.name for one in on_disk.opened(root).find(base)) for base in ("a", "a,1", "a,2", "ab")}

    assert found == {"a": ["a!2,T", "a:2,F"], "a,1": ["a,1,S=3", "a,1:2,S"], "a,2": ["a,2;2,"], "ab": ["ab:2,"]}


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
