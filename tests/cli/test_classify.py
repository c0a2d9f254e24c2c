"""The command line: what it prints, what it leaves with, and that no mistake ends in a traceback."""

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from tiny_bundle import HAM, SPAM, UNSURE, mail

from spamlstm.cli import translate

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" + bytes(range(256)) * 9


@pytest.fixture
def folder(tmp_path):
    """A ham, a spam and an unsure message."""
    for name, raw in {"a-ham.eml": HAM, "b-spam.eml": SPAM, "c-unsure.eml": UNSURE}.items():
        (tmp_path / name).write_bytes(raw)
    return tmp_path


@pytest.fixture
def spamlstm(tiny, capfd, monkeypatch):
    """Run a command line in this process: gives (status, output, complaints)."""
    monkeypatch.setenv("SPAMLSTM_MODEL", str(tiny))

    def run(*arguments):
        status = translate.run([str(one) for one in arguments])
        return status, *capfd.readouterr()

    return run


def start(*arguments, tiny, **options):
    command = [sys.executable, "-m", "spamlstm", *map(str, arguments)]
    return subprocess.Popen(command, env={**os.environ, "SPAMLSTM_MODEL": str(tiny)}, **options)


def test_lines(spamlstm, folder):
    """Not on a terminal: one line a message, parted by tabs."""
    status, out, err = spamlstm("classify", folder)
    lines = [line.split("\t") for line in out.splitlines()]
    assert (status, err) == (0, "")
    assert [line[0] for line in lines] == ["ham", "spam", "unsure"]
    assert lines[1] == ["spam", "1.0000", "+12.00", "score", str(folder / "b-spam.eml")]


def test_a_large_folder(spamlstm, tmp_path):
    """More than one process reads: each message is there once, in order, and each complaint is made once."""
    kinds = [(HAM, "ham"), (SPAM, "spam"), (UNSURE, "unsure")]
    for number in range(300):
        (tmp_path / f"{number:03}.eml").write_bytes(kinds[number % 3][0])
    (tmp_path / "200.eml").unlink()
    (tmp_path / "200.eml").symlink_to("nowhere")
    status, out, err = spamlstm("classify", tmp_path)
    lines = [line.split("\t") for line in out.splitlines()]
    assert (status, len(err.splitlines())) == (66, 1)
    expected = [(kinds[number % 3][1], str(tmp_path / f"{number:03}.eml")) for number in range(300) if number != 200]
    assert [(line[0], line[4]) for line in lines] == expected


def test_json(spamlstm, folder):
    """One object a line, with the keys that are promised."""
    status, out, _ = spamlstm("classify", "--json", folder)
    rows = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert list(rows[0]) == ["path", "verdict", "probability", "score", "reason", "model", "defects", "ms"]
    assert (rows[1]["verdict"], rows[1]["reason"], rows[1]["model"]) == ("spam", "score", "tiny-1")


def test_explain(spamlstm, folder):
    """The word that did it is shown, with its pull."""
    _, out, _ = spamlstm("classify", "--explain", folder / "b-spam.eml")
    assert "\t+12.00\tword\tpills" in out
    _, out, _ = spamlstm("classify", "--explain", "--json", folder / "b-spam.eml")
    assert json.loads(out)["explain"][0] == {"kind": "word", "text": "pills", "pull": pytest.approx(12, abs=1e-3)}


@pytest.mark.parametrize(
    ("names", "status"),
    [
        (["a-ham.eml"], 0),
        (["b-spam.eml"], 1),
        (["c-unsure.eml"], 2),
        (["a-ham.eml", "c-unsure.eml"], 2),
        (["a-ham.eml", "b-spam.eml", "c-unsure.eml"], 1),
        (["b-spam.eml", "none.eml"], 66),
    ],
)
def test_exit_code(spamlstm, folder, names, status):
    """0 ham, 1 spam, 2 unsure, the worst of several; a file that cannot be read comes before all."""
    assert spamlstm("classify", "--exit-code", *(folder / name for name in names))[0] == status


def test_without_exit_code(spamlstm, folder):
    """0 says that it ran, whatever the verdict."""
    assert spamlstm("classify", folder / "b-spam.eml")[0] == 0


def test_one_missing_file(spamlstm, folder):
    """It is reported, the others are judged, and the status says so."""
    status, out, err = spamlstm("classify", folder / "none.eml", folder)
    assert (status, out.count("\n")) == (66, 3)
    assert err == f"spamlstm: {folder / 'none.eml'}: no such file or directory\n"


def test_not_mail(spamlstm, folder):
    """A picture gets a sentence and the status for wrong data, and is never called ham or spam."""
    (folder / "photo.jpg").write_bytes(JPEG)
    status, out, err = spamlstm("classify", folder / "photo.jpg")
    assert (status, out.split("\t")[0]) == (65, "unsure")
    assert "not mail" in err


def test_a_folder_without_mail(spamlstm, tmp_path):
    """It says so instead of printing nothing."""
    status, out, err = spamlstm("classify", tmp_path)
    assert (status, out) == (66, "")
    assert "no mail" in err


@pytest.mark.parametrize(
    "arguments",
    [["classify", "--nonsense"], ["clasify"], ["classify", "--config"], ["model", "nonsense"], ["evaluate"]],
)
def test_usage(spamlstm, arguments):
    """A wrong command line is 64 and words."""
    status, out, err = spamlstm(*arguments)
    assert (status, out) == (64, "")
    assert err.strip()


def test_a_missing_model(spamlstm, folder):
    """Status and sentence for a model that is not there."""
    status, _, err = spamlstm("classify", "--model", folder / "none", folder)
    assert status == 66
    assert err.startswith("spamlstm: there is no model at ")


def test_a_wrong_configuration(spamlstm, folder):
    """78 is the status for configuration."""
    (folder / "c.toml").write_text("[policy]\nalow = []")
    status, _, err = spamlstm("classify", "--config", folder / "c.toml", folder)
    assert status == 78
    assert "did you mean 'allow'" in err


def test_an_allow_list(spamlstm, folder):
    """The configuration reaches the verdict."""
    (folder / "c.toml").write_text('[policy]\nallow = ["ann@x.org"]')
    _, out, _ = spamlstm("classify", "--config", folder / "c.toml", folder / "b-spam.eml")
    assert out.split("\t")[0::3] == ["ham", "allow"]


def test_model_show(spamlstm):
    """The card of the model in use, behind what its manifest says."""
    status, out, _ = spamlstm("model", "show")
    assert status == 0
    assert "tiny-1" in out
    assert "Knows two words." in out


def test_a_bug_is_called_one(spamlstm, folder, monkeypatch):
    """What nobody expected is one line that says how to see more."""

    def broken(_options):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("spamlstm.cli.classify.classify_paths", broken)
    status, _, err = spamlstm("classify", folder)
    assert status == 70
    assert err.count("\n") == 1
    assert "bug" in err


def test_names_cannot_move_the_cursor(spamlstm, tmp_path):
    """A file name is anyone's: control characters in it are shown, not sent."""
    (tmp_path / "a\x1b[2J\tb\n.eml").write_bytes(HAM)
    _, out, _ = spamlstm("classify", tmp_path)
    assert out.count("\n") == 1
    assert "\\x1b[2J\\tb\\n" in out


def test_standard_input(tiny):
    """A message by pipe, with - and without."""
    for arguments in (["classify", "-"], ["classify"]):
        with start(*arguments, tiny=tiny, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            out, _ = process.communicate(SPAM)
        assert (process.returncode, out) == (0, b"spam\t1.0000\t+12.00\tscore\t-\n")


def test_an_endless_standard_input(tiny):
    """/dev/zero by pipe ends, with a sentence."""
    with open("/dev/zero", "rb") as zero:  # noqa: PTH123
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with start("classify", "-", tiny=tiny, stdin=zero, **pipes) as process:
            _, err = process.communicate()
    assert process.returncode == 65
    assert err == b"spamlstm: -: this is not mail but data of another kind\n"


def test_a_reader_that_has_seen_enough(tiny, tmp_path):
    """`| head` ends it without a word."""
    for number in range(300):
        (tmp_path / f"{number}.eml").write_bytes(HAM)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start("classify", tmp_path, tiny=tiny, **pipes) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_interrupted(tiny, wait):
    """Ctrl-C is 130, not a traceback and not a bug."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start("classify", "-", tiny=tiny, **pipes) as process:
        # More than a pipe holds: when it is through, the command reads.
        process.stdin.write(b"x" * (1 << 20))
        process.stdin.flush()
        # CPython heeds a signal at once while it waits for more, but not in the step before.
        wait(lambda: _waits(process))
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() in (b"", b"spamlstm: interrupted\n")
    assert process.returncode == 130


def _waits(process):
    """Whether it has read all that its standard input holds, and sleeps."""
    left = struct.unpack("i", fcntl.ioctl(process.stdin, termios.FIONREAD, b"\0" * 4))[0]
    state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    return left == 0 and state == "S"


def test_on_a_terminal(tiny, folder):
    """A table with a summary."""
    ours, theirs = pty.openpty()
    with start("classify", folder, tiny=tiny, stdout=theirs) as process:
        os.close(theirs)
        shown = b""
        try:
            while block := os.read(ours, 4096):
                shown += block
        except OSError:
            pass  # Linux tells the end of a terminal so
    os.close(ours)
    assert process.returncode == 0
    assert b"verdict" in shown
    assert b"3 messages: 1 ham, 1 unsure, 1 spam" in shown


def test_the_command_is_light(python):
    """`import spamlstm.cli` loads neither torch nor what only scoring needs."""
    script = "import sys, spamlstm.cli; print(sorted({'torch', 'numpy', 'onnxruntime', 'rich'} & set(sys.modules)))"
    assert python(script) == "[]\n"


def test_one_message_loads_no_more_than_it_needs(python, tiny, folder):
    """A cold start is a promise: rich, processes and TOML wait until they are used."""
    script = (
        "import sys; from spamlstm.cli import translate; "
        f"translate.run(['classify', '--model', {str(tiny)!r}, {str(folder / 'a-ham.eml')!r}]); "
        "print(sorted({'torch', 'rich', 'tomllib', 'multiprocessing', 'asyncio'} & set(sys.modules)))"
    )
    assert python(script).splitlines()[-1] == "[]"


def test_hostile_mail_is_judged(spamlstm, tmp_path):
    """A message with defects keeps them in its row."""
    raw = mail("pills pills").replace(b"8bit", b"base64").replace(b"pills pills", b"!!!not base64===")
    (tmp_path / "x.eml").write_bytes(raw)
    status, out, _ = spamlstm("classify", "--json", tmp_path)
    assert status == 0
    assert json.loads(out)["defects"]
