"""Files with passwords."""

import os

import pytest

from spamlstm.config.passwords import read_password
from spamlstm.errors import ConfigError


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "password"
    path.touch(0o600)
    return path


@pytest.mark.parametrize(
    ("content", "password"),
    [(b"secret", b"secret"), (b" two words \r\n", b"two words"), ("grün\n\n".encode(), "grün".encode())],
)
def test_a_password(file, content, password):
    """The password is the content of the file without white space around it."""
    file.write_bytes(content)
    assert read_password(str(file)) == password


def test_the_path_may_begin_with_a_home_folder(file, monkeypatch):
    """~ stands for the home folder."""
    file.write_text("secret")
    monkeypatch.setenv("HOME", str(file.parent))
    assert read_password("~/password") == b"secret"


@pytest.mark.parametrize("content", [b"", b" \n", b"one\ntwo\n", b"a\0b", b"x" * 2000])
def test_no_password(file, content):
    """A file without a password, or with several lines, is an error."""
    file.write_bytes(content)
    with pytest.raises(ConfigError, match="must contain one line with a password"):
        read_password(str(file))


@pytest.mark.parametrize(("mode", "usable"), [(0o600, True), (0o640, True), (0o644, False), (0o660, False)])
def test_others_may_not_read_it(file, mode, usable):
    """The group may read the file. If it may write, or everybody may read, the error says which command helps."""
    file.write_text("secret")
    if os.geteuid() == 0:
        os.chown(file, 0, 65534)
    file.chmod(mode)
    if usable:
        assert read_password(str(file)) == b"secret"
        return
    with pytest.raises(ConfigError, match=rf"mode {mode:04o}\); run: chmod o=,g-w {file}"):
        read_password(str(file))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_another_user(file):
    """A password file of another user is refused, because its owner could choose the password."""
    file.write_text("secret")
    os.chown(file, 65534, 65534)
    with pytest.raises(ConfigError, match="belongs to nobody; run: chown root"):
        read_password(str(file))


def test_no_file(tmp_path):
    """A missing file, a folder or a FIFO is an error that names the file, without waiting."""
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "missing", tmp_path, tmp_path / "fifo"):
        with pytest.raises(ConfigError, match=f"the file {path} with the password cannot be read"):
            read_password(str(path))
