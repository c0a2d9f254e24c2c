"""A state folder or configuration that others could change is refused, with what to do."""

import os
import pwd
from pathlib import Path

import pytest

from spamlstm.config import load_config, ownership
from spamlstm.config.ownership import open_private, secured
from spamlstm.errors import ConfigError

ROOT = os.geteuid() == 0
# Another user than the one of the tests, who need not exist.
OTHER = 20_001

only_root = pytest.mark.skipif(not ROOT, reason="only root can give files to another user")


@pytest.fixture
def state(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def config(tmp_path):
    folder = tmp_path / "etc"
    folder.mkdir(mode=0o755)
    (folder / "config.toml").write_text("[daemon]\nscan_seconds = 30\n")
    (folder / "config.toml").chmod(0o600)
    return folder / "config.toml"


def mode(path):
    return path.stat().st_mode & 0o7777


def test_a_new_one_is_private(tmp_path):
    """With what is missing above it."""
    assert secured(tmp_path / "a" / "b") is False
    assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "b")) == (0o700, 0o700)


@pytest.mark.parametrize("bits", [0o755, 0o750, 0o711, 0o2755])
def test_what_others_could_read_is_closed(state, bits):
    """They could change nothing, so that what lies there is ours; once is enough."""
    state.chmod(bits)
    assert secured(state) is True
    assert mode(state) & 0o777 == 0o700
    assert secured(state) is False


@pytest.mark.parametrize("bits", [0o777, 0o707, 0o1777, 0o702])
def test_what_others_could_write_to_is_refused(state, bits):
    """Whatever lies there may be theirs, so that to close it is not enough: its owner has to look."""
    state.chmod(bits)
    with pytest.raises(ConfigError, match=rf"{bits:04o}.*chmod 700 {state}"):
        secured(state)
    assert mode(state) == bits


def test_a_link_is_refused(state, tmp_path):
    """Whoever made it may lead us elsewhere tomorrow."""
    (tmp_path / "link").symlink_to(state)
    with pytest.raises(ConfigError, match="is a link"):
        secured(tmp_path / "link")


@only_root
def test_what_belongs_to_another_is_refused(state):
    """By root too: its owner could put links there."""
    os.chown(state, OTHER, OTHER)
    with pytest.raises(ConfigError, match=f"belongs to user {OTHER}"):
        secured(state)


def test_a_folder_above_that_others_may_write_to(tmp_path):
    """They could put another state folder in its place; in a sticky folder they could not."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(ConfigError, match=rf"chmod go-w {tmp_path}/open"):
        secured(tmp_path / "open" / "state")
    (tmp_path / "open").chmod(0o1777)
    secured(tmp_path / "open" / "state")


def test_nothing_is_made_where_it_is_refused(tmp_path):
    """Not even the folders above it: the way there may lead along somebody's link, to a place that is not his."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(ConfigError, match="others may write"):
        secured(tmp_path / "open" / "a" / "state")
    assert list((tmp_path / "open").iterdir()) == []


def test_a_folder_above_by_way_of_a_link(tmp_path, state):
    """Both the folder in which the link lies and the one that it leads to count."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "link").symlink_to(tmp_path)
    secured(tmp_path / "open" / "link" / "state")
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(ConfigError, match="open, to which others may write"):
        secured(tmp_path / "open" / "link" / "state")


@only_root
def test_a_folder_above_that_belongs_to_another(tmp_path):
    (tmp_path / "hers").mkdir(mode=0o755)
    os.chown(tmp_path / "hers", OTHER, OTHER)
    with pytest.raises(ConfigError, match=f"belongs to user {OTHER}, who could put another in its place"):
        secured(tmp_path / "hers" / "state")


def test_a_group_of_ones_own_is_nobody_else(state, monkeypatch):
    """Many systems give each user a group and let it write; any other group is others."""
    state.chmod(0o770)
    monkeypatch.setattr(ownership, "_is_own_group", lambda user, group: True)
    assert secured(state) is True
    state.chmod(0o770)
    monkeypatch.setattr(ownership, "_is_own_group", lambda user, group: False)
    with pytest.raises(ConfigError, match="others may write"):
        secured(state)


def test_which_group_is_ones_own():
    """Of root's name, and with nobody else in it; a group that does not exist is not."""
    root = pwd.getpwuid(0)
    assert ownership._is_own_group(0, root.pw_gid)
    assert not ownership._is_own_group(0, 54_321)
    assert not ownership._is_own_group(OTHER, OTHER)


def test_a_file_of_ours_is_a_regular_file(state, tmp_path):
    """A link is not followed, and a FIFO keeps nobody waiting."""
    os.close(open_private(state / "new"))
    assert mode(state / "new") == 0o600
    (state / "link").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(state / "fifo")
    for name in ("link", "fifo"):
        with pytest.raises(ConfigError, match=name):
            open_private(state / name)
    assert not (tmp_path / "elsewhere").exists()


@only_root
def test_a_file_of_another_is_not_ours(state):
    (state / "theirs").touch()
    os.chown(state / "theirs", OTHER, OTHER)
    with pytest.raises(ConfigError, match="move it away"):
        open_private(state / "theirs")


# --- the configuration -----------------------------------------------------------------------------------------------


def test_ones_own_is_read(config):
    config.chmod(0o644)
    assert load_config(config).daemon.scan_seconds == 30


@pytest.mark.parametrize("bits", [0o666, 0o602, 0o646])
def test_a_configuration_that_others_could_change(config, bits):
    config.chmod(bits)
    with pytest.raises(ConfigError, match=rf"{bits:04o}.*chmod go-w {config}"):
        load_config(config)


def test_a_configuration_in_a_folder_of_others(config):
    """Where they may write they could put another in its place."""
    config.parent.chmod(0o777)
    with pytest.raises(ConfigError, match=rf"chmod go-w {config.parent}"):
        load_config(config)


@only_root
def test_a_configuration_of_another(config):
    """Neither the file nor the folder may be."""
    os.chown(config, OTHER, OTHER)
    with pytest.raises(ConfigError, match=f"belongs to user {OTHER}.*chown root {config}"):
        load_config(config)
    os.chown(config, 0, 0)
    os.chown(config.parent, OTHER, OTHER)
    with pytest.raises(ConfigError, match=f"{config.parent}, which belongs to user {OTHER}"):
        load_config(config)


def test_a_link_to_a_configuration(config, tmp_path):
    """Many keep theirs elsewhere; what counts is what the link leads to, and both folders."""
    (tmp_path / "link.toml").symlink_to(config)
    assert load_config(tmp_path / "link.toml").daemon.scan_seconds == 30
    config.chmod(0o666)
    with pytest.raises(ConfigError, match="others may change"):
        load_config(tmp_path / "link.toml")


def test_what_is_no_file_was_chosen_by_whoever_named_it():
    """/dev/null, which all may write to, is no configuration at all."""
    load_config(Path("/dev/null"))


def test_a_configuration_has_bounds(config):
    os.truncate(config, 5 << 20)
    with pytest.raises(ConfigError, match="larger than"):
        load_config(config)
