"""The sockets of the listeners, and what a reload and a stop mean for their clients."""

import contextlib
import grp
import os
import re
import socket
import stat
import threading
from dataclasses import replace

import pytest
from listener_clients import CHECK_SPAM, connected, filter_request
from listening import PATIENCE, HeldWork, exchange, listening
from tiny_bundle import HAM, SPAM, make

from spamlstm.config import Config, SpamdConfig
from spamlstm.daemon.listeners import listener, sockets
from spamlstm.daemon.listeners.judging import JudgingError, LabelRequestOfClient
from spamlstm.errors import TemporaryError, UnavailableError
from spamlstm.learning.label import Label
from spamlstm.model.classifier import Classifier


def test_the_modes_of_the_sockets(tmp_path, classifier):
    """A configured Unix socket is for this user and a group, the socket in the state folder for this user only."""
    group = grp.getgrgid(os.getegid()).gr_name
    config = Config(spamd=SpamdConfig(listen=f"unix:{tmp_path}/s", group=group))
    with listening(tmp_path / "state", classifier, config):
        status = (tmp_path / "s").stat()
        assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o660, os.getegid())
        assert stat.S_IMODE((tmp_path / "state" / "filter.sock").stat().st_mode) == 0o600
    assert not (tmp_path / "state" / "filter.sock").exists()
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("listen", "group", "kind", "words"),
    [
        ("unix:{0}/no/s", None, UnavailableError, "the folder {0}/no does not exist"),
        ("unix:{0}/file", None, UnavailableError, "{0}/file exists and is not a socket; remove it"),
        ("unix:{0}/served", None, TemporaryError, "in use"),
        ("127.0.0.1:{1}", None, TemporaryError, "in use"),
        ("192.0.2.1:{1}", None, TemporaryError, "does not have the address"),
        ("unix:{0}/s", "no-such-group", UnavailableError, "there is no group 'no-such-group'"),
    ],
)
def test_an_address_that_cannot_be_used_is_an_error(tmp_path, classifier, listen, group, kind, words):  # noqa: PLR0917
    """The daemon does not start without a configured listener, and says why. Files of others are not replaced.

    If the address may be free later, or the machine may get it later, the status makes systemd start it again.
    """
    (tmp_path / "file").write_text("text")
    with socket.socket(socket.AF_UNIX) as unix, socket.socket() as tcp:
        unix.bind(str(tmp_path / "served"))
        unix.listen()
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        values = str(tmp_path), tcp.getsockname()[1]
        config = Config(spamd=SpamdConfig(listen=listen.format(*values), group=group))
        with pytest.raises(kind, match=re.escape(words.format(*values))):
            listening(tmp_path / "state", classifier, config).__enter__()
        assert (tmp_path / "file").read_text() == "text"


def test_a_link_in_the_place_of_the_socket_is_not_followed(tmp_path, config, monkeypatch):
    """The owner of the folder can replace the new socket by a link. The mode of the other file stays, even for root."""
    other = tmp_path / "other"
    other.touch(mode=0o600)

    def replaced(path, *, mode):
        opened = bound(path, mode=mode)
        (tmp_path / "spamd.sock").unlink()
        (tmp_path / "spamd.sock").symlink_to(other)
        return opened

    bound = sockets._bound
    monkeypatch.setattr(sockets, "_bound", replaced)
    with pytest.raises(UnavailableError, match=r"\[spamd\] cannot listen on .*: another file has taken its place"):
        sockets.opened_socket(config.spamd, "spamd")
    assert stat.S_IMODE(other.stat().st_mode) == 0o600


def test_a_socket_file_without_a_server_is_replaced(tmp_path, classifier, config):
    """A crash leaves the file of a socket. The next start replaces it."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(f"{tmp_path}/spamd.sock")
    with listening(tmp_path / "state", classifier, config):
        assert exchange(f"{tmp_path}/spamd.sock", b"PING SPAMC/1.5\r\n\r\n") == b"SPAMD/1.5 0 PONG\r\n"


def test_a_long_path_of_the_state_folder(tmp_path, classifier):
    """The socket in the state folder works below any path."""
    state = tmp_path / ("x" * 100) / ("y" * 100)
    with listening(state, classifier):
        folder = os.open(state, os.O_PATH)
        try:
            assert exchange(f"/proc/self/fd/{folder}/filter.sock", filter_request(SPAM)).startswith(b"OK spam ")
        finally:
            os.close(folder)


def test_a_changed_model_or_configuration_is_used_for_the_next_request(tmp_path, running, spamd, classifier):
    """After a reload, clients get the verdicts of the new model, also on connections that are already open."""
    with connected(spamd, 1) as (client,):
        running.classifier = Classifier.open(make(tmp_path / "wrong", weight=-6.0), personal_features=True)
        client.sendall(CHECK_SPAM.partition(b"\r\n")[2])
        assert client.recv(1 << 16).startswith(b"SPAMD/1.1 0 EX_OK\r\nSpam: False ;")


def test_listeners_follow_the_configuration(tmp_path, running, config):
    """A reload starts, moves and ends listeners; an error names the listener, and the others run."""
    running.listeners.reconfigure(replace(config, spamd=SpamdConfig(listen=f"unix:{tmp_path}/other.sock")))
    assert exchange(f"{tmp_path}/other.sock", b"PING SPAMC/1.5\r\n\r\n") == b"SPAMD/1.5 0 PONG\r\n"
    with pytest.raises(FileNotFoundError):
        exchange(f"{tmp_path}/spamd.sock", b"")
    with pytest.raises(UnavailableError, match=r"\[spamd\] cannot listen on"):
        running.listeners.reconfigure(replace(config, spamd=SpamdConfig(listen=f"unix:{tmp_path}/no/s")))
    running.listeners.reconfigure(Config())
    assert set(running.listeners.snapshot()) == {"own"}
    assert exchange(str(running.state / "filter.sock"), filter_request(HAM)).startswith(b"OK ham ")


def test_a_listener_stays_if_its_new_address_cannot_be_used(tmp_path, running, config):
    """After a reload with a mistake, clients are served as before. The next reload without mistakes takes effect."""
    ping, other = b"PING SPAMC/1.5\r\n\r\n", replace(config, spamd=SpamdConfig(listen=f"unix:{tmp_path}/other.sock"))
    wrong = replace(config, spamd=SpamdConfig(listen=f"unix:{tmp_path}/no/s"))
    for _ in range(2):
        with pytest.raises(UnavailableError, match=r"\[spamd\] cannot listen on"):
            running.listeners.reconfigure(wrong)
        assert exchange(f"{tmp_path}/spamd.sock", ping) == b"SPAMD/1.5 0 PONG\r\n"
    running.listeners.reconfigure(other)
    assert exchange(f"{tmp_path}/other.sock", ping) == b"SPAMD/1.5 0 PONG\r\n"


def test_a_stop_answers_what_was_asked(tmp_path, classifier, config):
    """A client whose whole request was received gets its answer although the daemon stops, a late client an error."""
    held, answers = HeldWork(), []
    with listening(tmp_path / "state", classifier, config, work=held) as one:
        client = threading.Thread(target=lambda: answers.append(exchange(f"{tmp_path}/spamd.sock", CHECK_SPAM)))
        client.start()
        assert held.asked.wait(PATIENCE)
        threading.Timer(0.05, held.released.set).start()
    client.join(PATIENCE)
    assert [answer.partition(b" ;")[0] for answer in answers] == [b"SPAMD/1.1 0 EX_OK\r\nSpam: True"]
    late = LabelRequestOfClient(SPAM, "", label=Label.SPAM)
    one.requests.submit(late)
    with pytest.raises(JudgingError, match="is stopping"):
        late.answer.result(0)


def test_a_reload_answers_what_was_asked(tmp_path, classifier, config):
    """The loop that changes a listener answers its clients afterwards, so it must not wait for their answers before."""
    held, answers = HeldWork(), []
    with listening(tmp_path / "state", classifier, config, work=held) as one:
        client = threading.Thread(target=lambda: answers.append(exchange(f"{tmp_path}/spamd.sock", CHECK_SPAM)))
        client.start()
        assert held.asked.wait(PATIENCE)
        one.listeners.reconfigure(replace(config, spamd=SpamdConfig(listen=f"unix:{tmp_path}/other.sock")))
        held.released.set()
        client.join(PATIENCE)
        assert exchange(f"{tmp_path}/other.sock", CHECK_SPAM).startswith(b"SPAMD/1.1 0 EX_OK\r\nSpam: True")
    assert [answer.partition(b" ;")[0] for answer in answers] == [b"SPAMD/1.1 0 EX_OK\r\nSpam: True"]


def test_a_stop_ends_all_listeners_at_once(tmp_path, classifier, config, monkeypatch, wait):
    """Slow clients of several listeners delay a stop as long as those of one, or systemd would kill the daemon."""
    monkeypatch.setattr(listener, "STOP_SECONDS", PATIENCE)
    held = HeldWork()

    def release():
        try:
            wait(lambda: not (tmp_path / "spamd.sock").exists())
        finally:
            held.released.set()

    thread = threading.Thread(target=release)
    with contextlib.ExitStack() as stack:
        with listening(tmp_path / "state", classifier, config, work=held) as one:
            own = stack.enter_context(connected(str(one.state / "filter.sock"), 1, first=filter_request(HAM)))
            assert held.asked.wait(PATIENCE)
            thread.start()
        thread.join(PATIENCE)
        assert own[0].recv(3) == b"OK "
