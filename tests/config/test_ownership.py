"""A state folder or configuration that others can change is refused with a sentence that says what to do."""

import contextlib
import errno
import os
import pwd
import subprocess
import tempfile
from pathlib import Path

import pytest

from spamlstm.config import Config, load_config, ownership
from spamlstm.config.ownership import open_private, secured
from spamlstm.errors import ConfigError

ROOT = os.geteuid() == 0
# A user other than the one who runs the tests; need not exist.
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


def test_a_new_folder_is_private(tmp_path):
    """A new state folder has mode 0700, as have the missing folders above it."""
    assert secured(tmp_path / "a" / "b") is False
    assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "b")) == (0o700, 0o700)


@pytest.mark.parametrize("bits", [0o755, 0o750, 0o711, 0o2755])
def test_a_readable_folder_is_closed(state, bits):
    """Others could only read the folder, so its contents are trusted and its mode becomes 0700."""
    state.chmod(bits)
    assert secured(state) is True
    assert mode(state) & 0o777 == 0o700
    assert secured(state) is False


@pytest.mark.parametrize("bits", [0o777, 0o707, 0o1777, 0o702])
def test_a_writable_folder_is_refused(state, bits):
    """A folder in which others may have put files is refused and not changed; the user has to check it."""
    state.chmod(bits)
    with pytest.raises(ConfigError, match=rf"{bits:04o}.*chmod 700 {state}"):
        secured(state)
    assert mode(state) == bits


def test_a_link_is_refused(state, tmp_path):
    """A symbolic link is refused: its owner could change its target."""
    (tmp_path / "link").symlink_to(state)
    with pytest.raises(ConfigError, match="is a symbolic link"):
        secured(tmp_path / "link")


@pytest.mark.parametrize("below", [".", "state", ".local/state/spamlstm"])
def test_a_file_in_place_of_the_folder_is_refused(tmp_path, below):
    """If the folder or a folder above it is a file, the error says so and names the option."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="not a folder; name another folder with --state"):
        secured(tmp_path / "file" / below)


@pytest.mark.parametrize("below", ["state", ".local/state/spamlstm"])
def test_the_mode_of_a_device_is_not_to_be_changed(below):
    """The home folder of some users is /dev/null. Nobody is told to change the mode of this file."""
    with pytest.raises(ConfigError, match="not a folder; name another folder with --state"):
        secured(Path("/dev/null", below))


@only_root
def test_a_folder_that_cannot_be_made_private(state, monkeypatch):
    """On a file system without modes that can be changed, the error names the folder and the option."""
    state.chmod(0o755)

    def refuse(*_):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "fchmod", refuse)
    with pytest.raises(ConfigError, match=rf"{state} cannot be made private .operation not permitted.; .*--state"):
        secured(state)


@only_root
def test_a_file_of_another_user_above_is_refused():
    """The owner of a file in a shared folder could replace the file by a folder, before the state folder is created."""
    with tempfile.TemporaryDirectory() as shared:
        Path(shared).chmod(0o1777)
        Path(shared, "file").touch()
        os.chown(Path(shared, "file"), OTHER, OTHER)
        with pytest.raises(ConfigError, match=f"belongs to user {OTHER}, who can replace it"):
            secured(Path(shared, "file", "state"))


def test_a_folder_that_cannot_be_written(state):
    """If the mode of the state folder keeps its owner from writing, the error names the command that restores it."""
    state.chmod(0o500)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "access", lambda *_, **__: False)  # root may write all the same
        with pytest.raises(ConfigError, match=rf"may not write to .* {state} \(mode 0500\); run: chmod 700 {state}$"):
            secured(state)


@only_root
@pytest.mark.parametrize("above", ["", "closed"])
def test_a_folder_that_cannot_be_made(above):
    """If this user may not create the folder or not enter a folder above it, the error says what to do."""
    with tempfile.TemporaryDirectory() as home:
        Path(home).chmod(0o755)
        Path(home, "closed").mkdir(mode=0o700)
        os.seteuid(OTHER)
        try:
            with pytest.raises(ConfigError, match=r"/state cannot be opened or created .permission denied.; .*--state"):
                secured(Path(home, above, "state"))
        finally:
            os.seteuid(0)


@only_root
def test_a_folder_of_another_user_is_refused(state):
    """A folder of another user is refused, also for root: its owner could put links there."""
    os.chown(state, OTHER, OTHER)
    with pytest.raises(ConfigError, match=f"belongs to user {OTHER}"):
        secured(state)


def test_a_writable_parent_is_refused(tmp_path):
    """A parent that others can write to is refused, unless it is sticky: they could replace the state folder."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(ConfigError, match=rf"chmod go-w {tmp_path}/open"):
        secured(tmp_path / "open" / "state")
    (tmp_path / "open").chmod(0o1777)
    secured(tmp_path / "open" / "state")


def test_a_command_in_an_error_can_be_copied(tmp_path):
    """The name of a folder, which another user may have chosen, is quoted for the shell."""
    (tmp_path / "$(id)").mkdir()
    (tmp_path / "$(id)").chmod(0o777)
    with pytest.raises(ConfigError, match=rf"run: chmod go-w '{tmp_path}/\$\(id\)'$"):
        secured(tmp_path / "$(id)" / "state")


def test_a_refused_folder_is_not_made(tmp_path):
    """Nothing is created on a refused path, as it may follow a link of another user."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(ConfigError, match="other users can write"):
        secured(tmp_path / "open" / "a" / "state")
    assert list((tmp_path / "open").iterdir()) == []


def test_parents_through_a_link(tmp_path, state):
    """The parents of a link and of its target are both checked."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "link").symlink_to(tmp_path)
    secured(tmp_path / "open" / "link" / "state")
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(ConfigError, match="open, to which other users can write"):
        secured(tmp_path / "open" / "link" / "state")


@only_root
def test_a_parent_of_another_user_is_refused(tmp_path):
    """A parent of another user is refused: its owner could replace the state folder."""
    (tmp_path / "hers").mkdir(mode=0o755)
    os.chown(tmp_path / "hers", OTHER, OTHER)
    with pytest.raises(ConfigError, match=f"belongs to user {OTHER}, who can replace it"):
        secured(tmp_path / "hers" / "state")


def test_a_private_group_may_write(state, monkeypatch):
    """Many systems give each user a group of their own; write access for any other group is refused."""
    state.chmod(0o770)
    monkeypatch.setattr(ownership, "_is_own_group", lambda user, group: True)
    assert secured(state) is True
    state.chmod(0o770)
    monkeypatch.setattr(ownership, "_is_own_group", lambda user, group: False)
    with pytest.raises(ConfigError, match="other users can write"):
        secured(state)


def test_which_group_is_private():
    """A private group has the name of its user and no other member; an unknown group is not private."""
    root = pwd.getpwuid(0)
    assert ownership._is_own_group(0, root.pw_gid)
    assert not ownership._is_own_group(0, 54_321)
    assert not ownership._is_own_group(OTHER, OTHER)


def test_state_files_are_regular_files(state, tmp_path):
    """A link is not followed, and a FIFO is refused without waiting."""
    os.close(open_private(state / "new"))
    assert mode(state / "new") == 0o600
    (state / "link").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(state / "fifo")
    for name in ("link", "fifo"):
        with pytest.raises(ConfigError, match=name):
            open_private(state / name)
    assert not (tmp_path / "elsewhere").exists()


@only_root
def test_a_state_file_of_another_user_is_refused(state):
    """A state file of another user is an error, which does not advise to lose a file that root restored for itself."""
    (state / "theirs").touch()
    os.chown(state / "theirs", OTHER, OTHER)
    with pytest.raises(
        ConfigError,
        match=f"belongs to user {OTHER} and you are root; if it was restored .*chown -h root .*; otherwise move",
    ):
        open_private(state / "theirs")


@only_root
def test_the_advice_for_a_restored_state_helps():
    """A state folder that root restored from a backup is refused until the command of the error has run."""
    with tempfile.TemporaryDirectory() as base:
        Path(base).chmod(0o755)
        folder = Path(base) / "state"
        folder.mkdir(mode=0o700)
        for name in ("file", "file-wal"):
            (folder / name).touch(mode=0o600)
        for call in (secured, lambda path: open_private(path / "file")):
            with as_other(), pytest.raises(ConfigError, match="if it was restored from a backup") as refused:
                call(folder)
            command = str(refused.value).partition("run as root: ")[2].partition(";")[0]
            subprocess.run(["sh", "-c", command], check=True)
            if call is secured:
                os.chown(folder / "file", 0, 0)
        with as_other():
            os.close(open_private(folder / "file"))
        assert (folder / "file-wal").stat().st_uid == OTHER


@only_root
@pytest.mark.parametrize("refused_by", [secured, lambda folder: open_private(folder / "file")])
def test_the_advice_for_a_restored_state_follows_no_link(refused_by):
    """The user of the folder could put links there. The command that root runs gives away no file behind a link."""
    with tempfile.TemporaryDirectory() as base:
        Path(base).chmod(0o755)
        folder, secret = Path(base) / "state", Path(base) / "secret"
        folder.mkdir(mode=0o700)
        secret.touch()
        (folder / "file").touch()
        (folder / "file-wal").symlink_to(secret)
        os.chown(folder, 0 if refused_by is secured else OTHER, 0)
        with as_other(), pytest.raises(ConfigError) as refused:
            refused_by(folder)
        command = str(refused.value).partition("run as root: ")[2].partition(";")[0]
        subprocess.run(["sh", "-c", command], check=True)
        assert ((folder / "file").stat().st_uid, secret.stat().st_uid) == (OTHER, 0)


def test_a_folder_in_place_of_a_state_file(state):
    """The error says to move the folder away."""
    (state / "file").mkdir()
    with pytest.raises(ConfigError, match="file is not a regular file; move it away"):
        open_private(state / "file")


def test_a_state_file_without_permissions(state):
    """The error names the command that restores the mode, if the mode is the reason."""
    (state / "file").touch(mode=0o400)
    with pytest.MonkeyPatch.context() as patch:

        def refuse(path, flags, mode):
            raise PermissionError(13, "Permission denied", str(path))

        patch.setattr(os, "open", refuse)
        with pytest.raises(ConfigError, match=f"chmod 600 {state}/file"):
            open_private(state / "file")
        (state / "file").chmod(0o600)
        with pytest.raises(
            ConfigError, match=r"may not read and write .*, although its mode \(0600\) permits it; check"
        ):
            open_private(state / "file")
        with pytest.raises(PermissionError):
            open_private(state / "missing")


# --- the configuration -----------------------------------------------------------------------------------------------


def test_a_configuration_that_others_can_read_is_used(config):
    """A configuration that others can read is used: only write access matters."""
    config.chmod(0o644)
    assert load_config(config).daemon.scan_seconds == 30


@pytest.mark.parametrize("bits", [0o666, 0o602, 0o646])
def test_a_configuration_that_others_can_change(config, bits):
    """A configuration that others can write to is refused; the error names the chmod command that helps."""
    config.chmod(bits)
    with pytest.raises(ConfigError, match=rf"{bits:04o}.*chmod go-w {config}"):
        load_config(config)


def test_a_configuration_in_a_writable_folder(config):
    """A configuration in a folder that others can write to is refused: they could replace it."""
    config.parent.chmod(0o777)
    with pytest.raises(ConfigError, match=rf"chmod go-w {config.parent}"):
        load_config(config)


@only_root
def test_a_configuration_of_another_user(config):
    """Neither the file nor its folder may belong to another user."""
    os.chown(config, OTHER, OTHER)
    with pytest.raises(ConfigError, match=f"belongs to user {OTHER}.*chown root {config}"):
        load_config(config)
    os.chown(config, 0, 0)
    os.chown(config.parent, OTHER, OTHER)
    with pytest.raises(ConfigError, match=f"{config.parent}, which belongs to user {OTHER}"):
        load_config(config)


@contextlib.contextmanager
def as_other():
    """Run the code in the context as another user."""
    os.setegid(OTHER)
    os.seteuid(OTHER)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@only_root
def test_the_advice_for_an_unreadable_configuration_helps():
    """The error names the first folder or file that stops the user; after its commands the file can be read."""
    with tempfile.TemporaryDirectory() as base:
        Path(base).chmod(0o755)
        folder = Path(base) / "etc"
        folder.mkdir(mode=0o700)
        (folder / "config.toml").write_text("[daemon]\nscan_seconds = 30\n")
        (folder / "config.toml").chmod(0o600)
        for what in (f"enter {folder} \\(owner root, mode 0700", f"read {folder}/config.toml \\(owner root, mode 0600"):
            with as_other(), pytest.raises(ConfigError, match=f"user {OTHER} may not {what}") as refused:
                load_config(folder / "config.toml")
            subprocess.run(["sh", "-c", str(refused.value).partition("run as root: ")[2]], check=True)
        with as_other():
            assert load_config(folder / "config.toml").daemon.scan_seconds == 30
        assert (mode(folder), mode(folder / "config.toml")) == (0o710, 0o640)


def test_the_advice_for_a_missing_configuration_helps(tmp_path):
    """The error names the command that writes the file."""
    path = tmp_path / "config.toml"
    with pytest.raises(ConfigError, match=f"does not exist; .* spamlstm config init --path {path}$"):
        load_config(path)


def test_a_link_to_a_configuration(config, tmp_path):
    """A link is accepted; its target and both folders are checked."""
    (tmp_path / "link.toml").symlink_to(config)
    assert load_config(tmp_path / "link.toml").daemon.scan_seconds == 30
    config.chmod(0o666)
    with pytest.raises(ConfigError, match="other users can change"):
        load_config(tmp_path / "link.toml")


def test_a_device_is_accepted():
    """/dev/null is writable for all and means an empty configuration."""
    assert load_config(Path("/dev/null")) == Config()


def test_a_configuration_has_bounds(config):
    """A file of more than 4 MiB is refused."""
    os.truncate(config, 5 << 20)
    with pytest.raises(ConfigError, match="larger than"):
        load_config(config)
