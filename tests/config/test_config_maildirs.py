"""Paths of `[[maildir]]` sections: which folders they match, and which section applies."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spamlstm.config import MaildirConfig, maildirs
from spamlstm.config.maildirs import absolute, covers, expand_maildirs, section_of
from spamlstm.config.real_path import real_path


def test_home_is_resolved(monkeypatch):
    """~ is the user's home folder; extra slashes are removed."""
    monkeypatch.setenv("HOME", "/home/ann")
    assert absolute("~//Maildir/") == "/home/ann/Maildir"
    assert absolute("~root/Maildir").endswith("root/Maildir")
    assert absolute("//var//vmail/ann") == "/var/vmail/ann"


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
def test_coverage_of_patterns(pattern, path, covered):
    """A pattern covers what a shell would match, without reading the disk."""
    assert covers(pattern, path) is covered


def test_the_first_matching_section_applies(tmp_path):
    """`expand_maildirs` and `section_of` agree on the section of each folder."""
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
    """The name without a link is used, so that nobody can apply their labels to the mail of others by a link."""
    (tmp_path / "b").mkdir()
    (tmp_path / "a").symlink_to("b")
    assert list(expand_maildirs([MaildirConfig(f"{tmp_path}/*")])) == [tmp_path / "b"]
    assert list(expand_maildirs([MaildirConfig(f"{tmp_path}/a"), MaildirConfig(f"{tmp_path}/b")])) == [tmp_path / "b"]


def test_a_link_alone_is_watched(tmp_path):
    """A link is used if it is the only name, such as ~/Maildir on another disk."""
    (tmp_path / "b").mkdir()
    (tmp_path / "a").symlink_to("b")
    assert list(expand_maildirs([MaildirConfig(f"{tmp_path}/a")])) == [tmp_path / "a"]


def test_missing_folders_are_left_out(tmp_path):
    """A broken link, a vanished name and a pattern without a match cause no error."""
    (tmp_path / "link").symlink_to("nowhere")
    gone = os.fspath(tmp_path / "gone")
    assert expand_maildirs([MaildirConfig(f"{tmp_path}/*"), MaildirConfig("/x")], find=lambda _: [gone]) == {}
    assert expand_maildirs([MaildirConfig(f"{tmp_path}/*/Maildir")]) == {}


def test_odd_names_are_only_names():
    """Brackets in the name of a folder are not wildcards."""
    section = MaildirConfig("/v/*")
    assert section_of([section], Path("/v/[a]")) is section


def test_the_real_path_of_a_maildir(tmp_path):
    """Links are followed as far as there are folders. The key of an account is no path."""
    (tmp_path / "real" / "ann").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    for name in ("ann", "gone/box"):
        assert real_path(f"{tmp_path}/link/{name}") == f"{tmp_path}/real/{name}"
        assert real_path(f"{tmp_path}/real/{name}") == f"{tmp_path}/real/{name}"
    assert real_path("imap://ann@example.org") == "imap://ann@example.org"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a link of another user")
def test_the_real_path_behind_a_link_of_another_user(tmp_path):
    """A user's link to the Maildir of another user is no name of that Maildir, also if the Maildir is gone."""
    (tmp_path / "ann").mkdir()
    for number, target in enumerate(("ann", "gone")):
        link = tmp_path / f"link{number}"
        link.symlink_to(target)
        os.chown(link, 20_001, 20_001, follow_symlinks=False)
        assert real_path(str(link)) == str(link)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a link of another user")
@pytest.mark.parametrize("victim", ["b", "real"])
def test_a_link_of_another_user_hides_no_maildir(tmp_path, victim):
    """A Maildir behind a link of its owner stays visible if another user makes a second link to it."""
    (tmp_path / "real").mkdir()
    (tmp_path / "b").symlink_to("real")
    (tmp_path / "a").symlink_to(victim)
    os.chown(tmp_path / "a", 20_001, 20_001, follow_symlinks=False)
    sections = [MaildirConfig(f"{tmp_path}/a"), MaildirConfig(f"{tmp_path}/b")]
    assert list(expand_maildirs(sections)) == [tmp_path / "b"]


def test_a_link_that_is_replaced_meanwhile(tmp_path, monkeypatch):
    """A user replaces a link by a folder after the first look: the other name of its target is still found."""
    (tmp_path / "real").mkdir()
    (tmp_path / "b").symlink_to("real")
    (tmp_path / "a").symlink_to("real")
    looked_at = maildirs.folder_identity

    def swapping(name):
        identity = looked_at(name)
        if name == f"{tmp_path}/a":
            (tmp_path / "a").unlink()
            (tmp_path / "a").mkdir()
        return identity

    monkeypatch.setattr(maildirs, "folder_identity", swapping)
    sections = [MaildirConfig(f"{tmp_path}/a"), MaildirConfig(f"{tmp_path}/b")]
    assert list(expand_maildirs(sections)) == [tmp_path / "b"]


def test_a_user_whose_name_the_locale_cannot_write():
    """A user whose name has a character that the encoding of the locale lacks has no Maildir. The name is no error."""
    script = """
from spamlstm.config.reading import read_config
from spamlstm.config.users import maildir_of
text = '[learning]\\nlabels = "per-maildir"\\nuser_maildir = "/v/{user}"\\n[[maildir]]\\npath = "/v/*"\\n'
config, problems = read_config(text.encode())
print(problems, maildir_of(config, "bob"), maildir_of(config, "\\u20ac"))
"""
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, **locale}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[] /v/bob None\n"
