"""`spamlstm filter`, as a process, with and without a daemon."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from listening import PATIENCE, listening
from maildirs import make
from tiny_bundle import HAM, SPAM, UNSURE

from spamlstm.cli import filter_client
from spamlstm.cli.filter_client import FLAGS, VALUES, plain_options
from spamlstm.config import Config, LabelScope, LearningConfig, MaildirConfig
from spamlstm.config.users import UserProblem
from spamlstm.corpus import paths
from spamlstm.daemon.listeners.judging import LabelRequestOfClient
from spamlstm.learning.label import Label
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


@pytest.fixture
def environment(tiny, state):
    return {**os.environ, "SPAMLSTM_MODEL": str(tiny), "STATE_DIRECTORY": str(state)}


@pytest.fixture
def filtered(root, environment):
    """Run the command on a message; gives (status, output, complaints)."""

    def run(mail, *arguments, **settings):
        command = [sys.executable, "-m", "spamlstm", "filter", *map(str, arguments)]
        settings = {"env": environment, "cwd": root, "capture_output": True, **settings}
        done = subprocess.run(command, input=mail, check=False, **settings)
        return done.returncode, done.stdout, done.stderr.decode()

    return run


@pytest.fixture(params=["daemon", "no daemon"])
def daemon(request, state, classifier):
    """Run the test once with a daemon and once without."""
    if request.param == "no daemon":
        yield None
        return
    with listening(state, classifier) as running:
        yield running


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


@contextlib.contextmanager
def daemon_that(serve, path):
    """Listen on a socket and call `serve` with the first client, in a thread that ends with the block."""

    def accept():
        client, _ = listener.accept()
        with client:
            serve(client)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=accept)
        thread.start()
        yield path
        thread.join()


def answering(answer):
    """Return a function that receives the whole message and sends `answer`."""

    def serve(client):
        while client.recv(1 << 16).find(SPAM[-20:]) < 0:
            pass
        client.sendall(answer)

    return serve


@pytest.mark.parametrize("answer", [b"", b"ERROR no\n", b"OK spam 5\nab", b"OK eggs 2\nab", b"noise", b"\xff" * 9])
def test_a_broken_daemon_is_not_needed(filtered, tmp_path, answer):
    """If the answer is an error, incomplete or noise, the command classifies the message itself."""
    with daemon_that(answering(answer), tmp_path / "s") as path:
        status, output, complaints = filtered(SPAM, "--socket", path)
    assert (status, untag(output)) == (0, SPAM)
    assert b"X-Spam-Flag: YES" in output
    assert "the daemon did not classify the message" in complaints


@pytest.mark.parametrize(("option", "reason"), [("--socket", "no such file or directory"), ("--state", "no labels")])
def test_a_name_that_does_not_exist_is_said(filtered, tmp_path, option, reason):
    """If no daemon answers on the named socket, or the named state folder is missing, one line says so. Mail passes."""
    status, output, complaints = filtered(SPAM, option, tmp_path / "missing")
    assert (status, untag(output), b"X-Spam-Flag: YES" in output) == (0, SPAM, True)
    assert complaints.count("\n") == 1
    assert reason in complaints
    assert f"check {option}" in complaints
    assert filtered(SPAM, option, tmp_path / "missing", "--quiet") == (0, output, "")


def test_a_named_socket_without_a_daemon_is_said(filtered, tmp_path):
    """A socket file that a daemon left is no daemon. Without --socket, a daemon is used only if there is one."""
    with socket.socket(socket.AF_UNIX) as abandoned:
        abandoned.bind(str(tmp_path / "filter.sock"))
    status, output, complaints = filtered(HAM, "--socket", tmp_path / "filter.sock")
    assert (status, untag(output)) == (0, HAM)
    assert "(connection refused), so none is used; check --socket\n" in complaints
    assert filtered(HAM, "--state", tmp_path) == (0, output, "")


def test_the_reason_of_a_daemon_that_refuses_early_is_said(filtered, tmp_path):
    """A daemon that answers before it has read the message has its answer shown, although it then reads no further."""

    def serve(client):
        client.sendall(b"ERROR too much mail is being received; try again later\n")

    with daemon_that(serve, tmp_path / "s") as path:
        status, output, complaints = filtered(SPAM + b"x" * 3_000_000, "--socket", path)
    assert (status, output.count(b"X-Spam-Status: ")) == (0, 1)
    assert (
        complaints
        == "spamlstm: the daemon did not classify the message: too much mail is being received; try again later\n"
    )


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


@pytest.fixture
def two_users(tmp_path, state, classifier):
    """A configuration in which ann has a label of her own."""
    maildirs = tmp_path / "vmail"
    for name in ("ann", "bob"):
        make(maildirs / "example.org" / name)
    config = Config(
        maildirs=(MaildirConfig(f"{maildirs}/*/*"),),
        learning=LearningConfig(labels=LabelScope.PER_MAILDIR, user_maildir=f"{maildirs}/{{domain}}/{{local}}"),
    )
    (tmp_path / "config.toml").write_text(
        f'[[maildir]]\npath = "{maildirs}/*/*"\n[learning]\nlabels = "per-maildir"\n'
        f'user_maildir = "{maildirs}/{{domain}}/{{local}}"\n'
    )
    with listening(state, classifier, config) as running:
        yield running, tmp_path / "config.toml"


def test_a_user_has_the_labels_of_their_maildir(filtered, two_users):
    """The labels of a user apply only to mail for that user, with a daemon and without."""
    running, config = two_users
    request = LabelRequestOfClient(UNSURE, "ann@example.org", label=Label.SPAM)
    running.requests.submit(request)
    assert request.answer.result(PATIENCE)

    def outputs(*arguments):
        return [filtered(UNSURE, "--user", f"{name}@example.org", *arguments)[1] for name in ("ann", "bob", "../ann")]

    by_daemon = outputs()
    assert [b"X-Spam-Flag" in one for one in by_daemon] == [True, False, False]
    assert outputs("--config", config, "--state", running.state) == by_daemon


NAMED = ("--user", "ann")


def test_a_user_without_effect_is_said(filtered, daemon):
    """If all users share the labels, one line says that --user has no effect. Message and status are as without it."""
    plain = filtered(SPAM)
    assert filtered(SPAM, *NAMED)[:2] == plain[:2]
    assert filtered(SPAM, *NAMED)[2] == (
        'spamlstm: all users share the labels, so --user has no effect; leave it out, or set labels = "per-maildir"\n'
    )
    assert filtered(SPAM, *NAMED, "--quiet") == (plain[0], plain[1], "")
    assert filtered(SPAM, *NAMED, "--exit-code")[0] == 1


def test_a_user_without_labels_is_said(filtered, two_users):
    """For a user who has no Maildir, one line says so, with a daemon and without; for one who has, none does."""
    running, config = two_users
    alone = ("--config", config, "--state", running.state)
    for who in ((), alone):
        assert "belongs to the user" in filtered(HAM, "--user", "eve@example.org", *who)[2]
        assert filtered(HAM, "--user", "Ann@example.org", *who)[2] == ""
        assert filtered(HAM, *who)[2] == ""


def test_users_without_a_setting_are_said(filtered, two_users, caplog):
    """Without user_maildir, no user has labels. Each --user is answered with a line, and the daemon logs it once."""
    running, config = two_users
    running.config = replace(running.config, learning=LearningConfig(labels=LabelScope.PER_MAILDIR))
    config.write_text('[learning]\nlabels = "per-maildir"\n')
    for who in ((), (), ("--config", config)):
        assert "user_maildir is not set, so --user has no effect" in filtered(HAM, *NAMED, *who)[2]
    assert caplog.text.count("users-unused") == 1


def test_every_problem_with_a_user_has_a_sentence(filtered, tmp_path):
    """The client knows the words that the daemon may send, and shows a word of a newer daemon as it is."""
    assert set(filter_client._USER_PROBLEMS) == set(map(str, UserProblem))
    with daemon_that(answering(b"OK spam 2 novel\nab"), tmp_path / "s") as path:
        found = filtered(SPAM, *NAMED, "--socket", path)
    assert found == (0, b"ab", "spamlstm: --user has no effect (novel)\n")


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
