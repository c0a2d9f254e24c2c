"""Default paths: the user's file before the system's, found without loading anything."""

import os
import pwd
from pathlib import Path

import platformdirs
import pytest

from spamlstm.config import locations
from spamlstm.config.maildirs import absolute


@pytest.mark.parametrize("xdg", ["", "/somewhere/else"])
def test_the_paths_agree_with_platformdirs(monkeypatch, xdg):
    """The paths are written out for speed and agree with platformdirs."""
    monkeypatch.setenv("XDG_CONFIG_HOME", xdg)
    monkeypatch.setenv("XDG_STATE_HOME", xdg)
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    assert locations.user_file().parent == Path(platformdirs.user_config_dir("spamlstm"))
    assert locations.state_dir() == Path(platformdirs.user_state_dir("spamlstm"))


def test_a_relative_xdg_is_ignored(monkeypatch):
    """A relative XDG directory is ignored, as the specification says."""
    monkeypatch.setenv("XDG_CONFIG_HOME", "here")
    monkeypatch.setenv("HOME", "/home/ann")
    assert locations.user_file() == Path("/home/ann/.config/spamlstm/config.toml")


@pytest.mark.parametrize("home", [None, "relative"])
def test_no_home_folder(monkeypatch, home):
    """A user without a home folder has no files; above all none in the current folder."""
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "STATE_DIRECTORY", "HOME"):
        monkeypatch.delenv(name, raising=False)
    if home:
        monkeypatch.setenv("HOME", home)
    monkeypatch.setattr("os.getuid", lambda: 54_321)  # a user without an entry in the user database
    for path in (locations.user_file(), locations.state_dir(), locations.models_dir()):
        assert str(path).startswith("/nonexistent/")


@pytest.mark.parametrize("home", ["", "relative"])
def test_a_home_that_is_no_absolute_path(monkeypatch, home):
    """The home folder is then that of the user database, also for Maildirs, as if HOME were not set."""
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", home)
    own = pwd.getpwuid(os.getuid()).pw_dir
    assert locations.user_file() == Path(own, ".config/spamlstm/config.toml")
    assert locations.state_dir() == Path(own, ".local/state/spamlstm")
    assert absolute("~/Maildir") == f"{own}/Maildir"
    assert absolute("~") == own


def test_the_first_existing_file_is_used(monkeypatch, tmp_path):
    """The named file comes first, existing or not; then the user's; then the system's; then none."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(locations, "SYSTEM", tmp_path / "etc.toml")
    assert locations.find_config_file() is None
    (tmp_path / "etc.toml").touch()
    assert locations.find_config_file() == tmp_path / "etc.toml"
    locations.user_file().parent.mkdir(parents=True)
    locations.user_file().touch()
    assert locations.find_config_file() == locations.user_file() == locations.config_files()[0]
    assert locations.find_config_file(tmp_path / "none") == tmp_path / "none"


def test_without_a_file_no_parser_is_loaded(python):
    """A start without a configuration loads no TOML parser."""
    script = "import spamlstm.config.locations as p, sys; p.find_config_file(); p.state_dir(); print(*sys.modules)"
    loaded = python(script).split()
    assert {"tomllib", "difflib", "platformdirs", "glob", "spamlstm.config.reading"}.isdisjoint(loaded)
