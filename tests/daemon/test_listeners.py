"""The listeners: bounds, slow and hostile clients, users, labels, reloads, and the same score for all ways in."""

import asyncio
import contextlib
import errno
import grp
import logging
import os
import random
import re
import socket
import stat
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from listening import PATIENCE, exchange, listening
from maildirs import make as make_maildir
from tiny_bundle import HAM, SPAM, UNSURE, make

from spamlstm.config import Config, LabelScope, LearningConfig, MaildirConfig, SpamdConfig
from spamlstm.daemon.listeners import connection, listener, receiving_budget
from spamlstm.daemon.listeners.judging import JudgeRequest, JudgingError, LabelRequestOfClient
from spamlstm.errors import UnavailableError
from spamlstm.learning.label import Label
from spamlstm.maildir.headers import points, tag
from spamlstm.model.classifier import Classifier

CHECK_SPAM = b"CHECK SPAMC/1.5\r\nContent-length: %d\r\n\r\n%s" % (len(SPAM), SPAM)


@pytest.fixture
def config(tmp_path):
    return Config(spamd=SpamdConfig(listen=f"unix:{tmp_path}/spamd.sock", allow_tell=True))


@pytest.fixture
def spamd(tmp_path, running):
    return f"{tmp_path}/spamd.sock"


@pytest.fixture
def own(running):
    return str(running.state / "filter.sock")


def filter_request(mail, *, form=b"headers", user=b"-"):
    return b"FILTER %d %s %s\n" % (len(mail), form, user) + mail


# --- answers -------------------------------------------------------------------------------------------------------


def mails():
    """Fifty messages with scores between those of the three verdicts."""
    words = ("pills", "meeting", "neither", "pills and pills", "meeting meeting")
    return [SPAM.replace(b"buy cheap pills", f"{number} {words[number % 5]}".encode()) for number in range(50)]


def test_every_way_in_gives_the_same_score(classifier, spamd, own):
    """The own protocol, spamd's protocol and the classifier give the same verdict and points to 50 messages."""
    for mail in mails():
        judgement = classifier.classify(mail)
        threshold = classifier.policy.thresholds.spam
        shown = f"{points(judgement, spam_threshold=threshold):.1f}".encode()
        tagged = exchange(own, filter_request(mail)).partition(b"\n")[2]
        request = b"CHECK SPAMC/1.5\r\nContent-length: %d\r\n\r\n%s" % (len(mail), mail)
        assert re.search(rb"Spam: \w+ ; ([0-9.]+) /", exchange(spamd, request))[1] == shown
        assert re.search(rb"(?m)^X-Spam-Status: .*score=([0-9.]+) ", tagged)[1] == shown


def test_the_spamd_protocol_compresses(spamd):
    """A compressed message is classified as the message itself."""
    data = zlib.compress(SPAM)
    request = b"CHECK SPAMC/1.5\r\nCompress: zlib\r\nContent-length: %d\r\n\r\n%s" % (len(data), data)
    assert exchange(spamd, request) == exchange(spamd, CHECK_SPAM)


def test_a_compressed_bomb_is_refused(spamd, running):
    """A request of some kilobytes that becomes gigabytes is refused, and its memory is free again."""
    data = zlib.compress(bytes(65 << 20), 9)
    request = b"CHECK SPAMC/1.5\r\nCompress: zlib\r\nContent-length: %d\r\n\r\n%s" % (len(data), data)
    assert exchange(spamd, request).startswith(b"SPAMD/1.0 69 Service Unavailable: zlib: the message is above")
    assert exchange(spamd, CHECK_SPAM).startswith(b"SPAMD/1.1 0 EX_OK")
    assert running.listeners._budget.left == receiving_budget.MOST_BUFFERED


def test_the_memory_of_compressed_mail_is_counted(spamd, running):
    """A request counts with its compressed and its plain bytes, because both are in memory."""
    mail = SPAM + random.Random(1).randbytes(2 << 20)
    data = zlib.compress(mail)
    request = b"CHECK SPAMC/1.5\r\nCompress: zlib\r\nContent-length: %d\r\n\r\n%s" % (len(data), data)
    running.listeners._budget.left = 3 << 20
    assert b"too much mail is being received" in exchange(spamd, request)
    running.listeners._budget.left = 5 << 20
    assert exchange(spamd, request).startswith(b"SPAMD/1.1 0 EX_OK")


@pytest.mark.parametrize("cut", [0, 1, 9, 60])
def test_compressed_mail_that_is_cut_is_refused(spamd, cut):
    """An incomplete or empty stream gets an error."""
    data = zlib.compress(SPAM)[:-cut] if cut else b""
    request = b"CHECK SPAMC/1.5\r\nCompress: zlib\r\nContent-length: %d\r\n\r\n%s" % (len(data), data)
    assert b"zlib: failed to find end of zlib stream" in exchange(spamd, request)


@pytest.mark.parametrize(
    "request_",
    [b"FILTER\n", b"FILTER x headers -\n", b"FILTER 3 headers -\nab", b"FILTER 1 headers -\nab", b"\n", b"x"],
)
def test_the_own_protocol_says_what_is_no_request(own, request_):
    """A wrong request gets an error in the protocol's own form."""
    assert exchange(own, request_) == b"ERROR this is not a request of spamlstm filter\n"


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (b"FILTER 99999999999 headers -\n", b"ERROR the message is too large\n"),
        (b"x" * 5000, b"ERROR a line is too long\n"),
    ],
)
def test_the_own_protocol_has_bounds(own, request_, answer):
    """A request beyond the bounds is refused before its message is received."""
    assert exchange(own, request_) == answer


@pytest.mark.parametrize(
    ("head", "phrase"),
    [
        (b"CHECK SPAMC/1.5\r\nContent-length: 99999999999\r\n\r\n", b"(Content-Length is above 67108864 bytes)"),
        (b"x" * 9000, b"(a line is too long)"),
        (b"CHECK SPAMC/1.5\r\n" + b"A: b\r\n" * 300, b"(too many headers)"),
        (b"CHECK SPAMC/1.5\r\nUser: ann", b"(EOF during headers)"),
    ],
)
def test_the_spamd_protocol_has_bounds(spamd, head, phrase):
    """A request beyond the bounds is refused in the form of spamd."""
    assert exchange(spamd, head) == b"SPAMD/1.0 76 Bad header line: " + phrase + b"\r\n"


# --- users and labels ----------------------------------------------------------------------------------------------


def test_labels_belong_to_their_user(tmp_path, classifier):
    """With labels per Maildir, a label changes the mail of its user only, in whatever case a client writes the name.

    Users without a Maildir cannot label.
    """
    for name in ("ann", "bob"):
        make_maildir(tmp_path / "vmail" / name)
    learning = LearningConfig(labels=LabelScope.PER_MAILDIR, user_maildir=f"{tmp_path}/vmail/{{user}}")
    config = Config(
        maildirs=(MaildirConfig(f"{tmp_path}/vmail/*"),),
        learning=learning,
        spamd=SpamdConfig(listen=f"unix:{tmp_path}/s", allow_tell=True),
    )
    body = b"Content-length: %d\r\n\r\n%s" % (len(UNSURE), UNSURE)
    with listening(tmp_path / "state", classifier, config):

        def tell(user):
            return exchange(
                f"{tmp_path}/s", b"TELL SPAMC/1.5\r\nMessage-class: spam\r\nSet: local\r\nUser: %s\r\n%s" % (user, body)
            )

        assert tell(b"ann") == b"SPAMD/1.1 0 EX_OK\r\nDidSet: local\r\n\r\n\r\n"
        for user in (b"eve", b"../vmail/ann", b"", b"ann/../bob", b"{user}", b"~ann", b".", "é".encode() * 200):
            assert tell(user) == (
                b"SPAMD/1.0 69 Service Unavailable: no Maildir of the configuration belongs to this user\r\n"
            )
        answers = [
            exchange(f"{tmp_path}/s", b"CHECK SPAMC/1.5\r\nUser: %s\r\n%s" % (user, body))
            for user in (b"ann", b"Ann", b"bob")
        ]
    assert [b"Spam: True" in one for one in answers] == [True, True, False]
    assert [path.name for path in (tmp_path / "state" / "maildirs").iterdir()] != []
    assert len(list((tmp_path / "state" / "maildirs").iterdir())) == 1


def test_labelling_needs_permission(tmp_path, classifier, config):
    """Without allow_tell, TELL is refused and nothing is stored."""
    closed = replace(config, spamd=replace(config.spamd, allow_tell=False))
    with listening(tmp_path / "state", classifier, closed):
        request = CHECK_SPAM.replace(b"CHECK", b"TELL").replace(
            b"\r\n", b"\r\nMessage-class: spam\r\nSet: local\r\n", 1
        )
        answer = exchange(f"{tmp_path}/spamd.sock", request)
    assert answer.startswith(b"SPAMD/1.0 69 Service Unavailable: TELL commands are not enabled")
    assert not (tmp_path / "state" / "labels.sqlite").exists()


def test_a_damaged_label_store_does_not_stop_judging(running, spamd):
    """Mail is classified by the model alone, and learning says that it failed."""
    (running.state / "labels.sqlite").write_bytes(b"no database" * 1000)
    assert exchange(spamd, CHECK_SPAM).startswith(b"SPAMD/1.1 0 EX_OK\r\nSpam: True ;")
    request = CHECK_SPAM.replace(b"CHECK", b"TELL").replace(b"\r\n", b"\r\nMessage-class: spam\r\nSet: local\r\n", 1)
    assert exchange(spamd, request) == b"SPAMD/1.0 69 Service Unavailable: the labels cannot be stored now\r\n"


# --- slow, many and hostile clients --------------------------------------------------------------------------------


@contextlib.contextmanager
def connected(path, count, first=b"CHECK SPAMC/1.5\r\n"):
    """Clients that have sent the beginning of a request and wait."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(count)]
        for client in clients:
            client.settimeout(PATIENCE)
            client.connect(path)
            client.sendall(first)
        yield clients


def test_slow_clients_harm_nobody(spamd, running):
    """While 200 clients wait in the middle of their requests, another client gets its answer."""
    with connected(spamd, 200):
        assert exchange(spamd, CHECK_SPAM).startswith(b"SPAMD/1.1 0 EX_OK\r\nSpam: True ;")
        assert running.listeners.snapshot()["spamd"]["open"] >= 200


@pytest.fixture
def crowded(monkeypatch):
    """At most three connections, and every client that does not wait for the daemon is slow."""
    monkeypatch.setattr(listener, "MOST_CONNECTIONS", 3)
    monkeypatch.setattr(connection, "SLOW_SECONDS", 0.0)


@pytest.mark.usefixtures("crowded")
def test_the_oldest_unfinished_request_makes_room(spamd, running, wait):
    """Beyond the largest number of connections, the oldest client that has not sent a whole request is dropped."""
    with connected(spamd, 3) as clients:
        wait(lambda: running.listeners.snapshot()["spamd"]["open"] == 3)
        assert exchange(spamd, CHECK_SPAM).startswith(b"SPAMD/1.1 0 EX_OK")
        assert clients[0].recv(1) == b""
        assert running.listeners.snapshot()["spamd"]["dropped"] == 1


@pytest.mark.usefixtures("crowded")
def test_many_clients_at_once_leave_no_connection_behind(spamd, running, wait):
    """If more slow clients than permitted connect before the first is served, the oldest are disconnected."""
    held = threading.Event()
    running.listeners._loop.call_soon_threadsafe(held.wait, PATIENCE)
    with connected(spamd, 20) as clients:
        held.set()
        assert [client.recv(1) for client in clients[:17]] == [b""] * 17
        wait(lambda: running.listeners.snapshot()["spamd"]["dropped"] == 17)
        assert running.listeners.snapshot()["spamd"]["open"] == 3


def test_a_client_that_sends_nothing_is_dropped(spamd, running, monkeypatch):
    """An idle client is disconnected."""
    monkeypatch.setattr(connection, "IDLE_SECONDS", 0.05)
    with connected(spamd, 1) as (client,):
        assert client.recv(1) == b""
    assert running.listeners.snapshot()["spamd"]["dropped"] == 1


def test_a_client_that_takes_no_answer_is_dropped(spamd, running, monkeypatch, wait):
    """A client that does not read its answer does not keep its connection."""
    monkeypatch.setattr(connection, "IDLE_SECONDS", 1.0)
    mail = SPAM + b"x" * (8 << 20)
    with connected(spamd, 1, b"PROCESS SPAMC/1.5\r\nContent-length: %d\r\n\r\n%s" % (len(mail), mail)):
        wait(lambda: running.listeners.snapshot()["spamd"]["dropped"] == 1)
    assert running.listeners._budget.left == receiving_budget.MOST_BUFFERED


def large_request(size):
    return b"PROCESS SPAMC/1.5\r\nContent-length: %d\r\n\r\n%s" % (size, SPAM.ljust(size, b"x"))


def announcement(size):
    return b"CHECK SPAMC/1.5\r\nContent-length: %d\r\n\r\n" % size


def test_large_requests_wait_for_memory(spamd, running):
    """If requests fill the memory for them, a further large request waits until it is free. Small ones do not wait."""
    running.listeners._budget.left = 3 << 20
    first = large_request(3 << 20)
    with connected(spamd, 1, first[:-1]) as (client,), ThreadPoolExecutor() as pool:
        second = pool.submit(exchange, spamd, large_request(2 << 20))
        assert exchange(spamd, CHECK_SPAM).startswith(b"SPAMD/1.1 0 EX_OK")
        assert not second.done()
        client.sendall(first[-1:])
        assert client.recv(9) == b"SPAMD/1.1"
        while client.recv(1 << 16):
            pass
        assert second.result(PATIENCE).startswith(b"SPAMD/1.1 0 EX_OK")
    assert running.listeners._budget.left == 3 << 20


def test_a_large_answer_leaves_no_connection_behind(spamd, running, wait, caplog):
    """After an answer whose end was still to be sent when the connection was closed, the connection is forgotten."""
    request = large_request(2 << 20)
    with connected(spamd, 1, request) as (client,):
        wait(lambda: running.listeners.snapshot()["spamd"]["judged"] == {"spam": 1})
        answer = b""
        while block := client.recv(1 << 12):
            answer += block
    assert len(answer) > len(SPAM.ljust(2 << 20))
    wait(lambda: running.listeners.snapshot()["spamd"]["open"] == 0)
    assert caplog.text == ""


@pytest.mark.parametrize("reads", [False, True])
def test_a_slow_client_does_not_keep_the_memory(spamd, running, monkeypatch, reads, wait):
    """A client that does not send its large request, or does not take its answer, is dropped if others wait."""
    monkeypatch.setattr(connection, "SLOW_SECONDS", 0.2)
    running.listeners._budget.left = 3 << 20
    request = large_request(3 << 20)
    with connected(spamd, 1, request[:-1] if reads else request):
        if not reads:
            wait(lambda: running.listeners.snapshot()["spamd"]["judged"] == {"spam": 1})
        assert exchange(spamd, request).startswith(b"SPAMD/1.1 0 EX_OK")
        assert running.listeners.snapshot()["spamd"]["dropped"] == 1
    assert running.listeners._budget.left == 3 << 20


@pytest.mark.parametrize("sent", [b"", SPAM])
def test_announced_bytes_keep_no_memory(spamd, running, monkeypatch, sent):
    """A client that announces the largest message and sends little is dropped as soon as any other if others wait."""
    monkeypatch.setattr(connection, "SLOW_SECONDS", 0.2)
    running.listeners._budget.left = 64 << 20
    with connected(spamd, 1, announcement(64 << 20) + sent) as (client,):
        assert exchange(spamd, large_request(2 << 20)).startswith(b"SPAMD/1.1 0 EX_OK")
        assert client.recv(1) == b""
    assert running.listeners.snapshot()["spamd"]["dropped"] == 1


def test_announced_bytes_keep_no_memory_from_requests_that_cannot_wait(spamd, running, monkeypatch, wait):
    """A slow client is also dropped if a request of unknown length needs its memory, which is refused otherwise."""
    running.listeners._budget.left = 64 << 20
    request = b"CHECK SPAMC/1.2\r\n\r\n" + SPAM.ljust(2 << 20)
    with connected(spamd, 1, announcement(64 << 20)) as (client,):
        wait(lambda: running.listeners._budget.left == 0)
        assert b"too much mail is being received" in exchange(spamd, request)
        monkeypatch.setattr(connection, "SLOW_SECONDS", -1.0)
        assert exchange(spamd, request).startswith(b"SPAMD/1.1 0 EX_OK")
        assert client.recv(1) == b""
    assert running.listeners.snapshot()["spamd"]["dropped"] == 1


def test_announced_bytes_leave_memory_for_requests_that_cannot_wait(spamd, running, wait):
    """Clients that announce the largest messages again and again, before they are slow, do not get all memory."""
    request = b"CHECK SPAMC/1.2\r\n\r\n" + SPAM.ljust(2 << 20)
    with connected(spamd, 3, announcement(64 << 20)):
        wait(lambda: len(running.listeners._budget._queue) == 2)
        assert exchange(spamd, request).startswith(b"SPAMD/1.1 0 EX_OK")
    wait(lambda: running.listeners._budget.left == receiving_budget.MOST_BUFFERED)
    assert running.listeners._budget._announced == 0


def test_the_wait_for_memory_does_not_make_a_client_slow():
    """The time of a client begins anew when it gets memory, or the next client that waits would have it dropped."""

    async def is_slow_after_wait():
        counts, budget = connection.ListenerCounts("unix:/s"), receiving_budget.ReceivingBudget()
        client = connection.ClientConnection(None, judging=None, answers=None, counts=counts, budget=budget)
        client._since -= connection.TOTAL_SECONDS
        before = client.is_slow()
        await client.wait_for_room(2 << 20)
        return before, client.is_slow()

    assert asyncio.run(is_slow_after_wait()) == (True, False)


def test_a_large_request_of_unknown_length_is_refused(spamd, running):
    """If requests fill the memory, a client whose request has no length could wait for ever, so it is told to go."""
    running.listeners._budget.left = 0
    request = b"CHECK SPAMC/1.2\r\n\r\n" + b"x" * (2 << 20)
    assert exchange(spamd, request) == (
        b"SPAMD/1.0 76 Bad header line: (too much mail is being received; try again later)\r\n"
    )


def test_few_large_requests_wait_for_memory(spamd, running, monkeypatch, wait):
    """If many clients wait for memory already, a further large request is refused, and small ones get answers."""
    monkeypatch.setattr(receiving_budget, "MOST_WAITING", 1)
    running.listeners._budget.left = 0
    with connected(spamd, 1, large_request(2 << 20)[:99]):
        wait(lambda: len(running.listeners._budget._queue) == 1)
        assert b"too much mail is being received" in exchange(spamd, large_request(2 << 20))
        assert exchange(spamd, CHECK_SPAM).startswith(b"SPAMD/1.1 0 EX_OK")


def test_smaller_requests_get_memory_first(spamd, running, monkeypatch, wait):
    """A request that came later but is smaller does not wait for large ones, which may be announcements only.

    All requests that fit into the memory get it when it becomes free, without a look at the clock.
    """
    monkeypatch.setattr(receiving_budget, "_RETRY_SECONDS", 1000.0)
    running.listeners._budget.left = 3 << 20
    first = large_request(3 << 20)
    with connected(spamd, 1, first[:-1]) as (client,), connected(spamd, 3, announcement(64 << 20)):
        wait(lambda: len(running.listeners._budget._queue) == 3)
        with ThreadPoolExecutor() as pool, contextlib.ExitStack() as stack:
            later = pool.submit(exchange, spamd, large_request(2 << 20))
            wait(lambda: len(running.listeners._budget._queue) == 4)
            stack.enter_context(connected(spamd, 1, announcement(1 << 20)))
            wait(lambda: len(running.listeners._budget._queue) == 5)
            client.sendall(first[-1:])
            while client.recv(1 << 16):
                pass
            assert later.result(PATIENCE).startswith(b"SPAMD/1.1 0 EX_OK")
        assert len(running.listeners._budget._queue) == 3


def test_the_largest_request_is_refused_if_many_wait(spamd, running, monkeypatch, wait):
    """Clients that announce large messages do not keep out those with smaller ones. The refusal comes immediately."""
    monkeypatch.setattr(receiving_budget, "_RETRY_SECONDS", 1000.0)
    monkeypatch.setattr(receiving_budget, "MOST_WAITING", 2)
    running.listeners._budget.left = 0
    with (
        connected(spamd, 1, announcement(32 << 20)),
        connected(spamd, 1, announcement(64 << 20)) as (largest,),
        ThreadPoolExecutor() as pool,
    ):
        wait(lambda: len(running.listeners._budget._queue) == 2)
        later = pool.submit(exchange, spamd, large_request(2 << 20))
        assert b"too much mail is being received" in largest.recv(1 << 10)
        assert len(running.listeners._budget._queue) == 2
        running.listeners._loop.call_soon_threadsafe(running.listeners._budget.give_back, None, 2 << 20)
        assert later.result(PATIENCE).startswith(b"SPAMD/1.1 0 EX_OK")


def test_connections_are_bounded_if_all_clients_wait_for_the_daemon(tmp_path, classifier, config, monkeypatch, wait):
    """Beyond the largest number of connections, clients wait in the kernel. None is dropped, and all get answers."""
    monkeypatch.setattr(listener, "MOST_CONNECTIONS", 3)
    held = threading.Event()

    def work(requests):
        held.wait(PATIENCE)
        requests.work()

    with listening(tmp_path / "state", classifier, config, work=work) as one:
        with connected(f"{tmp_path}/spamd.sock", 3, CHECK_SPAM) as first:
            clients = one.listeners._listeners["spamd"].connections
            wait(lambda: [each.is_waiting for each in list(clients)] == [True] * 3)
            with connected(f"{tmp_path}/spamd.sock", 2, CHECK_SPAM) as further:
                # A later event of the thread of the listeners shows that it does not accept the further clients.
                assert exchange(str(one.state / "filter.sock"), b"\n").startswith(b"ERROR")
                assert one.listeners.snapshot()["spamd"]["open"] == 3
                held.set()
                for client in (*first, *further):
                    assert client.recv(9) == b"SPAMD/1.1"
        assert one.listeners.snapshot()["spamd"]["dropped"] == 0


@pytest.mark.usefixtures("crowded")
def test_a_client_that_takes_no_answer_makes_room(spamd, running, monkeypatch, wait):
    """Beyond the largest number of connections, the oldest client that does not take its answer is dropped."""
    monkeypatch.setattr(connection, "SLOW_SECONDS", 1000.0)
    with connected(spamd, 3, large_request(4 << 20)) as clients:
        wait(lambda: running.listeners.snapshot()["spamd"]["judged"] == {"spam": 3})
        monkeypatch.setattr(connection, "SLOW_SECONDS", 0.0)
        assert exchange(spamd, CHECK_SPAM).startswith(b"SPAMD/1.1 0 EX_OK")
        assert running.listeners.snapshot()["spamd"]["dropped"] == 1
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while block := clients[0].recv(1 << 20):
                answer += block
        assert len(answer) < 4 << 20


def test_clients_are_served_after_too_many_open_files(spamd, running, monkeypatch):
    """If a client cannot be accepted, the listener tries again soon."""
    monkeypatch.setattr(listener, "_RETRY_SECONDS", 0.01)
    one = running.listeners._listeners["spamd"]
    real, failures = one._socket, [OSError(errno.EMFILE, "Too many open files")] * 2

    class Failing:
        def fileno(self):
            return real.fileno()

        def accept(self):
            if failures:
                raise failures.pop()
            return real.accept()

    one._socket = Failing()
    try:
        assert exchange(spamd, CHECK_SPAM).startswith(b"SPAMD/1.1 0 EX_OK")
    finally:
        one._socket = real
    assert failures == []


def test_a_client_that_goes_before_its_answer(tmp_path, classifier, config):
    """The request of a client that has gone is classified or not, and the next client gets its answer."""
    held = threading.Event()

    def work(requests):
        held.wait(PATIENCE)
        requests.work()

    with listening(tmp_path / "state", classifier, config, work=work):
        with connected(f"{tmp_path}/spamd.sock", 5, CHECK_SPAM):
            pass
        held.set()
        assert exchange(f"{tmp_path}/spamd.sock", CHECK_SPAM).startswith(b"SPAMD/1.1 0 EX_OK")


def test_the_request_of_a_dropped_client_is_not_classified(tmp_path, classifier, config, wait):
    """If a client is disconnected while its request waits, the daemon's loop skips the request."""
    held, asked = threading.Event(), threading.Event()

    def work(requests):
        asked.set()
        held.wait(PATIENCE)
        requests.work()

    with listening(tmp_path / "state", classifier, config, work=work) as one:
        with connected(f"{tmp_path}/spamd.sock", 1, CHECK_SPAM):
            assert asked.wait(PATIENCE)
            ((*_, request),) = one.requests._waiting
            (task,) = one.listeners._listeners["spamd"].connections.values()
            one.listeners._loop.call_soon_threadsafe(task.cancel)
            wait(lambda: one.listeners.snapshot()["spamd"]["dropped"] == 1)
        held.set()
        assert exchange(f"{tmp_path}/spamd.sock", CHECK_SPAM).startswith(b"SPAMD/1.1 0 EX_OK")
    assert request.answer.cancelled()


def test_an_error_reaches_a_client_that_still_sends(tmp_path, classifier):
    """The error is not lost in a reset connection, although most of the request was not read."""
    config = Config(spamd=SpamdConfig(listen="127.0.0.1:17839"))
    with listening(tmp_path / "state", classifier, config):
        request = b"FROB SPAMC/1.5\r\nContent-length: 9\r\n\r\n" + b"x" * (4 << 20)
        assert exchange(("127.0.0.1", 17839), request).startswith(b"SPAMD/1.0 76 Bad header line: FROB")


def test_a_bug_affects_one_request(tmp_path, config, classifier, monkeypatch, caplog):
    """If a message raises an unexpected error, its client gets an error, and other clients their answers.

    The labels are not used for a time, because they may be the cause.
    """

    def judge_many(mails, **arguments):
        mails = list(mails)
        if any(b"deadly" in raw for _, raw in mails):
            raise AssertionError
        return Classifier.judge_many(classifier, mails, **arguments)

    monkeypatch.setattr(classifier, "judge_many", judge_many)
    with listening(tmp_path / "state", classifier, config) as one, caplog.at_level(logging.ERROR):
        suspended = []
        monkeypatch.setattr(one.stores, "suspend", lambda maildir, error: suspended.append((maildir, type(error))))
        requests = [JudgeRequest(mail, "") for mail in (SPAM, b"deadly", HAM)]
        for request in requests:
            one.requests.submit(request)
        assert requests[0].answer.result(PATIENCE).judgement.verdict == "spam"
        assert requests[2].answer.result(PATIENCE).judgement.verdict == "ham"
        with pytest.raises(JudgingError, match="because of a bug"):
            requests[1].answer.result(PATIENCE)
    assert set(suspended) == {("", AssertionError)}


def test_a_bug_with_a_label_affects_one_request(tmp_path, config, classifier, monkeypatch, caplog):
    """If a label raises an unexpected error, its client gets an error and need not wait, and others their answers."""
    with listening(tmp_path / "state", classifier, config) as one, caplog.at_level(logging.ERROR):
        add_label = one.stores.add_label

        def failing(maildir, raw, label, **arguments):
            if b"deadly" in raw:
                raise AssertionError
            return add_label(maildir, raw, label, **arguments)

        monkeypatch.setattr(one.stores, "add_label", failing)
        requests = [LabelRequestOfClient(mail, label=Label.SPAM) for mail in (b"deadly", SPAM)]
        for request in requests:
            one.requests.submit(request)
        assert requests[1].answer.result(PATIENCE)
        with pytest.raises(JudgingError, match="because of a bug"):
            requests[0].answer.result(PATIENCE)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory, classifier):
    """Listeners for many requests."""
    folder = tmp_path_factory.mktemp("fuzz")
    config = Config(spamd=SpamdConfig(listen=f"unix:{folder}/spamd.sock", allow_tell=True))
    with listening(folder / "state", classifier, config) as one:
        yield one, {"spamd": f"{folder}/spamd.sock", "own": str(folder / "state" / "filter.sock")}


WORDS = (
    rb"CHECK PROCESS TELL HEADERS REPORT SYMBOLS PING SKIP FILTER headers bogosity - 7 0 -1 : %zz SPAMC/1.5 SPAMC/1.0"
)
LINES = b"Content-length:|User: ann|Compress: zlib|Message-class: spam|Set: local|Remove: local| |\n|\r\n|\r\n\r\n"
PIECES = st.sampled_from([*WORDS.split(), *LINES.split(b"|"), zlib.compress(SPAM), SPAM, HAM, b"\x00\xff"])


@pytest.mark.parametrize("name", ["spamd", "own"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request_=st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=12).map(b"".join)))
@example(request_=b"PROCESS SPAMC/1.5\r\n\r\n")
@example(request_=b"CHECK SPAMC/1.5\r\nCompress: zlib\r\n\r\n")
def test_any_bytes_get_an_answer_and_no_exception(fuzzed, name, request_):
    """Whatever a client sends, it gets an answer in the form of the protocol, and the connection is closed."""
    one, addresses = fuzzed
    answer = exchange(addresses[name], request_)
    if name == "own":
        assert answer.startswith((b"OK ", b"ERROR "))
    else:
        assert answer.startswith(b"SPAMD/1.") or (request_.startswith(b"SKIP SPAMC/") and not answer)
    assert one.listeners.snapshot()[name]["errors"] == 0


# --- start, reload and stop ----------------------------------------------------------------------------------------


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
    ("listen", "group", "words"),
    [
        ("unix:{0}/no/s", None, "the folder {0}/no does not exist"),
        ("unix:{0}/file", None, "in use"),
        ("unix:{0}/served", None, "in use"),
        ("127.0.0.1:{1}", None, "in use"),
        ("unix:{0}/s", "no-such-group", "there is no group 'no-such-group'"),
    ],
)
def test_an_address_that_cannot_be_used_is_an_error(tmp_path, classifier, listen, group, words):
    """The daemon does not start without a configured listener, and says why. Files of others are not replaced."""
    (tmp_path / "file").write_text("text")
    with socket.socket(socket.AF_UNIX) as unix, socket.socket() as tcp:
        unix.bind(str(tmp_path / "served"))
        unix.listen()
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        values = str(tmp_path), tcp.getsockname()[1]
        config = Config(spamd=SpamdConfig(listen=listen.format(*values), group=group))
        with pytest.raises(UnavailableError, match=re.escape(words.format(*values))):
            listening(tmp_path / "state", classifier, config).__enter__()
        assert (tmp_path / "file").read_text() == "text"


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


def test_a_stop_answers_what_was_asked(tmp_path, classifier, config):
    """A client whose whole request was received gets its answer although the daemon stops, a late client an error."""
    held, asked = threading.Event(), threading.Event()
    answers = []

    def work(requests):
        asked.set()
        held.wait(PATIENCE)
        requests.work()

    with listening(tmp_path / "state", classifier, config, work=work) as one:
        client = threading.Thread(target=lambda: answers.append(exchange(f"{tmp_path}/spamd.sock", CHECK_SPAM)))
        client.start()
        assert asked.wait(PATIENCE)
        threading.Timer(0.05, held.set).start()
    client.join(PATIENCE)
    assert [answer.partition(b" ;")[0] for answer in answers] == [b"SPAMD/1.1 0 EX_OK\r\nSpam: True"]
    late = LabelRequestOfClient(SPAM, "", label=Label.SPAM)
    one.requests.submit(late)
    with pytest.raises(JudgingError, match="is stopping"):
        late.answer.result(0)


def test_the_counts(running, spamd, own, wait):
    """The status shows what each listener did."""
    exchange(spamd, CHECK_SPAM)
    exchange(spamd, b"FROB\r\n")
    exchange(own, filter_request(HAM))
    wait(lambda: not any(one["open"] for one in running.listeners.snapshot().values()))
    counts = running.listeners.snapshot()
    assert counts["own"]["judged"] == {"ham": 1}
    assert {key: value for key, value in counts["spamd"].items() if key != "address"} == {
        "connections": 2,
        "open": 0,
        "judged": {"spam": 1},
        "labelled": 0,
        "refused": 1,
        "dropped": 0,
        "errors": 0,
    }


def test_tagging_is_that_of_maildirs(classifier, own):
    """The own protocol answers with the bytes that the daemon writes into a Maildir."""
    judgement, threshold = classifier.classify(SPAM), classifier.policy.thresholds.spam
    from spamlstm import __version__

    expected = tag(SPAM, judgement, version=__version__, spam_threshold=threshold)
    assert exchange(own, filter_request(SPAM)) == b"OK spam %d\n" % len(expected) + expected
