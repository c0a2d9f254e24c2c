"""`spamlstm filter`, as a process, with and without a daemon: what it writes, and its exit status."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from listening import listening
from tiny_bundle import HAM, SPAM, UNSURE

from spamlstm.cli import filter_client
from spamlstm.cli.filter_client import FLAGS, VALUES, plain_options
from spamlstm.corpus import paths
from spamlstm.maildir.headers import untag

KINDS = {"ham": HAM, "spam": SPAM, "unsure": UNSURE}
ODD = {
    "LF": SPAM.replace(b"\r\n", b"\n"),
    "NUL and bare CR": SPAM + b"\x00\r\r one\r\n two\x00\n",
    "8-bit": SPAM + bytes(range(128, 256)),
    "no newline at the end": SPAM + b"end",
    "mbox separator": b"From ann@example.org Thu Nov 26 10:00:00 2026\n" + SPAM,
    "no header": b"\nonly a body\n",
    "one line": b"only a line",
    "not mail": bytes(range(256)) * 4,
    "dots": SPAM + b"\n.\n..\nFrom here\n",
}


@pytest.mark.parametrize("name", ODD)
def test_all_bytes_but_our_headers_pass(filtered, daemon, name):
    """The output without our headers is the input, byte for byte, with its line ends."""
    status, output, complaints = filtered(ODD[name])
    assert (status, untag(output), complaints) == (0, ODD[name], "")
    assert name == "one line" or output.count(b"X-Spam-Status: ") == 1
    assert daemon is None or sum(daemon.listeners.snapshot()["own"]["judged"].values()) == 1


def test_forged_headers_are_removed(filtered, daemon):
    """Only our own verdict remains."""
    forged = b"x-spam-flag: YES\nX-Spam-Status: No,\n score=-100\nX-Spam: no\n" + HAM
    _, output, _ = filtered(forged)
    assert untag(output) == HAM
    assert re.findall(rb"(?im)^x-spam-(?:flag|status): [A-Z]+", output) == [b"X-Spam-Status: No"]


@pytest.mark.parametrize(
    ("options", "statuses"),
    [((), (0, 0, 0)), (("--exit-code",), (0, 1, 2)), (("--bogofilter",), (1, 0, 2)), (("--tempfail",), (0, 0, 0))],
)
def test_exit_statuses(filtered, daemon, options, statuses):
    """The status is 0, or that of the verdict ham, spam or unsure if an option asks for it."""
    assert tuple(filtered(KINDS[kind], *options)[0] for kind in ("ham", "spam", "unsure")) == statuses


def test_a_warning_about_a_file_is_a_sentence(filtered):
    """An error of the system is written as in other commands: the file, then the reason."""
    state = "/" + "x" * 300
    status, output, complaints = filtered(SPAM, "--state", state)
    last = f"spamlstm: {state}/labels.sqlite: file name too long; the message was not classified\n"
    assert (status, output, complaints.endswith(last)) == (0, SPAM, True)


def test_bogofilter(filtered, daemon):
    """Rules for bogofilter find its header, and a forged one is removed."""
    _, output, _ = filtered(b"X-Bogosity: Ham, tests=bogofilter\n" + SPAM, "--bogofilter")
    assert re.findall(rb"(?m)^X-Bogosity: (\w+), tests=spamlstm, spamicity=0\.99\d+, version=", output) == [b"Spam"]
    assert output.count(b"X-Bogosity") == 1
    assert b"X-Spam-Flag: YES" in output


def test_an_empty_message_stays_empty(filtered, daemon):
    """There is nothing to mark."""
    assert filtered(b"")[:2] == (0, b"")


def test_a_daemon_gives_the_same_bytes(filtered, state, classifier):
    """The output does not depend on who classifies."""
    alone = [filtered(mail) for mail in KINDS.values()]
    with listening(state, classifier):
        assert [filtered(mail) for mail in KINDS.values()] == alone


def test_a_large_message_passes_unclassified(filtered, daemon):
    """Above 64 MiB, only headers are added, and X-Spam-Status says why there is no verdict."""
    large = b"X-Spam-Flag: YES\n" + HAM + b"x" * (filter_client.MOST_BYTES + 3_000_000)
    status, output, _ = filtered(large)
    assert status == 0
    assert output[:200].startswith(b"X-Spam-Status: No, score=0.0 required=5.0 tests=SPAMLSTM_TOO_LARGE\r\n")
    assert untag(output) == untag(large)


@pytest.mark.parametrize("broken", ["configuration", "model", "labels"])
def test_mail_passes_unchanged_if_it_cannot_be_classified(filtered, state, tmp_path, tiny, broken):
    """Whatever is broken, the message is written as it came, with a warning, and the status is 0."""
    arguments = {"configuration": ("--config", tmp_path / "no.toml"), "model": ("--model", tmp_path)}.get(broken, ())
    if broken == "labels":
        state.mkdir(parents=True)
        (state / "labels.sqlite").write_bytes(b"no database" * 1000)
    status, output, complaints = filtered(SPAM, *arguments)
    assert (status, output) == (0, SPAM)
    assert complaints.startswith("spamlstm: ")
    assert complaints.endswith("the message was not classified\n")
    if broken != "configuration":
        return  # the others take a second for each command
    assert filtered(SPAM, "--exit-code", *arguments)[:2] == (2, SPAM)
    assert filtered(SPAM, "--bogofilter", *arguments)[:2] == (3, SPAM)
    assert filtered(SPAM, "--tempfail", *arguments)[:2] == (75, b"")
    assert filtered(SPAM, "--quiet", *arguments) == (0, SPAM, "")


def test_a_full_disk_or_a_reader_that_has_gone_is_an_error(filtered, root, environment):
    """If the message cannot be written, the status says so, and the mail server tries again."""
    with Path("/dev/full").open("wb") as full:
        status, _, complaints = filtered(SPAM, stdout=full, stderr=subprocess.PIPE, capture_output=False)
    assert status == 74
    assert "No space left" in complaints
    command = f"{sys.executable} -m spamlstm filter; echo $? >&2"
    script = f"({command}) <&0 | true"
    done = subprocess.run(
        ["sh", "-c", script], input=SPAM * 20_000, env=environment, cwd=root, capture_output=True, check=False
    )
    assert done.stderr.strip() == b"141"


@pytest.mark.parametrize(("closed", "status"), [("<&-", 74), (">&-", 74), ("2>&-", 0)])
def test_closed_streams(root, environment, closed, status):
    """A stream that is closed at the start is never confused with another file."""
    script = f"{sys.executable} -m spamlstm filter {closed}"
    done = subprocess.run(["sh", "-c", script], input=SPAM, env=environment, cwd=root, capture_output=True, check=False)
    assert done.returncode == status
    assert untag(done.stdout) == (SPAM if status == 0 else b"")


def test_the_client_loads_little(python):
    """With a daemon, no module is loaded that takes milliseconds, such as typer, re or pathlib."""
    script = (
        "import sys; before = set(sys.modules)\n"
        "from spamlstm.cli import main, filter_client; print(*sorted(set(sys.modules) - before))"
    )
    wanted = {"spamlstm", "spamlstm.cli", "spamlstm.cli.filter_client", "spamlstm.xdg", "_socket"}
    assert set(python(script).split()) == wanted


def test_both_parsers_know_the_same_options(spamlstm):
    """The quick parser of `filter` has every option of its help, except those that only the full parser handles."""
    _, output, _ = spamlstm("filter", "--help")
    options = set(re.findall(r"(?m)^ +(?:-\w, )?(--[a-z-]+)", output))
    assert options - {"--help", "--verbose", "--color"} == {name for name in (*FLAGS, *VALUES) if name[:2] == "--"}


@given(st.lists(st.sampled_from([*FLAGS, *VALUES, "--user=ann", "ann", "", "-", "--", "--help", "--usr"])))
def test_the_quick_parser_never_raises(arguments):
    """Unusual command lines are left to the full parser."""
    options = plain_options(arguments)
    assert options is None or isinstance(options.user, str)


def test_the_limit_is_that_of_the_daemon():
    """The client does not send what the daemon would refuse."""
    assert filter_client.MOST_BYTES == paths.MOST_BYTES


def test_mistakes_in_the_command_line(spamlstm):
    """Mistakes are usage errors, as in all commands."""
    assert spamlstm("filter", "--exit-code", "--bogofilter")[0] == 64
    assert spamlstm("filter", "--usr", "ann")[0] == 64


def test_on_a_terminal(on_terminal):
    """Without a message on standard input, the command does not wait for somebody to type one."""
    assert on_terminal("filter") == (
        64,
        "spamlstm: the message is read from standard input; run: spamlstm filter < message.eml\n",
    )


def test_ctrl_c(root, environment):
    """An interrupt ends the command with 130 and without a traceback, and nothing is written."""
    command = [sys.executable, "-m", "spamlstm", "filter"]
    with subprocess.Popen(
        command, cwd=root, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdin.write(b"x" * (1 << 17))  # more than a pipe holds, so the command has begun to read
        process.send_signal(signal.SIGINT)
        output, complaints = process.communicate()
    assert (process.returncode, output, complaints) == (130, b"", b"spamlstm: interrupted\n")
