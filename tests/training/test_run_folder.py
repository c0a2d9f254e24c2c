"""The folder of a long run: nothing of the user is lost, and a result is replaced by a complete one."""

from pathlib import Path

import pytest

from spamlstm.errors import UserError
from training import leave_out, run_folder

HOLDS = "result"


def result(path: Path, words: str) -> Path:
    """Write a result of a run."""
    path.mkdir(parents=True, exist_ok=True)
    (path / HOLDS).write_text(words)
    return path


def run(out: Path, words: str, identity: str = "one") -> None:
    """Run from the beginning to the end."""
    folder = run_folder.open_run_folder(out, holds=HOLDS, identity=identity)
    run_folder.publish(result(run_folder.empty_folder(folder, "made"), words), out, folder=folder)


def test_the_neighbours_of_out_are_kept(tmp_path):
    """Folders of the user beside OUT are not deleted, whatever their names."""
    result(tmp_path / "model.old", "a backup")
    for number in range(2):
        run(tmp_path / "model", f"run {number}")
    assert (tmp_path / "model" / HOLDS).read_text() == "run 1"
    assert (tmp_path / "model.old" / HOLDS).read_text() == "a backup"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_no_run_created_is_kept(tmp_path):
    """OUT.partial is an error unless it is empty or was left by a run."""
    result(tmp_path / "model.partial", "work of the user")
    with pytest.raises(UserError, match=r"model\.partial already exists"):
        run_folder.check_replaceable(tmp_path / "model", holds=HOLDS)
    (tmp_path / "model.partial" / HOLDS).unlink()
    run(tmp_path / "model", "made")
    run_folder.open_run_folder(tmp_path / "model", holds=HOLDS, identity="interrupted")
    run(tmp_path / "model", "made", identity="another")


@pytest.mark.parametrize(("current", "out"), [("model", "."), ("model/a", ".."), ("model/a/b", "../..")])
def test_the_current_folder_is_in_out(tmp_path, monkeypatch, current, out):
    """The current folder would be deleted with the earlier result, and a relative OUT would be another place then."""
    (result(tmp_path / "model", "old") / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / current)
    with pytest.raises(UserError, match="current folder"):
        run(Path(out), "new")
    assert (tmp_path / "model" / HOLDS).read_text() == "old"


@pytest.mark.parametrize("identity", ["one", "another"])
def test_a_run_killed_between_the_two_renames(tmp_path, monkeypatch, identity):
    """The next run, also one of another kind, puts the earlier result back."""
    out = tmp_path / "model"
    run(out, "the first")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", _kill_at(out))
        with pytest.raises(KeyboardInterrupt):
            run(out, "the second")
    assert not out.exists()
    run_folder.open_run_folder(out, holds=HOLDS, identity=identity)
    assert (out / HOLDS).read_text() == "the first"
    run(out, "the third", identity=identity)
    assert (out / HOLDS).read_text() == "the third"


def _kill_at(out):
    rename = Path.rename

    def stop(path, target):
        if target == out:
            raise KeyboardInterrupt
        return rename(path, target)

    return stop


def test_the_target_of_a_link_is_replaced(tmp_path):
    """If OUT is a link, the link stays and the folder at its end is replaced."""
    result(tmp_path / "disk" / "model", "old")
    (tmp_path / "model").symlink_to("disk/model")
    run(tmp_path / "model", "new")
    assert (tmp_path / "model").is_symlink()
    assert (tmp_path / "disk" / "model" / HOLDS).read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "model"]


def test_a_folder_that_cannot_be_renamed_is_an_early_error(tmp_path, monkeypatch):
    """A volume of a container and the current folder cannot be renamed, which must not be found out at the end."""
    (tmp_path / "volume").mkdir()
    monkeypatch.chdir(tmp_path / "volume")
    with pytest.raises(UserError, match="current folder"):
        run_folder.check_replaceable(Path(), holds=HOLDS)
    monkeypatch.setattr(Path, "is_mount", lambda path: path.name == "volume")
    with pytest.raises(UserError, match="mount point"):
        run_folder.check_replaceable(tmp_path / "volume", holds=HOLDS)
    run_folder.check_replaceable(tmp_path / "volume" / "model", holds=HOLDS)


def test_a_table_replaces_only_a_table(tmp_path):
    """`leave-out` replaces its own table, and no other file."""
    out = tmp_path / "notes"
    out.write_text("work of the user\n")
    with pytest.raises(UserError, match="not a table"):
        leave_out.check_out(out)
    out.write_text("| " + " | ".join(leave_out.HEADER) + " |\n")
    leave_out.check_out(out)
    leave_out.check_out(tmp_path / "new")
