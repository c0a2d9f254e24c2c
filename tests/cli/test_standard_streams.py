"""The standard streams of a command: read, closed, full, of another encoding, or a terminal with colours."""

import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from maildirs import by_link, make
from tiny_bundle import HAM, SPAM


def start(*arguments, tiny, **options):
    command = [sys.executable, "-m", "spamlstm", *map(str, arguments)]
    return subprocess.Popen(command, env={**os.environ, "SPAMLSTM_MODEL": str(tiny)}, **options)


def test_standard_input(tiny):
    """A message is read from a pipe, with - and without."""
    for arguments in (["classify", "-"], ["classify"]):
        with start(*arguments, tiny=tiny, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            out, _ = process.communicate(SPAM)
        assert (process.returncode, out) == (0, b"spam\t1.0000\t+12.00\tscore\t-\n")


def test_an_endless_standard_input(tiny):
    """/dev/zero on standard input is reported as not mail."""
    with open("/dev/zero", "rb") as zero:  # noqa: PTH123
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with start("classify", "-", tiny=tiny, stdin=zero, **pipes) as process:
            _, err = process.communicate()
    assert process.returncode == 65
    assert err == b"spamlstm: -: this is not mail but data of another kind\n"


def test_a_closed_pipe(tiny, tmp_path):
    """If the reader of its output is gone (`| head`), a command ends silently with 141."""
    for number in range(300):
        (tmp_path / f"{number}.eml").write_bytes(HAM)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start("classify", tmp_path, tiny=tiny, **pipes) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_interrupted(tiny, wait):
    """Ctrl-C ends a command with 130, without a traceback."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start("classify", "-", tiny=tiny, **pipes) as process:
        # More than a pipe holds: when all is written, the command is reading.
        process.stdin.write(b"x" * (1 << 20))
        process.stdin.flush()
        # CPython handles a signal at once while it waits for more, but not in the step before.
        wait(lambda: _waits(process))
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() in (b"", b"spamlstm: interrupted\n")
    assert process.returncode == 130


def _waits(process):
    """Return whether the process has read all of its standard input, and sleeps."""
    left = struct.unpack("i", fcntl.ioctl(process.stdin, termios.FIONREAD, b"\0" * 4))[0]
    state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    return left == 0 and state == "S"


def test_color(on_terminal, spamlstm, folder, monkeypatch):
    """--color and $NO_COLOR control colours; --color always also applies to a pipe."""
    path = folder / "b-spam.eml"
    assert "\x1b[31mspam" in on_terminal("classify", path)[1]
    assert "\x1b[" not in on_terminal("classify", "--color", "never", path)[1]
    assert "\x1b[31mspam" in spamlstm("--color", "always", "classify", path)[1]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in on_terminal("classify", path)[1]
    status, _, err = spamlstm("classify", "--color", "blue", path)
    assert (status, "auto, always, never" in err) == (64, True)


@pytest.mark.parametrize(
    ("command", "status", "shown"),
    [
        ("classify --exit-code a-ham.eml 2>&-", 0, "ham"),
        ("classify --exit-code missing.eml b-spam.eml 2>/dev/full", 66, "spam"),
        ("classify --exit-code b-spam.eml >&- 2>&- <&-", 1, ""),
        ("classify a-ham.eml 2>&1 >&-", 74, "spamlstm: standard output is closed"),
        ("classify - 2>&1 <&-", 66, "spamlstm: -: bad file descriptor"),
        ("classify --exit-code missing.eml a-ham.eml 2> >(exit)", 66, "ham"),
    ],
)
def test_closed_standard_streams(tiny, folder, command, status, shown):
    """Messages that cannot be written change nothing; output that is lost is an error, except with --exit-code."""
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m spamlstm {command}"],
        cwd=folder,
        env={**os.environ, "SPAMLSTM_MODEL": str(tiny), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status
    assert done.stdout.startswith(shown)
    assert bool(done.stdout) == bool(shown)


def test_a_full_standard_output(tiny, folder):
    """Output that cannot be written is one sentence and status 74."""
    with (
        open("/dev/full", "wb") as full,  # noqa: PTH123
        start("classify", folder, tiny=tiny, stdout=full, stderr=subprocess.PIPE) as process,
    ):
        _, err = process.communicate()
    assert (process.returncode, err) == (74, b"spamlstm: standard output cannot be written: No space left on device\n")


@pytest.mark.parametrize(
    ("command", "status", "end"),
    [
        ("config init --path x.toml", 74, "x.toml cannot be written: file too large"),
        ("labels --state .", 75, "labels.sqlite cannot be used now: disk I/O error; is the disk full?"),
    ],
)
def test_a_file_that_cannot_be_written(tiny, tmp_path, command, status, end):
    """The error names the file, and nothing is left of it. SQLite does not say that a disk is full, so we ask."""
    tmp_path.chmod(0o700)
    (tmp_path / "labels.sqlite").touch(mode=0o600)
    limited = "import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096));"
    limited += "runpy.run_module('spamlstm', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", limited, *command.split()],
        cwd=tmp_path,
        env={**os.environ, "SPAMLSTM_MODEL": str(tiny)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.endswith(f"{end}\n"), done.stderr.count("\n")) == (status, True, 1)
    assert not (tmp_path / "x.toml").exists()


def test_an_ascii_standard_output(tiny, tmp_path):
    """Characters that the encoding of standard output lacks are escaped; bytes of file names stay as they are."""
    (tmp_path / "gr\u00fc\u00dfe").mkdir()
    (tmp_path / "gr\u00fc\u00dfe" / os.fsdecode(b"\xff.eml")).write_bytes(HAM)
    environment = {**os.environ, "SPAMLSTM_MODEL": str(tiny), "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "spamlstm", "classify", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert done.stdout.endswith(b"gr\\xfc\\xdfe/\xff.eml\n")


def test_a_junk_folder_that_the_locale_cannot_write(tiny, tmp_path):
    """In a locale of few characters, spam is filed to a junk folder of any name, as servers write it on disk."""
    maildir = make(tmp_path / "Maildir")
    by_link(maildir, "1.spam", SPAM)
    (tmp_path / "c.toml").write_text(f'[[maildir]]\npath = "{maildir}"\njunk = "Müll €"\n', "utf-8")
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "SPAMLSTM_MODEL": str(tiny)}
    command = [sys.executable, "-m", "spamlstm", "scan", maildir, "--config", str(tmp_path / "c.toml")]
    done = subprocess.run(command, env={**os.environ, **locale}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(Path(maildir, ".M&APw-ll &IKw-", "new").iterdir())) == 1
