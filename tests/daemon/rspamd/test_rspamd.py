"""The listener for rspamd's HTTP: verdicts, status, and the connections of clients."""

import contextlib
import socket
import threading

import pytest
from http_wire import PASSWORD, asked, chunked, post, split
from listener_clients import connected
from listening import PATIENCE, HeldWork, exchange, listening
from tiny_bundle import HAM, SPAM, UNSURE

from spamlstm import __version__
from spamlstm.daemon.listeners import connection, rspamd
from spamlstm.maildir.headers import headers, points


@pytest.mark.parametrize(("mail", "action"), [(SPAM, "add header"), (HAM, "no action"), (UNSURE, "no action")])
@pytest.mark.parametrize("path", ["/checkv2", "/symbols", "//checkv2"])
def test_a_verdict(http, classifier, path, mail, action):
    """The answer has the form of rspamd's `/checkv2`, and the points and headers are those of a Maildir."""
    judgement, threshold = classifier.classify(mail), classifier.policy.thresholds.spam
    shown = points(judgement, spam_threshold=threshold)
    status, answer = asked(http, post(path, b"Message-ID:\n <1@b.example>\n" + mail))
    assert (status, answer.pop("symbols")) == (
        200,
        {
            "SPAMLSTM_SCORE": {
                "name": "SPAMLSTM_SCORE",
                "score": shown,
                "metric_score": shown,
                "description": "the reason of the verdict",
                "options": [judgement.verdict],
            }
        },
    )
    written = headers(judgement, version=__version__, spam_threshold=threshold)
    assert answer.pop("milter") == {
        "remove_headers": dict.fromkeys(
            "X-Spam X-Spam-Flag X-Spam-Unsure X-Spam-Status X-Spam-Level X-Spam-Checker-Version".split(), 0
        ),
        "add_headers": dict(written),
    }
    assert answer == {
        "is_skipped": False,
        "score": shown,
        "required_score": 5.0,
        "action": action,
        "messages": {},
        "message-id": "1@b.example",
    }


def test_ping_and_stat(http, running):
    """A health check gets `pong`, and the numbers are those of the status."""
    get = b"GET %s HTTP/1.0\r\n\r\n"
    assert split(exchange(http, get % b"/ping"))[3] == b"pong\r\n"
    for mail in (SPAM, HAM, UNSURE):
        asked(http, post("/checkv2", mail))
    asked(http, post("/learnspam", HAM, f"Password: {PASSWORD}"))
    status, answer = asked(http, get % b"/stat")
    assert status == 200
    assert (answer["scanned"], answer["spam_count"], answer["ham_count"], answer["learned"]) == (3, 1, 2, 1)
    assert answer["actions"] == {"add header": 1, "no action": 2}
    assert running.listeners.snapshot()["http"]["judged"] == {"spam": 1, "ham": 1, "unsure": 1}


def test_head_has_no_body(http):
    """The answer to HEAD has the length of the body that GET gets, and no body, also with an error."""
    for path, status in ((b"/ping", 200), (b"/stat", 200), (b"/no", 404), (b"/checkv2", 405)):
        found, _, fields, body, _ = split(exchange(http, b"HEAD %s HTTP/1.1\r\nConnection: close\r\n\r\n" % path))
        assert (found, body) == (status, b"")
        assert int(fields["Content-Length"]) > 0


def test_a_connection_serves_several_requests(http):
    """With HTTP/1.1, requests may follow each other and need not wait for answers; HTTP/1.0 must ask for it."""
    ping, last = b"GET /ping HTTP/1.1\r\n\r\n", b"GET /ping HTTP/1.1\r\nConnection: Close\r\n\r\n"
    check = post("/checkv2", SPAM).replace(b"Connection: close\r\n", b"")
    answer = exchange(http, ping + check + b"\r\n" + ping + last + ping)
    statuses = []
    while answer:
        status, _, fields, _, answer = split(answer)
        statuses.append((status, fields["Connection"]))
    assert statuses == [(200, "keep-alive")] * 3 + [(200, "close")]
    old = b"GET /ping HTTP/1.0\r\n\r\n"
    assert exchange(http, old + old).count(b"pong") == 1
    kept = b"GET /ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    assert exchange(http, kept + old).count(b"pong") == 2


def test_an_unused_connection_ends_quietly(http, running, monkeypatch):
    """A client that keeps its connection and sends nothing more is disconnected, and not counted as slow."""
    monkeypatch.setattr(connection, "IDLE_SECONDS", 0.05)
    assert exchange(http, b"GET /ping HTTP/1.1\r\n\r\n", half_close=False).endswith(b"pong\r\n")
    assert running.listeners.snapshot()["http"]["dropped"] == 0


def test_a_long_connection_ends_between_requests(http, monkeypatch):
    """After some time the answer says that the connection ends, so that the time limit interrupts no request."""
    monkeypatch.setattr(rspamd, "KEEP_SECONDS", 0.0)
    assert split(exchange(http, b"GET /ping HTTP/1.1\r\n\r\n", half_close=False))[2]["Connection"] == "close"


def test_busy_connections_give_their_place_to_others(http, monkeypatch):
    """If there are as many connections as permitted, none is kept, or its client could keep the others waiting."""
    monkeypatch.setattr(rspamd, "MOST_CONNECTIONS", 2)
    ping = b"GET /ping HTTP/1.1\r\n\r\n"
    with connected(http, 1, first=ping) as (busy,):
        assert split(busy.recv(1000))[2]["Connection"] == "keep-alive"
        assert split(exchange(http, ping, half_close=False))[2]["Connection"] == "close"
        busy.sendall(ping)
        assert split(busy.recv(1000))[2]["Connection"] == "keep-alive"


def test_a_stop_ends_connections_after_their_answers(tmp_path, classifier, config, wait):
    """A client that keeps its connection gets the answer that it waits for, and a stop does not wait for another."""
    held, http = HeldWork(), tmp_path / "http.sock"

    def release():
        wait(lambda: not http.exists())
        held.released.set()

    request = post("/checkv2", SPAM).replace(b"Connection: close\r\n", b"")
    with contextlib.ExitStack() as stack:
        with listening(tmp_path / "state", classifier, config, work=held) as one:
            (client,) = stack.enter_context(connected(str(http), 1, first=request))
            assert held.asked.wait(PATIENCE)
            counts = one.listeners._listeners["http"].counts
            threading.Thread(target=release).start()
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK")
        assert counts.dropped == 0


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_chunks(http, size):
    """A message in chunks is classified as the same message with its length."""
    mail = SPAM * 40
    assert asked(http, chunked(mail, size)) == asked(http, post("/checkv2", mail))


def test_a_client_may_wait_for_permission_to_send(http):
    """A client that sends `Expect: 100-continue` is told to continue, unless the request is refused anyway."""
    request = post("/checkv2", SPAM, "Expect: 100-continue")
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(http)
        client.sendall(request.removesuffix(SPAM))
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(SPAM)
        answer = b""
        while block := client.recv(1 << 16):
            answer += block
    assert split(answer)[0] == 200
    refused = post("/learnspam", SPAM, "Expect: 100-continue").removesuffix(SPAM)
    assert asked(http, refused) == (401, {"error": "Unauthorized"})
