"""`spamlstm run` as a process: its start, its state folder, and what is said if it cannot start."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from running_daemon import PATIENCE

from spamlstm.cli.selection import choose


def test_it_ends_when_its_state_folder_is_gone(daemon, spamlstm, maildir, tmp_path):
    """Without its state folder the daemon ends with 75, so that systemd starts it again; the next start makes one."""
    process, log_until = daemon(maildir)
    log_until(" ready ")
    shutil.rmtree(tmp_path / "state")
    process.send_signal(signal.SIGHUP)  # causes a full scan, which checks the state folder
    assert "was removed or replaced while spamlstm was running" in process.stderr.read()
    assert process.wait(PATIENCE) == 75
    _, log_until = daemon(maildir)
    log_until(" ready ")
    assert spamlstm("status")[0] == 0


def test_a_state_folder_that_others_can_write_is_refused(spamlstm, maildir, tmp_path):
    """In such a folder no file is opened; a folder that others can only read is made private."""
    state = tmp_path / "open"
    state.mkdir()
    state.chmod(0o777)
    for command in (["run"], ["scan"]):
        status, _, err = spamlstm(*command, maildir, "--state", state)
        assert (status, err.count("\n")) == (78, 1)
        assert f"chmod 700 {state}" in err
    assert list(state.iterdir()) == []
    state.chmod(0o755)
    assert spamlstm("scan", maildir, "--state", state)[0] == 0
    assert state.stat().st_mode & 0o777 == 0o700


def test_a_maildir_that_another_process_has_locked(daemon, spamlstm, maildir):
    """The log reports the lock, and `status` counts the Maildir as refused."""
    handle = os.open(maildir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        _, log_until = daemon(maildir)
        assert f"another process holds a lock on {maildir}" in log_until(" ready ")
        assert "0 watched, 0 polled, 0 missing, 1 refused" in spamlstm("status")[1]
    finally:
        os.close(handle)


def test_status_names_maildirs_that_are_missing(daemon, spamlstm, maildir, tmp_path):
    """Each Maildir of the configuration that does not exist, or is not a Maildir, is counted and named with what to do.

    The log says the same, once.
    """
    home, plain, partial = tmp_path, tmp_path / "plain", tmp_path / "partial"
    plain.mkdir()
    (partial / "new").mkdir(parents=True)
    (home / "link").symlink_to(home / "nothing")
    names = (maildir.name, "typo", "plain", "partial", "link", "x*/Maildir")
    (home / "c.toml").write_text("".join(f'[[maildir]]\npath = "{home}/{name}"\n' for name in names))
    _, log_until = daemon("--config", home / "c.toml")
    log = log_until(" ready ")
    status, out, _ = spamlstm("status")
    assert (status, "1 watched, 0 polled, 4 missing" in out) == (0, True)
    remarks = [
        f"{home}/typo does not exist; correct the path, or create the Maildir, and it is watched",
        f"{home}/link is a symbolic link that leads to nothing; correct the link, or create its target",
        f"{partial} is not a Maildir, as new, cur or tmp is missing; it is watched once they exist",
        f"{plain} is not a Maildir, as new, cur or tmp is missing; it is watched once they exist",
        f"no folder matches {home}/x*/Maildir; correct the path, or create a Maildir",
    ]
    assert [line.strip() for line in out.splitlines() if line.strip() in remarks] == remarks
    assert [log.count(remark) for remark in remarks] == [1] * len(remarks)


def test_one_daemon_for_each_state_folder(daemon, spamlstm, maildir):
    """A second daemon on a state folder names the process of the first, and ends."""
    process, log_until = daemon(maildir)
    log_until(" ready ")
    status, _, err = spamlstm("run", maildir)
    assert status == 75
    assert f"(process {process.pid})" in err


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ((), 78, "there is nothing to do: name a Maildir, or run: spamlstm config init"),
        (("{tmp}",), 66, "is not a Maildir"),
        (("--config", "none"), 78, "cannot be"),
    ],
)
def test_a_failed_start_is_a_sentence(spamlstm, tmp_path, arguments, status, words):
    """A failed start prints one line that says what is wrong; the exit status shows the kind of error."""
    got, _, err = spamlstm("run", *(one.format(tmp=tmp_path) for one in arguments))
    assert (got, err.count("\n")) == (status, 1)
    assert words in err


@pytest.mark.parametrize("library", ["numpy", "typer"])
def test_a_library_that_cannot_be_loaded(root, environment, tmp_path, maildir, library):
    """A damaged installation is named as such, and is not a bug (70), for which systemd would restart the daemon.

    typer is the library that the command line itself needs.
    """
    (tmp_path / f"{library}.py").write_text(f"raise ImportError('libx.so: no such file', name='{library}')")
    command = [sys.executable, "-m", "spamlstm", "run", str(maildir)]
    path = f"{tmp_path}:{root}"
    done = subprocess.run(
        command, cwd=root, env={**environment, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (69, 1)
    assert "the installation is damaged (libx.so: no such file); install spamlstm again" in done.stderr


def test_a_failed_start_has_the_priority_of_an_error(root, environment, tmp_path):
    """`journalctl -p err` shows each line of the reason; a line on another standard error has no priority."""
    config = tmp_path / "config.toml"
    config.write_text("[polcy]\n[learnin]\n")
    for is_journal in (True, False):
        with (tmp_path / "log").open("w+") as log:
            status = os.fstat(log.fileno())
            journal = f"{status.st_dev if is_journal else 9}:{status.st_ino}"
            subprocess.run(
                [sys.executable, "-m", "spamlstm", "run", "--config", str(config)],
                cwd=root,
                env={**environment, "JOURNAL_STREAM": journal},
                stderr=log,
                check=False,
            )
            lines = (tmp_path / "log").read_text().splitlines()
        assert len(lines) == 3
        assert {line.startswith("<3>") for line in lines} == {is_journal}


def test_a_selected_model_that_is_missing(daemon, spamlstm, environment, maildir, tmp_path):
    """Log and status say that the shipped model filters the mail, until the selected model is back."""
    models = tmp_path / "data" / "spamlstm" / "models"
    environment |= {"XDG_DATA_HOME": str(tmp_path / "data"), "SPAMLSTM_MODEL": ""}
    models.mkdir(parents=True)
    (models / "current").symlink_to("mine")
    _, log_until = daemon(maildir)
    assert "the selected model mine is missing" in log_until(" model-not-selected ")
    log_until(" ready ")
    assert "the selected model mine is missing" in spamlstm("status")[1]
    (models / "current").unlink()
    assert "missing from" not in spamlstm("status")[1]


def test_the_state_is_private(daemon, maildir, tmp_path):
    """Other users can read nothing in the state folder."""
    _, log_until = daemon(maildir)
    log_until(" ready ")
    state = tmp_path / "state" / "spamlstm"
    assert state.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o077 for path in Path(state).iterdir()} == {0}


@pytest.mark.parametrize("named", [False, True])
def test_a_dry_run_includes_imap_accounts(maildir, tmp_path, named):
    """`run --dry-run` changes no mail of any section, also if a Maildir is named or a section says otherwise."""
    file = tmp_path / "config.toml"
    account = '[[imap]]\nhost = "imap.example.org"\nuser = "ann"\npassword_command = "true"\ndry_run = false\n'
    file.write_text(f'{account}[[maildir]]\npath = "{maildir}"\ndry_run = false\n')
    for dry_run in (False, True):
        config = choose(file, [maildir] if named else [], dry_run=dry_run)
        assert [config.is_dry(one) for one in (*config.maildirs, *config.accounts)] == [dry_run, dry_run]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_during_the_start(root, number):
    """SIGHUP requests a reload instead of ending the process; SIGTERM and SIGINT end it with status 0."""
    script = f"""
import os
from spamlstm.cli.run import _signals_while_starting

with _signals_while_starting() as requests:
    os.kill(os.getpid(), {int(signal.SIGHUP)})
    print(len(requests), flush=True)
    os.kill(os.getpid(), {int(number)})
print("still running")
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_a_start_without_proc(root, environment, maildir):
    """In a chroot without /proc, the error says that it is missing."""
    without = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$0" "$@"')
    if subprocess.run([*without, "true"], capture_output=True, check=False).returncode:
        pytest.skip("only root with a mount namespace can hide /proc")
    command = [*without, sys.executable, "-m", "spamlstm", "run", str(maildir)]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 69
    assert done.stderr.splitlines()[-1] == "spamlstm: /proc is not mounted; mount it before the daemon starts"
