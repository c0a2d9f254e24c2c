"""`spamlstm filter` and the daemon: daemons that are broken or missing, and the users whose labels apply."""

import contextlib
import grp
import os
import socket
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
from listening import PATIENCE, listening
from maildirs import make
from tiny_bundle import HAM, SPAM, UNSURE

from spamlstm.cli import filter_client
from spamlstm.config import Config, LabelScope, LearningConfig, MaildirConfig
from spamlstm.config.users import UserProblem
from spamlstm.daemon.listeners.judging import LabelRequestOfClient
from spamlstm.learning.label import Label
from spamlstm.maildir.headers import untag


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


WITH_SHARED_SOCKET = """
import sys
from spamlstm.cli import filter_client, main

filter_client.SYSTEM_SOCKET = sys.argv.pop(1)
main()
"""


@pytest.fixture
def filtered_without_rights(root, environment):
    """Run the command on a message, without the rights of root on files, and with the path of the shared socket."""
    # Without these capabilities, modes hold for root too.
    prefix = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()

    def run(mail, socket_path, *arguments):
        command = [*prefix, sys.executable, "-c", WITH_SHARED_SOCKET, str(socket_path), "filter", *map(str, arguments)]
        done = subprocess.run(command, input=mail, cwd=root, env=environment, capture_output=True, check=False)
        return done.returncode, done.stdout, done.stderr.decode()

    return run


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


@pytest.mark.parametrize(("named", "closed"), [(False, "socket"), (True, "socket"), (False, "folder")])
def test_a_refusal_of_the_shared_socket_is_said(filtered_without_rights, tmp_path, named, closed):
    """If the user may not connect to the shared socket, one line says which group may. The mail passes, classified."""
    folder = tmp_path / "run"
    folder.mkdir()
    path = folder / "filter.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        os.chown(path, -1, os.getegid())
        {"socket": path, "folder": folder}[closed].chmod(0)
        status, output, complaints = filtered_without_rights(SPAM, path, *(("--socket", path) if named else ()))
        quiet = filtered_without_rights(SPAM, path, "--quiet")
    folder.chmod(0o700)
    assert (status, untag(output), b"X-Spam-Flag: YES" in output) == (0, SPAM, True)
    group = f" ({grp.getgrgid(os.getegid()).gr_name})" if closed == "socket" else ""
    assert complaints == (
        f"spamlstm: this user may not connect to {path}, so no daemon is used; make the user a member of the group of"
        f" the socket{group}, or set another `group` in [filter]\n"
    )
    assert quiet == (0, output, "")


def test_a_user_with_a_daemon_hears_of_no_refusal(filtered_without_rights, state, classifier, tmp_path):
    """A daemon of the user's own answers first, so that a shared socket for others is of no interest."""
    path = tmp_path / "filter.sock"
    with socket.socket(socket.AF_UNIX) as listener, listening(state, classifier):
        listener.bind(str(path))
        path.chmod(0)
        assert filtered_without_rights(SPAM, path)[::2] == (0, "")


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
