"""`spamlstm scan` and `spamlstm undo`."""

import gzip
import json
import os
from pathlib import Path

import on_disk
import pytest
import tiny_bundle

from spamlstm.cli.translate import run
from spamlstm.cli.undo import parse_time
from spamlstm.config import load_found_config
from spamlstm.daemon.imap.records import AccountRecords
from spamlstm.daemon.state_folder import hold
from spamlstm.errors import UserError
from spamlstm.filtering.pipeline import Pipeline
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
    """Run a command line; gives the exit status, the lines of output, and the complaints."""

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


def test_scan(spamlstm, root):
    """Spam is tagged and filed, unsure tagged, ham and read mail left; a second scan does nothing."""
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
    """A dry run changes neither Maildir nor state folder; the next scan does what it reported."""
    before = everything(root)
    status, lines, _ = spamlstm("scan", "--dry-run", "--json", root)

    assert status == 0
    assert [json.loads(line)["done"] for line in lines] == ["would tag, file to .Junk", "would tag", "nothing"]
    assert everything(root) == before
    assert not (tmp_path / "state").exists()
    assert len(spamlstm("scan", root)[1]) == 3
    assert spamlstm("scan", "--dry-run", root) == (0, [], "")


def test_undo(spamlstm, root):
    """`undo` restores the Maildir as its dry run reported, and the next scan leaves those messages alone."""
    before = everything(root)
    spamlstm("scan", root)
    after = everything(root)
    status, lines, _ = spamlstm("undo", "--dry-run")
    assert (status, lines[-1], everything(root)) == (0, "2 would be undone", after)

    status, lines, _ = spamlstm("undo", "--since", "1h")

    assert (status, lines[-1]) == (0, "2 undone")
    assert everything(root) == before
    assert spamlstm("scan", root)[1] == []
    assert spamlstm("undo")[1][-1].startswith("there is nothing to undo since ")


def test_undo_with_damaged_records_of_an_account(spamlstm, root, tmp_path):
    """What was undone in Maildirs is reported although the records of an IMAP account cannot be read."""
    before = everything(root)
    spamlstm("scan", root)
    config = tmp_path / "config.toml"
    config.write_text('[[imap]]\nhost = "127.0.0.1"\nuser = "ann"\npassword_command = "printf secret"\n')
    records = AccountRecords.path_of(tmp_path / "state" / "spamlstm", load_found_config(config).accounts[0].key)
    records.parent.mkdir(mode=0o700)
    records.write_bytes(b"damaged" * 1000)

    status, lines, complaint = spamlstm("undo", "--config", config)

    assert everything(root) == before
    assert (status, lines[-1]) == (65, "2 undone")
    assert str(records) in complaint
    assert spamlstm("undo", "--config", config)[:2] == (65, [])


def test_undo_as_json(spamlstm, root):
    """--json prints one object for each message."""
    spamlstm("scan", root)
    rows = [json.loads(line) for line in spamlstm("undo", "--json")[1]]

    assert [(row["status"], row["actions"]) for row in rows] == [("undone", ["tag"]), ("undone", ["tag", "file"])]
    assert {row["to"] for row in rows} == {str(root)}


def test_the_configuration_applies(spamlstm, root, tmp_path):
    """The section of the Maildir applies, also if the command names it by a link."""
    config = tmp_path / "config.toml"
    config.write_text(f'[[maildir]]\npath = "{tmp_path}/Mail*"\njunk = "Spam"\nspam = ["file"]\nunsure = []\n')
    (tmp_path / "link").symlink_to(root)

    lines = spamlstm("scan", tmp_path / "link", "--config", config)[1]

    assert [line.split("\t")[-1] for line in lines] == ["file to .Spam", "nothing", "nothing"]
    assert spamlstm("scan", root, "--config", config) == (0, [], "")


def test_not_a_maildir(spamlstm, tmp_path):
    """Another folder is an error with status 66."""
    status, _, err = spamlstm("scan", tmp_path)
    assert (status, "is not a Maildir" in err) == (66, True)


@pytest.mark.parametrize("command", ["scan", "undo"])
def test_beside_the_daemon(spamlstm, root, tmp_path, command):
    """While the daemon runs, the status is 75; a dry run works."""
    state = tmp_path / "state" / "spamlstm"
    state.mkdir(parents=True)
    arguments = (command, root) if command == "scan" else (command,)
    with hold(state):
        assert spamlstm(*arguments)[0] == 75
        assert spamlstm(*arguments, "--dry-run")[0] == 0


def test_a_failure_is_reported(spamlstm, root):
    """If the junk folder cannot be made, the message stays, is reported once, others are handled; status 75."""
    (root / ".Junk").write_text("not a folder")

    status, lines, err = spamlstm("scan", root)

    assert (status, len(lines)) == (75, 2)
    assert err.count("\n") == 1
    assert "1.h" in err
    assert (root / "new" / "1.h").read_bytes() == tiny_bundle.SPAM


def test_an_interrupted_scan(spamlstm, root, monkeypatch):
    """After Ctrl-C the next scan takes the rest. The messages in progress are put back while the journal is open."""
    follow = Pipeline.follow
    crashed = []

    def followed(self, candidates):
        try:
            yield from follow(self, candidates)
        finally:
            crashed.append(self.journal.in_progress.has_crashed())

    with monkeypatch.context() as patched:
        patched.setattr(Pipeline, "follow", followed)
        patched.setattr("spamlstm.cli.scan._done", interrupted)
        assert spamlstm("scan", root)[0] == 130

    assert crashed == [False]
    status, _, err = spamlstm("scan", root)
    assert (status, err) == (0, "")


def interrupted(outcome):
    """Raise the exception of Ctrl-C."""
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("text", "moment"), [("30m", 8200.0), ("2h", 2800.0), (" 1D ", -76_400.0), ("1970-01-01T00:00:01+00:00", 1.0)]
)
def test_times(text, moment):
    """A span counts back from now; a date is taken as written."""
    assert parse_time(text, now=10_000.0) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "1y", "-1h", "12"])
def test_no_time(text):
    """Other text is a usage error."""
    with pytest.raises(UserError):
        parse_time(text, now=0.0)


@pytest.mark.parametrize("since", ["999999999w", "0001-01-02"])
def test_undo_since_the_beginning(spamlstm, root, since):
    """A time before all mail, which no system can print, undoes everything."""
    spamlstm("scan", root)
    assert len(spamlstm("undo", "--since", since)[1]) > 1
    status, lines, err = spamlstm("undo", "--since", since)
    assert (status, err) == (0, "")
    assert lines[-1].startswith("there is nothing to undo since 1970-01-0")


def test_undo_since_a_time_in_the_future(spamlstm, root):
    """A time in the future is a usage error that says what to write, and nothing is undone."""
    spamlstm("scan", root)
    before = everything(root)
    for more in ((), ("--json",), ("--dry-run",), (root / ".Junk",)):
        status, lines, err = spamlstm("undo", "--since", "2999-01-01", *more)
        assert (status, lines) == (64, [])
        assert err == (
            "spamlstm: --since 2999-01-01 is in the future; write a time in the past, such as 2h or 2026-11-20T18:30\n"
        )
    assert everything(root) == before


def test_a_maildir_that_cannot_be_read(spamlstm, root):
    """A Maildir that cannot be scanned is reported with status 75, and is not an empty inbox."""
    (root / "new").rename(root / "away")
    (root / "new").symlink_to("away")
    status, _, err = spamlstm("scan", root)
    assert status == 75
    assert err.startswith("spamlstm: scan-failed maildir=")


def test_a_folder_of_a_maildir_is_refused(spamlstm, root):
    """`scan X/.Junk` would make a junk folder within the junk folder: the sentence names the Maildir."""
    spamlstm("scan", root)
    status, _, err = spamlstm("scan", root / ".Junk")
    assert status == 66
    assert f"is in the Maildir {root}" in err
    assert not (root / ".Junk" / ".Junk").exists()


@pytest.mark.parametrize("by_file", [True, False])
def test_undo_of_one_message(spamlstm, root, by_file):
    """A message is named by its file or its id; others stay as they are."""
    spamlstm("scan", root)
    (filed,) = on_disk.messages(str(root / ".Junk"))
    rows = [json.loads(line) for line in spamlstm("undo", "--dry-run", "--json")[1]]
    (row,) = [row for row in rows if row["file"] == filed.path]
    assert spamlstm("undo", filed.path if by_file else row["id"])[1][-1] == "1 undone"
    assert list(on_disk.messages(str(root / ".Junk"))) == []
    assert spamlstm("undo")[1][-1] == "1 undone"


@pytest.mark.parametrize("brackets", ["<{}>", "{}"])
@pytest.mark.parametrize("compressed", [True, False])
def test_undo_by_message_id(spamlstm, root, brackets, compressed):
    """A message is named by its Message-ID; others stay as they are, and an unknown one changes nothing."""
    spamlstm("scan", root)
    (filed,) = on_disk.messages(str(root / ".Junk"))
    raw = Path(filed.path).read_bytes()
    named = b"Message-ID:\r\n <7.a/b@x.org>\r\n" + raw
    Path(filed.path).write_bytes(gzip.compress(named) if compressed else named)
    status, _, err = spamlstm("undo", brackets.format("8.a@x.org"))
    assert (status, "it may have been undone, moved or removed" in err) == (66, True)
    if brackets == "<{}>":
        assert spamlstm("undo", "<7.a/b@x.org>")[1][-1] == "1 undone"
        assert spamlstm("undo")[1][-1] == "1 undone"


def test_undo_by_the_name_of_the_file(spamlstm, root):
    """A message is named by the name of its file, before or after it was filed, with any flags."""
    spamlstm("scan", root)
    (filed,) = on_disk.messages(str(root / ".Junk"))
    assert spamlstm("undo", "--dry-run", filed.name.partition(":")[0] + ":2,FS")[1][-1] == "1 would be undone"
    before = [json.loads(line) for line in spamlstm("undo", "--dry-run", "--json")[1]]
    assert len(before) == 2
    status, _, err = spamlstm("undo", root)
    assert (status, err) == (
        66,
        f"spamlstm: {root} is a folder; name one message, or leave it out to undo everything since a time (--since)\n",
    )
    status, _, err = spamlstm("undo", "no-such-name")
    assert (status, err) == (
        66,
        "spamlstm: 'no-such-name' is not a file, and there is nothing to undo for a message with this name\n",
    )
    assert spamlstm("undo", filed.name)[1][-1] == "1 undone"


def test_undo_by_the_path_that_scan_printed(spamlstm, root):
    """A message that was filed is named by its earlier path too, but not by one in another Maildir."""
    scanned = [json.loads(line) for line in spamlstm("scan", "--json", root)[1]]
    (path,) = (row["path"] for row in scanned if row["verdict"] == "spam")
    other = root.parent / "other" / "new" / Path(path).name
    assert not Path(path).exists()

    assert spamlstm("undo", other)[0] == 66
    assert spamlstm("undo", path)[1][-1] == "1 undone"
    assert "there is nothing to undo for a message with this name" in spamlstm("undo", path)[2]


def test_undo_of_a_missing_file(spamlstm, root):
    """A file that cannot be read is an error with status 66."""
    assert spamlstm("undo", root / "none")[0] == 66


def test_undo_on_a_terminal(spamlstm, on_terminal, root, monkeypatch):
    """On a terminal `undo` shows the subject and the file of each message."""
    spamlstm("scan", root)
    status, shown = on_terminal("undo", "--state", root.parent / "state" / "spamlstm", "--color", "never")
    assert (status, "a plain subject line" in shown) == (0, True)
    assert f"{root}/new/" in shown


def test_verbose_scan(spamlstm, root):
    """--verbose adds the events of the log; the default reports nothing but failures."""
    assert spamlstm("scan", "--dry-run", root)[2] == ""
    err = spamlstm("scan", root, "-v")[2]
    assert "verdict=spam" in err
    assert all(line.startswith("spamlstm: ") for line in err.splitlines())


def test_a_folder_keeps_its_name_in_a_sentence(spamlstm, root, tmp_path):
    """A reason that begins with the name of a folder is not lower-cased."""
    (root / "Junk").symlink_to(tmp_path)
    (tmp_path / "config.toml").write_text(f'[[maildir]]\npath = "{root}"\njunk = "Junk"\n')
    err = spamlstm("scan", root, "--config", tmp_path / "config.toml")[2]
    assert err == f"spamlstm: {root}/new/1.h: Junk is a symbolic link, and links in a Maildir are not followed\n"


def test_quiet_scan_and_undo(spamlstm, root):
    """With -q scan and undo print nothing, except in a dry run or as JSON."""
    assert spamlstm("scan", root, "--dry-run", "-q")[1]
    assert spamlstm("scan", root, "-q") == (0, [], "")
    assert spamlstm("undo", "--dry-run", "-q")[1]
    assert spamlstm("undo", "-q") == (0, [], "")
