"""Commands with a damaged state folder: one sentence that says what to do, status 65, no traceback."""

import contextlib
import os
import shutil
import sqlite3

import pytest
import tiny_bundle

from spamlstm.cli.translate import run
from spamlstm.config.locations import LABELS
from spamlstm.filtering.journal import NAME as JOURNAL
from spamlstm.maildir import names
from spamlstm.model.personal_layer import SHAPE
from spamlstm.tracking.mailbox_state import MailboxState
from spamlstm.tracking.state_database import NAME as MAILBOX_STATE

LABEL_COMMANDS = {
    "label": ("label", "spam", "{mail}"),
    "forget": ("forget", "{mail}"),
    "classify": ("classify", "{mail}"),
    "explain": ("classify", "--explain", "{mail}"),
    "labels": ("labels",),
    "labels as json": ("labels", "--json"),
    "retrain": ("retrain", "--now"),
    "adopt": ("adopt", "{root}"),
    "dry adopt": ("adopt", "--dry-run", "{root}"),
    "undo of adopt": ("adopt", "--undo", "{root}"),
    "scan": ("scan", "{root}"),
    "dry scan": ("scan", "--dry-run", "{root}"),
    "purge": ("labels", "purge", "--yes"),
}
COMMANDS = {**LABEL_COMMANDS, "undo": ("undo",), "dry undo": ("undo", "--dry-run"), "status": ("status",)}
DAMAGE = (
    "mail = x'789c00'",
    "label = 'maybe'",
    "label = CAST(x'ff' AS TEXT)",
    "prior = 'x'",
    "tokens = x'01'",
    "origin = 'z'",
    "time = 9e999",
    "content = x'00'",
    "subject = x'00'",
)


@pytest.fixture(scope="module")
def used(tmp_path_factory, tiny):
    """A home folder with a Maildir, some mail labelled and some filed; and a copy of it."""
    home = tmp_path_factory.mktemp("used") / "home"
    path = home / "Maildir"
    for part in names.PARTS:
        (path / part).mkdir(parents=True)
    (path / "new" / "9.h").write_bytes(tiny_bundle.SPAM)
    for number in range(4):
        (path / "cur" / f"{number}.h:2,RS").write_bytes(f"Subject: {number}\n\nwords {number}\n".encode())
    (home / "one.eml").write_bytes(tiny_bundle.UNSURE)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(home, tiny).items():
            patch.setenv(name, str(value))
        assert run(["scan", str(path)]) == 0
        for number in range(4):
            body = f"Subject: j {number}\n\nother {number}\n".encode()
            (path / ".Junk" / "cur" / f"{number}.j:2,S").write_bytes(body)
        assert run(["label", "ham", str(path / "cur" / "0.h:2,RS"), str(home / "one.eml")]) == 0
        assert run(["label", "spam", str(path / "cur" / "1.h:2,RS")]) == 0
    return home, shutil.copytree(home, home.with_name("kept"))


def environment(home, tiny):
    return {
        "XDG_STATE_HOME": home / "xdg",
        "XDG_DATA_HOME": home / "data",
        "STATE_DIRECTORY": home / "state",
        "SPAMLSTM_MODEL": tiny,
    }


@pytest.fixture
def home(used, tiny, monkeypatch):
    """The home folder, restored at the same path, which the journal contains."""
    for name, value in environment(used[0], tiny).items():
        monkeypatch.setenv(name, str(value))
    shutil.rmtree(used[0])
    return shutil.copytree(used[1], used[0])


@pytest.fixture
def root(home):
    return home / "Maildir"


@pytest.fixture
def spamlstm(root, home, capfd):
    """Run a command by its name; gives the exit status and the lines of standard error."""

    def command(name):
        capfd.readouterr()
        status = run([one.format(mail=home / "one.eml", root=root) for one in COMMANDS[name]])
        _, err = capfd.readouterr()
        assert "bug" not in err
        assert "Traceback" not in err
        return status, err.splitlines()

    return command


def change(path, statement):
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(statement)
        database.commit()


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_row_of_labels(spamlstm, home, damage):
    """Commands that read the damaged row end with 65 and name the file; others work."""
    store = home / "state" / LABELS
    change(store, "DELETE FROM learned")
    change(store, f"UPDATE labels SET {damage} WHERE id = 1")  # noqa: S608  ours
    failed = set()
    for name in ("labels", "classify", "retrain", "scan", "adopt", "label", "forget", "purge"):
        status, complaints = spamlstm(name)
        if status == 65:
            failed.add(name)
            assert len(complaints) == 1
            assert str(store) in complaints[0]
            assert "move it away to begin anew" in complaints[0]
        else:
            assert status in (0, 66, 69), (name, complaints)
    assert failed
    assert "purge" not in failed


@pytest.mark.parametrize("name", [name for name in LABEL_COMMANDS if name != "purge"])
def test_an_unknown_label(spamlstm, home, name):
    """An unknown label stops each command that reads labels, with status 65."""
    change(home / "state" / LABELS, "DELETE FROM learned")
    change(home / "state" / LABELS, "UPDATE labels SET label = 'maybe'")
    status, complaints = spamlstm(name)
    assert (status, len(complaints)) == (65, 1)


@pytest.mark.parametrize("table", ["labels", "learned", "written", "epoch"])
@pytest.mark.parametrize("name", ["label", "labels", "classify", "adopt", "scan", "purge"])
def test_a_missing_table(spamlstm, home, table, name):
    """A missing table is reported as damage."""
    change(home / "state" / LABELS, f"DROP TABLE {table}")
    status, complaints = spamlstm(name)
    assert status in (0, 65, 66, 69)
    if status == 65:
        assert len(complaints) == 1
        assert LABELS in complaints[0]


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("file", [LABELS, JOURNAL, MAILBOX_STATE])
def test_a_file_that_is_not_a_database(spamlstm, home, file, name):
    """A command reports the file, does not need it, or makes a new one."""
    path = home / "state" / file
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.write_bytes(b"garbage" * 500)
    status, complaints = spamlstm(name)
    assert status in (0, 65, 66, 69)
    if status == 65:
        assert len(complaints) == 1
        assert "damaged" in complaints[0]
    elif file == LABELS:
        assert name in ("undo", "dry undo", "status")


@pytest.mark.parametrize("name", ["undo", "dry undo", "scan"])
@pytest.mark.parametrize(
    "damage", ["actions = 'evil'", "folder = x'2f'", "source = NULL || 'x'", "name = x''", "size = 'x'"]
)
def test_a_damaged_act(spamlstm, root, home, damage, name):
    """`undo` reports the damaged act with status 65; nothing is moved."""
    change(home / "state" / JOURNAL, f"UPDATE OR IGNORE acts SET {damage}")  # noqa: S608  ours
    before = sorted(os.listdir(root / ".Junk" / "cur") + os.listdir(root / ".Junk" / "new"))  # noqa: PTH208
    status, complaints = spamlstm(name)
    if "undo" in name and "NULL" not in damage:
        assert status == 65
        assert len(complaints) == 1
        assert "act 1 of the journal" in complaints[0]
    else:
        assert status == 0
    if "NULL" not in damage:
        assert sorted(os.listdir(root / ".Junk" / "cur") + os.listdir(root / ".Junk" / "new")) == before  # noqa: PTH208


@pytest.mark.parametrize("name", ["scan", "dry scan", "dry adopt"])
@pytest.mark.parametrize("file", [LABELS, JOURNAL])
def test_pages_that_are_garbage(spamlstm, home, file, name):
    """A file whose first page is intact is named in full, also in a dry run, which works on a copy."""
    path = home / "state" / file
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    status, complaints = spamlstm(name)
    assert (status, len(complaints)) == (65, 1)
    assert str(path) in complaints[0]
    assert "move it away to begin anew" in complaints[0]


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("file", [LABELS, JOURNAL, MAILBOX_STATE])
def test_a_folder_in_the_place_of_a_file(spamlstm, home, file, name):
    """A command names the folder and what to do, with status 78, or does not need the file; it is never ignored."""
    path = home / "state" / file
    path.unlink(missing_ok=True)
    path.mkdir()
    status, complaints = spamlstm(name)
    if file == LABELS and name not in ("undo", "dry undo", "status"):
        assert status == 78
    assert status in (0, 69, 78)
    if status == 78:
        assert len(complaints) == 1
        assert f"{path} is not a regular file; move it away" in complaints[0]


@pytest.mark.parametrize("name", ["dry scan", "dry adopt"])
def test_a_dry_run_upgrades_nothing(spamlstm, home, name):
    """A dry run of a new version leaves the databases of the earlier version, which may be running, as they are."""
    versions = {LABELS: 8, JOURNAL: 3, MAILBOX_STATE: 3}
    change(home / "state" / JOURNAL, "DROP TABLE former")
    tracked = home / "state" / MAILBOX_STATE
    MailboxState.open(tracked.parent).close()
    for table in ("files", "departures"):
        change(tracked, f"ALTER TABLE {table} DROP COLUMN evidence")
    for file, version in versions.items():
        change(home / "state" / file, f"PRAGMA user_version = {version}")
    assert spamlstm(name) == (0, [])
    for file, version in versions.items():
        with contextlib.closing(sqlite3.connect(home / "state" / file)) as database:
            assert database.execute("PRAGMA user_version").fetchone() == (version,), file


def test_a_dry_run_replaces_nothing(spamlstm, home):
    """A dry run reports a damaged mailbox state, and leaves the file to the daemon, which may be using it."""
    path = home / "state" / MAILBOX_STATE
    path.write_bytes(b"garbage" * 500)
    status, complaints = spamlstm("dry scan")
    assert (status, len(complaints)) == (65, 1)
    assert f"{path} is damaged" in complaints[0]
    assert path.read_bytes() == b"garbage" * 500


def test_a_journal_without_a_table(spamlstm, home):
    """Damage that SQLite finds while a command runs is one sentence too."""
    change(home / "state" / JOURNAL, "DROP TABLE acts")
    status, complaints = spamlstm("undo")
    assert (status, len(complaints)) == (65, 1)
    assert "damaged" in complaints[0]


def test_a_learned_state_that_is_damaged(spamlstm, home):
    """A damaged learned state is reported once and rebuilt, and no command fails."""
    change(home / "state" / LABELS, f"INSERT INTO learned SELECT 3, '{SHAPE}', x'00', 7")
    status, complaints = spamlstm("classify")
    assert status == 0
    assert len(complaints) == 1
    assert "learned again from the labels" in complaints[0]
    assert spamlstm("classify") == (0, [])


def test_pruning_is_reported(spamlstm, home, monkeypatch):
    """A note says how many labels were removed, and why."""
    from spamlstm.learning import label_rows

    monkeypatch.setattr(label_rows, "MOST_LABELS", 2)
    status, complaints = spamlstm("label")
    assert status == 0
    assert len(complaints) == 1
    assert "2 labels removed because of age or number" in complaints[0]
