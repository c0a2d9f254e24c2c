"""`spamlstm classify`, and what all commands share: output, exit status, errors."""

import fcntl
import gzip
import json
import os
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


def start(*arguments, tiny, **options):
    command = [sys.executable, "-m", "spamlstm", *map(str, arguments)]
    return subprocess.Popen(command, env={**os.environ, "SPAMLSTM_MODEL": str(tiny)}, **options)


def test_lines(spamlstm, folder):
    """In a pipe, each message is one line with fields separated by tabs."""
    status, out, err = spamlstm("classify", folder)
    lines = [line.split("\t") for line in out.splitlines()]
    assert (status, err) == (0, "")
    assert [line[0] for line in lines] == ["ham", "spam", "unsure"]
    assert lines[1] == ["spam", "1.0000", "+12.00", "score", str(folder / "b-spam.eml")]


def test_a_large_folder(spamlstm, tmp_path):
    """Several processes read: each message appears once, in order, and each complaint once."""
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
    """With --json, each line is one object with the documented keys."""
    status, out, _ = spamlstm("classify", "--json", folder)
    rows = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    keys = ["path", "verdict", "probability", "score", "reason", "thresholds", "model", "defects", "ms"]
    assert list(rows[0]) == keys
    assert rows[0]["thresholds"] == {"ham": 0.2, "spam": 0.98, "origin": "model"}
    assert (rows[1]["verdict"], rows[1]["reason"], rows[1]["model"]) == ("spam", "score", "tiny-1")


def test_explain(spamlstm, folder):
    """The decisive word is shown with its contribution."""
    _, out, _ = spamlstm("classify", "--explain", folder / "b-spam.eml")
    assert "\t+12.00\tword\tpills" in out
    _, out, _ = spamlstm("classify", "--explain", "--json", folder / "b-spam.eml")
    assert json.loads(out)["explain"][0] == {
        "kind": "word",
        "text": "pills",
        "contribution": pytest.approx(12, abs=1e-3),
    }


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
    """0 ham, 1 spam, 2 unsure, the worst of several; 66 if a file cannot be read."""
    assert spamlstm("classify", "--exit-code", *(folder / name for name in names))[0] == status


def test_without_exit_code(spamlstm, folder):
    """Without --exit-code the status is 0 for any verdict."""
    assert spamlstm("classify", folder / "b-spam.eml")[0] == 0


def test_one_missing_file(spamlstm, folder):
    """A missing file is reported, the others are judged, and the status is 66."""
    status, out, err = spamlstm("classify", folder / "none.eml", folder)
    assert (status, out.count("\n")) == (66, 3)
    assert err == f"spamlstm: {folder / 'none.eml'}: no such file or directory\n"


def test_not_mail(spamlstm, folder):
    """A picture is reported, is unsure, and the status is 65."""
    (folder / "photo.jpg").write_bytes(JPEG)
    status, out, err = spamlstm("classify", folder / "photo.jpg")
    assert (status, out.split("\t")[0]) == (65, "unsure")
    assert "not mail" in err


def test_a_folder_without_mail(spamlstm, tmp_path):
    """A folder without mail is reported, and the status is 66."""
    status, out, err = spamlstm("classify", tmp_path)
    assert (status, out) == (66, "")
    assert "no mail" in err


@pytest.mark.parametrize(
    "arguments",
    [["classify", "--nonsense"], ["clasify"], ["classify", "--config"], ["model", "nonsense"], ["evaluate"]],
)
def test_usage(spamlstm, arguments):
    """A wrong command line is one sentence that names the help, and status 64."""
    status, out, err = spamlstm(*arguments)
    assert (status, out, err.count("\n")) == (64, "", 1)
    assert err.startswith("spamlstm: ")
    assert err.endswith("--help'\n")


def test_a_missing_model(spamlstm, folder):
    """A missing model is one sentence and status 66."""
    status, _, err = spamlstm("classify", "--model", folder / "none", folder)
    assert status == 66
    assert err.startswith("spamlstm: there is no model at ")


def test_a_wrong_configuration(spamlstm, folder):
    """A wrong configuration is reported with status 78."""
    (folder / "c.toml").write_text("[policy]\nalow = []")
    status, _, err = spamlstm("classify", "--config", folder / "c.toml", folder)
    assert status == 78
    assert "did you mean 'allow'" in err


def test_an_allow_list(spamlstm, folder):
    """The allow list of the configuration decides."""
    (folder / "c.toml").write_text('[policy]\nallow = ["ann@x.org"]')
    _, out, _ = spamlstm("classify", "--config", folder / "c.toml", folder / "b-spam.eml")
    assert out.split("\t")[0::3] == ["ham", "allow"]


def test_model_show(spamlstm):
    """`model show` prints facts of the manifest and the card."""
    status, out, _ = spamlstm("model", "show")
    assert status == 0
    assert "tiny-1" in out
    assert "Knows two words." in out


def test_a_bug_is_reported_in_one_line(spamlstm, folder, monkeypatch):
    """An unexpected error is one line that says how to see more; with --verbose there is a traceback."""

    def broken(_options):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("spamlstm.cli.classify.classify_paths", broken)
    status, _, err = spamlstm("classify", folder)
    assert status == 70
    assert err.count("\n") == 1
    assert "bug" in err
    assert "Traceback" in spamlstm("classify", "--verbose", folder)[2]


def test_names_cannot_move_the_cursor(spamlstm, tmp_path):
    """Control characters in a file name are escaped."""
    (tmp_path / "a\x1b[2J\tb\n.eml").write_bytes(HAM)
    _, out, _ = spamlstm("classify", tmp_path)
    assert out.count("\n") == 1
    assert "\\x1b[2J\\tb\\n" in out


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


def test_on_a_terminal(on_terminal, folder):
    """On a terminal: a table with a summary."""
    status, shown = on_terminal("classify", folder)
    assert status == 0
    assert "verdict" in shown
    assert "3 messages: 1 ham, 1 unsure, 1 spam" in shown


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


def test_verbose_and_quiet(spamlstm, folder):
    """--verbose reports the files in use; together with --quiet it is refused, before or after the command."""
    _, _, err = spamlstm("classify", "--verbose", folder)
    assert "spamlstm: configuration: none" in err
    assert "spamlstm: state folder: " in err
    for arguments in (("-q", "classify", "-v"), ("classify", "-q", "-v")):
        assert spamlstm(*arguments, folder)[0] == 64


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


def test_an_ascii_standard_output(tiny, tmp_path):
    """Characters that the encoding of standard output lacks are escaped; bytes of file names stay as they are."""
    (tmp_path / "gr\u00fc\u00dfe").mkdir()
    (tmp_path / "gr\u00fc\u00dfe" / os.fsdecode(b"\xff.eml")).write_bytes(HAM)
    environment = {**os.environ, "SPAMLSTM_MODEL": str(tiny), "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "spamlstm", "classify", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert done.stdout.endswith(b"gr\\xfc\\xdfe/\xff.eml\n")


def test_ctrl_c_while_loading_is_no_bug(spamlstm, monkeypatch, folder):
    """An import that fails because of Ctrl-C ends with 130, whatever it raises."""

    def interrupted(_paths, **_options):
        translate._interrupts.append(signal.SIGINT)
        raise ImportError("numpy could not be loaded")

    monkeypatch.setattr("spamlstm.cli.classify.classify_paths", interrupted)
    monkeypatch.setattr(translate, "_interrupts", [])
    status, _, err = spamlstm("classify", folder)
    assert (status, err) == (130, "spamlstm: interrupted\n")


def test_the_command_is_light(python):
    """`import spamlstm.cli` loads neither torch nor the modules that only scoring needs."""
    script = "import sys, spamlstm.cli; print(sorted({'torch', 'numpy', 'onnxruntime', 'rich'} & set(sys.modules)))"
    assert python(script) == "[]\n"


def test_one_message_loads_no_more_than_it_needs(python, tiny, folder):
    """A cold start loads neither rich nor processes nor TOML until they are used."""
    script = (
        "import sys; from spamlstm.cli import translate; "
        f"translate.run(['classify', '--model', {str(tiny)!r}, {str(folder / 'a-ham.eml')!r}]); "
        "print(sorted({'torch', 'rich', 'tomllib', 'multiprocessing', 'asyncio'} & set(sys.modules)))"
    )
    assert python(script).splitlines()[-1] == "[]"


def test_hostile_mail_is_judged(spamlstm, tmp_path):
    """The defects of a message are listed in its row."""
    raw = mail("pills pills").replace(b"8bit", b"base64").replace(b"pills pills", b"!!!not base64===")
    (tmp_path / "x.eml").write_bytes(raw)
    status, out, _ = spamlstm("classify", "--json", tmp_path)
    assert status == 0
    assert json.loads(out)["defects"]


def test_compressed_mail(spamlstm, tmp_path):
    """Compressed mail has the score of the plain message; what cannot be read is unsure, and the defect says why."""
    (tmp_path / "plain.eml").write_bytes(SPAM)
    (tmp_path / "stored.eml").write_bytes(gzip.compress(SPAM))
    (tmp_path / "torn.eml").write_bytes(gzip.compress(SPAM * 20)[:-9])
    _, out, _ = spamlstm("classify", "--json", tmp_path)
    plain, stored, torn = map(json.loads, out.splitlines())
    assert {**stored, "path": "", "ms": 0} == {**plain, "path": "", "ms": 0}
    assert (torn["verdict"], torn["reason"]) == ("unsure", "not-mail")
    assert torn["defects"] == ["not mail", "compressed with gzip, but damaged or too large"]
    status, _, err = spamlstm("label", "spam", tmp_path / "torn.eml")
    assert (status, "it is compressed with gzip, but damaged" in err) == (65, True)
