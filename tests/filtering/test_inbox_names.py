"""Names of files in an inbox: odd, full, hidden, or several of one message."""

# ruff: noqa: PTH118  as in maildir

import os
import time
from pathlib import Path

import on_disk
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inbox import Inbox
from maildirs import make

from spamlstm.filtering.outcome import Candidate
from spamlstm.maildir.names import Name


def test_links_and_hidden_names(inbox):
    """Links and names that begin with a dot, as those of files that NFS keeps, are not messages and are left alone."""
    one = inbox()
    for name in (".hidden", ".nfs000000000000a1b200000003", ".DS_Store"):
        one.deliver("spam", name=name)
    Path(one.root, "new", "link").symlink_to("/etc/passwd")
    assert one.run() == []
    assert len(os.listdir(os.path.join(one.root, "new"))) == 4  # noqa: PTH208


ODD_NAMES = (
    "1764331234.4321_0.host",  # procmail
    "msg.Xab12",  # procmail to a plain folder
    "1764331234.4321_2.host,U=7:2,FS",  # mbsync and OfflineIMAP, with flags in new
    "1764331234.4321_3.host,U=8!2,S",
    "1764331234.4321_4.host;2,",
    "1764331234.4321_5.host_2,RS",
    "2026-11-28_12:01:05",  # a script
    "2026-11-28_12:02:07",
    "a,1",
    "a,2",
    "a,S=1",
    "a,S=2",
    "a",
    "h\udcffst",  # not UTF-8
    "ü.é",
    "with space\nand line",
    "a,b,S=12,W=13",
)


def test_odd_names_of_messages(inbox):
    """Each message is judged once and filed with its flags and sizes, whatever names delivery agents give."""
    one = inbox(spam=("file",))
    for name in ODD_NAMES:
        one.deliver("spam", name=name)
    outcomes = one.run()

    assert [outcome.status for outcome in outcomes] == ["done"] * len(ODD_NAMES)
    assert one.names() == []
    filed = [Name.parse(name) for part, name in one.names(one.junk) if part == "new"]
    assert sorted(filter(None, (f"{name.separator}{name.info}" for name in filed if name.info))) == sorted(
        [":2,FS", "!2,S", ";2,", "_2,RS", ":01:05", ":02:07"]
    )
    assert {name.base for name in filed}.isdisjoint(Name.parse(name).base for name in ODD_NAMES)
    assert sorted(name.fields for name in filed if name.fields) == [("S=1",), ("S=12", "W=13"), ("S=2",)]
    one.again()
    assert one.run() == []
    assert one.judge.asked == len(ODD_NAMES)


@pytest.mark.parametrize(("there", "filed"), [([], "2,"), (["x!2,S"], "2,"), (["x;2,F"], "2,")])
def test_the_separator_is_kept(inbox, there, filed):
    """A name without flags in cur is filed with the separator of the junk folder, which may have no colons."""
    one = inbox(spam=("file",))
    on_disk.create_folder(one.root, one.junk)
    for name in there:
        Path(one.junk, "cur", name).write_bytes(b"Subject: other\n\nother\n")
    one.deliver("spam", part="cur", name="a")
    one.deliver("spam", part="cur", name="b!2,FS")
    assert [outcome.status for outcome in one.run()] == ["done", "done"]
    new = {name for part, name in one.names(one.junk) if name not in there}
    separator = there[0][1] if there else ":"
    assert {Name.parse(name).separator + Name.parse(name).info for name in new} == {separator + filed, "!2,FS"}


def test_a_colon_in_the_path(tmp_path):
    """Flags are read from the name of the file, not from the path of its folder."""
    one = Inbox(make(tmp_path / "mail:2,S" / "a;2,F"), tmp_path / "state", {"spam": ("file",)}).watch()
    one.deliver("spam", name="a")
    one.deliver("spam", name="b:2,R", part="cur")
    assert [outcome.status for outcome in one.run()] == ["done", "done"]
    assert sorted(Name.parse(name).flags for _, name in one.names(one.junk)) == ["", "R"]
    one.again()
    assert one.run() == []


@pytest.mark.parametrize("actions", [("file",), ("tag", "file"), ("tag",)])
@pytest.mark.parametrize("second", ["new/b", "cur/b:2,"])
def test_two_links_of_one_file(inbox, actions, second):
    """A file with two names in the inbox is judged, no name is lost, and a further scan does nothing."""
    one = inbox(spam=actions)
    path = one.deliver("spam", name="a")
    os.link(path, os.path.join(one.root, second))
    outcomes = [outcome.status for outcome in one.run()]
    one.clock.now += 10
    outcomes += [outcome.status for outcome in one.run()]

    assert "done" in outcomes
    assert set(outcomes) <= {"done", "known", "left"}
    assert len(one.names()) + len(one.names(one.junk)) == 2
    assert bool(one.names(one.junk)) == ("file" in actions)
    one.again()
    assert one.run() == []


def test_a_program_that_moves_by_a_link(inbox):
    """A message that a mail program is moving from new to cur by a link is judged when its move is done."""
    one = inbox()
    one.clock.now = time.time()
    path = one.deliver("spam", name="a,S=3")
    os.link(path, os.path.join(one.root, "cur", "a,S=3:2,S"))
    assert not {"done", "left"} & {outcome.status for outcome in one.run()}
    assert len(one.names()) == 2
    Path(path).unlink()
    assert [outcome.status for outcome in one.run()] == ["done"]


def test_two_files_of_one_base(inbox):
    """Files whose names differ in their comma fields only are judged, each once."""
    one = inbox(spam=())
    for name in ("a,1", "a,2"):
        one.deliver("spam", name=name)
    assert [outcome.status for outcome in one.run()] == ["left", "left"]
    one.clock.now += 10
    assert one.run() == []
    one.again()
    assert one.run() == []


def test_one_base_in_new_and_in_cur(inbox):
    """Two files with one base name, in new and in cur, are two messages."""
    one = inbox(spam=())
    one.deliver("spam", name="a,S=10")
    one.deliver("spam", name="a,S=11:2,S", part="cur")
    assert [outcome.status for outcome in one.run()] == ["left", "left"]
    one.again()
    assert {outcome.status for outcome in one.run()} <= {"known"}


def test_a_name_that_is_full(inbox):
    """A message whose name fields fill 255 bytes is tagged and filed, without the fields."""
    one = inbox()
    one.deliver("spam", name="8," + "A" * 253)
    one.deliver("unsure", name="9," + "B" * 253)
    assert [outcome.status for outcome in one.run()] == ["done", "done"]
    assert len(one.names(one.junk)) == len(one.names()) == 1


def test_a_link_that_a_server_left(inbox, monkeypatch):
    """If a server left a link in the tmp of another folder for good, one visit waits half a second in all."""
    one = inbox()
    slept = []
    monkeypatch.setattr("spamlstm.maildir.message_file.time.sleep", slept.append)
    on_disk.create_folder(one.root, os.path.join(one.root, ".Archive"))
    for number in range(5):
        path = one.deliver("spam")
        os.link(path, os.path.join(one.root, ".Archive", "tmp", f"{number}.left"))
    assert {outcome.status for outcome in one.run()} == {"done"}
    assert 0.4 < sum(slept) < 0.6


@given(st.text("ab,:2S!=_", max_size=9))
def test_the_base_of_a_candidate(name):
    """The base of a candidate is that of `Name.parse`, for any name."""
    assert Candidate("/m", "cur", name).base == Name.parse(name).base
