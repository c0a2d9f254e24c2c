"""Dry runs, and commands that only read, with a state folder that cannot be written or created."""

import sqlite3
import subprocess
import sys

import maildirs
import pytest
import tiny_bundle

from spamlstm.filtering.journal import NAME as JOURNAL

READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
# Without these capabilities, modes hold for root too.
WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


@pytest.fixture
def read_only(tmp_path):
    """The command line of a mount namespace in which the folder `disk` of the test is read-only."""
    disk = tmp_path / "disk"
    disk.mkdir()
    within = ("unshare", "--mount", "sh", "-c", READ_ONLY, "sh", str(disk))
    if subprocess.run([*within, "true"], capture_output=True, check=False).returncode:
        pytest.skip("only root with a mount namespace can make a folder read-only")
    return within


@pytest.fixture
def state(tmp_path, read_only):
    """A state folder on a disk that will be read-only. It does not exist yet."""
    return tmp_path / "disk" / "state"


@pytest.fixture
def on_read_only(root, environment, read_only, maildir):
    """Run a dry run on the Maildir while the disk is read-only; return its exit status, output and complaint."""
    (maildir / "new" / "1.h").write_bytes(tiny_bundle.SPAM)

    def run(command, *options, script=None):
        program = ("sh", "-c", f'{script}; exec "$@"', "sh", sys.executable) if script else (sys.executable,)
        arguments = (*read_only, *program, "-m", "spamlstm", command, "--dry-run", maildir, *options)
        done = subprocess.run(
            list(map(str, arguments)), cwd=root, env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout, done.stderr.strip().rpartition("\n")[2]

    return run


def test_a_scan_reads_a_state_folder_that_is_read_only(spamlstm, on_read_only, maildir, state):
    """SQLite cannot create its files beside the journal, and the journal is read all the same."""
    (maildir / "new" / "0.h").write_bytes(tiny_bundle.HAM)
    assert spamlstm("scan", maildir, "--state", state)[0] == 0
    (maildir / "new" / "2.h").write_bytes(tiny_bundle.SPAM)
    status, lines, complaint = on_read_only("scan", "--state", state)
    assert (status, complaint) == (0, "")
    # The messages of the first scan are known from the journal.
    assert [line.split("\t")[4] for line in lines.splitlines()] == [str(maildir / "new" / "2.h")]


def test_a_journal_with_changes_that_a_killed_program_left(spamlstm, on_read_only, maildir, state):
    """Without its latest changes the journal would be wrong: the error names the file and the option."""
    assert spamlstm("scan", maildir, "--state", state)[0] == 0
    path, changes = state / JOURNAL, state / f"{JOURNAL}-wal"
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE judgements SET score = 0")
        connection.commit()
        left = changes.read_bytes()
    connection.close()
    changes.write_bytes(left)
    assert on_read_only("scan", "--state", state) == (
        75,
        "",
        (
            f"spamlstm: {path} cannot be read, because {changes} has changes that are not yet in it, and the folder"
            f" cannot be written; copy {state} and name the copy with --state"
        ),
    )


def test_a_scan_needs_no_state_folder(on_read_only, state):
    """A dry run of `scan` creates no state folder, so it also runs where none can be created."""
    status, lines, complaint = on_read_only("scan", "--state", state)
    assert (status, lines[:4], complaint) == (0, "spam", "")


@pytest.mark.parametrize("command", [("filter", "--exit-code"), ("classify", "--exit-code", "-")])
def test_labels_are_read_where_they_cannot_be_written(spamlstm, root, environment, read_only, tmp_path, state, command):  # noqa: PLR0917
    """A message is classified by the labels of a state folder that is read-only, and not passed unclassified."""
    (tmp_path / "unsure.eml").write_bytes(tiny_bundle.UNSURE)
    state.mkdir(mode=0o700)
    assert spamlstm("label", "spam", tmp_path / "unsure.eml", "--state", state)[0] == 0
    done = subprocess.run(
        [*read_only, sys.executable, "-m", "spamlstm", *command, "--state", str(state)],
        cwd=root,
        env=environment,
        input=tiny_bundle.UNSURE,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize("exists", [False, True])
def test_a_daemon_needs_a_state_folder(on_read_only, state, exists):
    """A dry run of the daemon keeps its state: if it cannot, the error names the folder or file and the option."""
    if exists:
        state.mkdir(mode=0o700)
    status, _, complaint = on_read_only("run", "--state", state)
    expected = (
        f"spamlstm: {state / 'lock'} cannot be written (read-only file system); name a state folder on another file"
        " system with --state"
        if exists
        else f"spamlstm: the state folder {state} cannot be opened or created (read-only file system); name another"
        " folder with --state"
    )
    assert (status, complaint) == (78, expected)


def test_a_folder_that_the_kernel_never_creates(on_read_only):
    """Below /proc no folder can be created, and the kernel says only that there is no such file."""
    assert on_read_only("run", "--state", "/proc/state")[::2] == (
        78,
        (
            "spamlstm: the state folder /proc/state cannot be opened or created (no such file or directory); name"
            " another folder with --state"
        ),
    )


def test_no_folder_for_temporary_files(spamlstm, on_read_only, maildir, state):
    """The copy of a large journal needs a temporary file: without a folder for it, the error says what to set."""
    assert spamlstm("scan", maildir, "--state", state)[0] == 0
    path = state / JOURNAL
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE large (x)")
        connection.executemany("INSERT INTO large VALUES (randomblob(100000))", [()] * 60)
    connection.close()
    # SQLite also tries the current folder and folders with fixed names.
    everything = (
        "for one in / /tmp /var/tmp /usr/tmp .; do mount --bind $one $one && mount -o remount,bind,ro $one; done"
    )
    status, _, complaint = on_read_only("scan", "--state", state, script=f"({everything}) 2>/dev/null")
    assert (status, complaint) == (
        74,
        (
            f"spamlstm: a temporary copy of {path} cannot be written (no folder for temporary files can be written);"
            " name another folder with the variable TMPDIR"
        ),
    )


@pytest.mark.parametrize("refusal", ["disk", "mode"])
def test_labels_are_listed_and_exported_where_they_cannot_be_written(  # noqa: PLR0917
    spamlstm, root, environment, read_only, tmp_path, refusal
):
    """`labels` and `labels export` read a label store that is read-only, such as one in a snapshot of a disk."""
    state, exported = tmp_path / "disk" / "state", tmp_path / "labels.gz"
    (tmp_path / "unsure.eml").write_bytes(tiny_bundle.UNSURE)
    state.mkdir(mode=0o700)
    assert spamlstm("label", "spam", tmp_path / "unsure.eml", "--state", state)[0] == 0
    state.chmod(0o500 if refusal == "mode" else 0o700)
    within = read_only if refusal == "disk" else WITHOUT_RIGHTS
    for arguments, words in (((), "0 ham, 1 spam"), (("export", str(exported)), "1 label exported")):
        command = [*within, sys.executable, "-m", "spamlstm", "labels", *arguments, "--state", str(state)]
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert words in done.stdout
    assert exported.stat().st_size


@pytest.mark.parametrize("refusal", ["disk", "mode"])
def test_commands_that_write(spamlstm, root, environment, read_only, maildir, tmp_path, state, refusal):  # noqa: PLR0917
    """Every command that writes to the state folder ends with 78 if it cannot, on a read-only disk or by the mode."""
    mail, exported = tmp_path / "unsure.eml", tmp_path / "labels.gz"
    mail.write_bytes(tiny_bundle.UNSURE)
    state.mkdir(mode=0o700)
    assert spamlstm("label", "spam", mail, "--state", state)[0] == 0
    assert spamlstm("labels", "export", exported, "--state", state)[0] == 0
    state.chmod(0o500 if refusal == "mode" else 0o700)
    commands = (
        ("labels.sqlite", "label", "spam", mail),
        ("labels.sqlite", "forget", mail),
        ("labels.sqlite", "labels", "import", exported),
        ("labels.sqlite", "labels", "purge", "--yes"),
        ("labels.sqlite", "adopt", "--undo", maildir),
        ("lock", "undo", "--since", "1h"),
        ("lock", "scan", maildir),
    )
    within = read_only if refusal == "disk" else WITHOUT_RIGHTS
    for file, *command in commands:
        arguments = [*within, sys.executable, "-m", "spamlstm", *map(str, command), "--state", str(state)]
        done = subprocess.run(arguments, cwd=root, env=environment, capture_output=True, text=True, check=False)
        said = {
            "disk": f"{state / file} cannot be written (read-only file system); name a state folder on another file",
            "mode": f"may not write to the state folder {state} (mode 0500); run: chmod 700 {state}",
        }
        assert (done.returncode, done.stdout) == (78, "")
        assert said[refusal] in done.stderr


@pytest.mark.parametrize(("dry_run", "status"), [("false", 78), ("true", 0)])
def test_a_maildir_that_cannot_be_changed(root, environment, read_only, tmp_path, dry_run, status):  # noqa: PLR0917
    """`config check` reports a Maildir on a read-only disk, unless mail there is not to be changed."""
    maildir, config = tmp_path / "disk" / "Maildir", tmp_path / "config.toml"
    maildirs.make(maildir)
    config.write_text(f'[[maildir]]\npath = "{maildir}"\ndry_run = {dry_run}\n')
    command = [*read_only, sys.executable, "-m", "spamlstm", "config", "check", "--config", str(config)]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status
    said = f"{maildir}: mail cannot be tagged or moved (read-only file system)" in done.stdout + done.stderr
    assert said == (status == 78)
