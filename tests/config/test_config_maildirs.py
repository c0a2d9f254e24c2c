"""Paths of the configuration: what they mean, and which section holds."""

import os
from pathlib import Path

import pytest

from spamlstm.config import MaildirConfig, maildirs
from spamlstm.config.maildirs import absolute, covers, expand_maildirs, section_of


def test_home_is_resolved(monkeypatch):
    """~ is the user's home; slashes too many don't matter."""
    monkeypatch.setenv("HOME", "/home/ann")
    assert absolute("~//Maildir/") == "/home/ann/Maildir"
    assert absolute("~root/Maildir").endswith("root/Maildir")


@pytest.mark.parametrize(
    ("pattern", "path", "covered"),
    [
        ("/v/*/Maildir", "/v/ann/Maildir", True),
        ("/v/*/Maildir", "/v/x.org/ann/Maildir", False),
        ("/v/*/Maildir", "/v/.trash/Maildir", False),
        ("/v/.*/Maildir", "/v/.trash/Maildir", True),
        ("/v/a?n/Maildir", "/v/ann/Maildir", True),
        ("/v/[!a]*/Maildir", "/v/ann/Maildir", False),
        ("/v/*/*", "/v/a*/*", True),
        ("/v/a*", "/v/*", False),
        ("/v/ann", "/v/ann", True),
        ("/v/ann", "/v/Ann", False),
    ],
)
def test_what_a_path_covers(pattern, path, covered):
    """As a shell would, without a look at the disk."""
    assert covers(pattern, path) is covered


def test_the_first_section_that_matches_holds(tmp_path):
    """An exception stands before the rule; expanding and asking for one path agree."""
    for name in ("b", "a", "c", ".hidden"):
        (tmp_path / name).mkdir()
    sections = [MaildirConfig(f"{tmp_path}/b", junk="Spam"), MaildirConfig(f"{tmp_path}/*")]
    found = expand_maildirs(sections)
    assert list(found.items()) == [
        (tmp_path / "b", sections[0]),
        (tmp_path / "a", sections[1]),
        (tmp_path / "c", sections[1]),
    ]
    assert all(section_of(sections, path) is section for path, section in found.items())
    assert section_of(sections, tmp_path / "a" / "b") is None
    assert section_of(sections, tmp_path / ".hidden") is None


def test_a_folder_with_two_names_is_watched_once(tmp_path):
    """By the name that is no link: else whoever makes one would have the mail judged by his labels."""
    (tmp_path / "b").mkdir()
    (tmp_path / "a").symlink_to("b")
    assert list(expand_maildirs([MaildirConfig(f"{tmp_path}/*")])) == [tmp_path / "b"]
    assert list(expand_maildirs([MaildirConfig(f"{tmp_path}/a"), MaildirConfig(f"{tmp_path}/b")])) == [tmp_path / "b"]


def test_a_link_alone_is_watched(tmp_path):
    """~/Maildir may be a link to another disk."""
    (tmp_path / "b").mkdir()
    (tmp_path / "a").symlink_to("b")
    assert list(expand_maildirs([MaildirConfig(f"{tmp_path}/a")])) == [tmp_path / "a"]


def test_what_is_not_there_is_left_out(tmp_path):
    """A broken link, a name that vanished, a pattern without a match: no error, nothing to watch."""
    (tmp_path / "link").symlink_to("nowhere")
    gone = os.fspath(tmp_path / "gone")
    assert expand_maildirs([MaildirConfig(f"{tmp_path}/*"), MaildirConfig("/x")], find=lambda _: [gone]) == {}
    assert expand_maildirs([MaildirConfig(f"{tmp_path}/*/Maildir")]) == {}


def test_odd_names_are_only_names():
    """Brackets in the name of a folder are no globs when a path is asked for."""
    section = MaildirConfig("/v/*")
    assert section_of([section], Path("/v/[a]")) is section


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a link of another user")
@pytest.mark.parametrize("victim", ["b", "real"])
def test_a_link_of_another_user_takes_nobodys_place(tmp_path, victim):
    """Where a Maildir lies behind a link of its own, a link that somebody else makes to it does not hide it."""
    (tmp_path / "real").mkdir()
    (tmp_path / "b").symlink_to("real")
    (tmp_path / "a").symlink_to(victim)
    os.chown(tmp_path / "a", 20_001, 20_001, follow_symlinks=False)
    sections = [MaildirConfig(f"{tmp_path}/a"), MaildirConfig(f"{tmp_path}/b")]
    assert list(expand_maildirs(sections)) == [tmp_path / "b"]


def test_a_name_that_leads_elsewhere_by_now(tmp_path, monkeypatch):
    """Somebody swaps his link for a folder behind the first look: the other name of what it led to is still there."""
    (tmp_path / "real").mkdir()
    (tmp_path / "b").symlink_to("real")
    (tmp_path / "a").symlink_to("real")
    looked_at = maildirs.folder_identity

    def swapping(name):
        which = looked_at(name)
        if name == f"{tmp_path}/a":
            (tmp_path / "a").unlink()
            (tmp_path / "a").mkdir()
        return which

    monkeypatch.setattr(maildirs, "folder_identity", swapping)
    sections = [MaildirConfig(f"{tmp_path}/a"), MaildirConfig(f"{tmp_path}/b")]
    assert list(expand_maildirs(sections)) == [tmp_path / "b"]
