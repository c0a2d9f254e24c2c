"""A listener for rspamd's HTTP, with a password in a file."""

import pytest
from http_wire import PASSWORD

from spamlstm.config import Config, HttpConfig


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("http") / "password"
    path.touch(0o600)
    path.write_text(f"{PASSWORD}\n")
    return path


@pytest.fixture
def config(tmp_path, file):
    return Config(http=HttpConfig(f"unix:{tmp_path}/http.sock", password_file=str(file)))


@pytest.fixture
def http(tmp_path, running):
    return f"{tmp_path}/http.sock"
