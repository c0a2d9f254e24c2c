"""A state folder that is removed or replaced while the daemon runs is noticed."""

import shutil

import pytest

from spamlstm.daemon.state_folder import FILES, StateFolder
from spamlstm.errors import TemporaryError


@pytest.fixture
def state(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_text(name)
    return folder


def test_what_is_written_to_is_still_the_same(state):
    """Changes are what the files are for."""
    folder = StateFolder(state)
    for name in FILES:
        (state / name).write_text("more")
    (state / "other").touch()
    folder.check()


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_gone_or_another(state, name):
    """Also where one of the same name and content has come in its place."""
    folder = StateFolder(state)
    (state / name).rename(state / "away")
    with pytest.raises(TemporaryError, match=f"{name} was removed or replaced"):
        folder.check()
    shutil.copy2(state / "away", state / name)
    with pytest.raises(TemporaryError, match=f"{name} was removed or replaced"):
        folder.check()
    (state / "away").replace(state / name)
    folder.check()


def test_a_folder_that_is_gone_or_a_link(state, tmp_path):
    """A link to the same folder is another thing, which somebody has put there."""
    folder = StateFolder(state)
    state.rename(tmp_path / "away")
    with pytest.raises(TemporaryError, match="state was removed or replaced"):
        folder.check()
    state.symlink_to(tmp_path / "away")
    with pytest.raises(TemporaryError, match="state was removed or replaced"):
        folder.check()
