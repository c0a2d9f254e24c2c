"""`spamlstm scan` and `spamlstm undo`: one pass over a Maildir, and its way back."""

import json
import os

import on_disk
import pytest
import tiny_bundle

from spamlstm.cli.translate import run
from spamlstm.cli.undo import when
from spamlstm.daemon.state_folder import hold
from spamlstm.errors import UserError
from spamlstm.maildir import names

MAILS = {"1.h": tiny_bundle.SPAM, "2.h": tiny_bundle.UNSURE, "3.h": tiny_bundle.HAM}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A Maildir with one unread message of each verdict, and an old one that was read."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    path = tmp_path / "Maildir"
    for part in ("", *names.PARTS):
        (path / part).mkdir()
    for name, raw in MAILS.items():
        (path / "new" / name).write_bytes(raw)
    (path / "cur" / "4.h:2,S").write_bytes(tiny_bundle.SPAM + b"\r\nold")
    return path


@pytest.fixture
def spamlstm(tiny, root, capsys):
    """Run a command line; gives the exit status, the lines it printed, and what it complained of."""

    def command(*arguments):
        capsys.readouterr()
        model = ("--model", str(tiny)) if arguments[0] == "scan" else ()
        status = run([*map(str, arguments), *model])
        out, err = capsys.readouterr()
        return status, out.splitlines(), err

    return command


def everything(root):
    return sorted(
        (os.path.relpath(entry.folder, root), entry.part, on_disk.content(entry.path))
        for folder in (root, root / ".Junk")
        if folder.is_dir()
        for entry in on_disk.messages(str(folder))
    )


def test_a_pass(spamlstm, root):
    """Spam is tagged and filed, unsure tagged, ham and what was read before is left; a second pass does nothing."""
    status, lines, _ = spamlstm("scan", root)

    assert status == 0
    assert [(line.split("\t")[0], line.split("\t")[-1]) for line in lines] == [
        ("spam", "tag, file to .Junk"),
        ("unsure", "tag"),
        ("ham", "nothing"),
    ]
    (filed,) = on_disk.messages(str(root / ".Junk"))
    assert on_disk.content(filed.path).startswith(b"X-Spam-Flag: YES\r\n")
    assert spamlstm("scan", root) == (0, [], "")


def test_a_dry_run_leaves_no_trace(spamlstm, root, tmp_path):
    """Neither in the Maildir nor in the state folder; the next real pass does what was said."""
    before = everything(root)
    status, lines, _ = spamlstm("scan", "--dry-run", "--json", root)

    assert status == 0
    assert [json.loads(line)["done"] for line in lines] == ["would tag, file to .Junk", "would tag", "nothing"]
    assert everything(root) == before
    assert not (tmp_path / "state").exists()
    assert len(spamlstm("scan", root)[1]) == 3
    assert spamlstm("scan", "--dry-run", root) == (0, [], "")


def test_undo(spamlstm, root):
    """All is as it was; the dry run said so before, and the next pass leaves what was taken back alone."""
    before = everything(root)
    spamlstm("scan", root)
    after = everything(root)
    status, lines, _ = spamlstm("undo", "--dry-run")
    assert (status, lines[-1], everything(root)) == (0, "2 would be taken back", after)

    status, lines, _ = spamlstm("undo", "--since", "1h")

    assert (status, lines[-1]) == (0, "2 taken back")
    assert everything(root) == before
    assert spamlstm("scan", root)[1] == []
    assert spamlstm("undo")[1][-1].startswith("nothing was done since ")


def test_undo_as_json(spamlstm, root):
    spamlstm("scan", root)
    rows = [json.loads(line) for line in spamlstm("undo", "--json")[1]]

    assert [(row["fate"], row["actions"]) for row in rows] == [("undone", ["tag"]), ("undone", ["tag", "file"])]
    assert {row["to"] for row in rows} == {str(root)}


def test_it_heeds_the_configuration(spamlstm, root, tmp_path):
    """The section that means this Maildir holds, by whatever name it is called here."""
    config = tmp_path / "config.toml"
    config.write_text(f'[[maildir]]\npath = "{tmp_path}/Mail*"\njunk = "Spam"\nspam = ["file"]\nunsure = []\n')
    (tmp_path / "link").symlink_to(root)

    lines = spamlstm("scan", tmp_path / "link", "--config", config)[1]

    assert [line.split("\t")[-1] for line in lines] == ["file to .Spam", "nothing", "nothing"]
    assert spamlstm("scan", root, "--config", config) == (0, [], "")


def test_no_maildir(spamlstm, tmp_path):
    status, _, err = spamlstm("scan", tmp_path)
    assert (status, "is no Maildir" in err) == (66, True)


@pytest.mark.parametrize("command", ["scan", "undo"])
def test_beside_the_daemon(spamlstm, root, tmp_path, command):
    """Two that act on the same mail would settle each other's acts: the second is told to wait, a dry run is not."""
    state = tmp_path / "state" / "spamlstm"
    state.mkdir(parents=True)
    arguments = (command, root) if command == "scan" else (command,)
    with hold(state):
        assert spamlstm(*arguments)[0] == 75
        assert spamlstm(*arguments, "--dry-run")[0] == 0


def test_a_failure_is_told(spamlstm, root):
    """A junk folder that cannot be made: the message stays, the others are dealt with, the status says try later."""
    (root / ".Junk").write_text("not a folder")

    status, lines, err = spamlstm("scan", root)

    assert (status, len(lines)) == (75, 2)
    assert "1.h" in err
    assert (root / "new" / "1.h").read_bytes() == tiny_bundle.SPAM


@pytest.mark.parametrize(
    ("text", "moment"), [("30m", 8200.0), ("2h", 2800.0), (" 1D ", -76_400.0), ("1970-01-01T00:00:01+00:00", 1.0)]
)
def test_when(text, moment):
    """Spans count back from now, dates are as written."""
    assert when(text, now=10_000.0) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "1y", "-1h", "12"])
def test_no_time(text):
    with pytest.raises(UserError):
        when(text, now=0.0)


def test_a_maildir_that_cannot_be_looked_at(spamlstm, root):
    """What cannot be scanned is a failure to be tried again, and not an empty inbox."""
    (root / "new").rename(root / "away")
    (root / "new").symlink_to("away")
    status, _, _ = spamlstm("scan", root)
    assert status == 75
