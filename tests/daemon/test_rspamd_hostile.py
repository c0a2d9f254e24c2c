"""Requests of rspamd's HTTP that are broken, ambiguous, too large or hostile."""

import json
import re

import pytest
from http_wire import asked, chunked, post, split
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from listening import exchange
from tiny_bundle import SPAM

from spamlstm.config import Config, HttpConfig
from spamlstm.daemon.listeners import receiving_budget


@pytest.fixture
def config(tmp_path):
    return Config(http=HttpConfig(f"unix:{tmp_path}/http.sock"))


@pytest.fixture
def http(tmp_path, running):
    return f"{tmp_path}/http.sock"


BODY = "\r\nContent-Length: 3\r\n\r\nabc"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ("POST /nothing HTTP/1.1" + BODY, 404),
        ("GET / HTTP/1.1\r\n\r\n", 404),
        ("OPTIONS * HTTP/1.1\r\n\r\n", 404),
        ("GET /checkv2 HTTP/1.1\r\n\r\n", 405),
        ("PUT /checkv2 HTTP/1.1" + BODY, 405),
        ("POST /ping HTTP/1.1" + BODY, 405),
        ("FROB /ping HTTP/1.1\r\n\r\n", 405),
        ("post /checkv2 HTTP/1.1" + BODY, 405),
        ("POST /checkv2 HTTP/1.1\r\n\r\n", 400),
        ("POST /checkv2?file=/etc/passwd HTTP/1.1" + BODY, 400),
        ("POST /checkv2 HTTP/1.1\r\nFile: /etc/passwd\r\n\r\n", 403),
        ("POST /checkv2 HTTP/1.1\r\nPATH: /etc/passwd" + BODY, 403),
        ("POST /checkv2 HTTP/1.1\r\nShm: /x" + BODY, 403),
        ("POST /checkv2 HTTP/1.1\r\nCompression: zstd" + BODY, 415),
        ("POST /checkv2 HTTP/1.1\r\nContent-Encoding: gzip" + BODY, 415),
        ("POST /checkv2 HTTP/1.1\r\nKey: abc" + BODY, 415),
        ("POST /checkv2 HTTP/1.1\r\nContent-Length: 4" + BODY, 400),
        ("POST /checkv2 HTTP/1.1\r\nTransfer-Encoding: chunked" + BODY, 400),
        ("POST /checkv2 HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc", 400),
        ("POST /checkv2 HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        ("POST /checkv2 HTTP/1.1\r\nContent-Length: +3\r\n\r\nabc", 400),
        ("POST /checkv2 HTTP/1.1\r\nContent-Length: 67108865\r\n\r\nabc", 413),
        ("POST /checkv2 HTTP/1.1\r\nContent-Length: 9999999999999\r\n\r\nabc", 413),
        ("POST /checkv2 HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ("POST /checkv2 HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
        ("POST /checkv2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST /checkv2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400),
        ("POST /checkv2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", 400),
        ("POST /checkv2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", 400),
        ("POST /checkv2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4000001\r\n", 413),
        ("POST /checkv2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;" + "x" * 300, 431),
        ("POST /checkv2 HTTP/1.1\r\n folded: b" + BODY, 400),
        ("POST /checkv2 HTTP/1.1\r\nContent-Length : 3" + BODY, 400),
        ("POST /checkv2 HTTP/1.1\r\nA: b\0c" + BODY, 400),
        ("POST /checkv2 HTTP/1.1\r\nPassword: x\n" + BODY, 400),
        ("POST /checkv2 HTTP/1.1\n" + BODY, 400),
        ("\nGET /ping HTTP/1.1\r\n\r\n", 400),
        ("POST /checkv2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", 400),
        ("POST /checkv2 HTTP/1.1\r\nA: b\rContent-Length: 9" + BODY, 400),
        ("POST /checkv2 HTTP/1.1\r\n" + "A: b\r\n" * 300, 431),
        ("POST /checkv2 HTTP/1.1\r\n" + f"A: {'b' * 8000}\r\n" * 9, 431),
        ("POST /checkv2 HTTP/1.1\r\nA: " + " " * 9000, 431),
        ("POST /" + "x" * 9000, 431),
        ("POST /checkv2 HTTP/1.1\r\nA: b", 400),
        ("POST /checkv2\r\n", 400),
        ("POST http://b.example/checkv2 HTTP/1.1" + BODY, 400),
        ("CHECK SPAMC/1.5\r\n\r\n", 400),
        ("x", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ],
)
def test_a_broken_request(http, running, request_, status):
    """A request that is broken, ambiguous, too large or asks for a file gets an error in JSON and is counted."""
    found, answer = asked(http, request_.encode("latin-1"))
    assert (found, list(answer)) == (status, ["error"])
    counts = running.listeners.snapshot()["http"]
    assert (counts["refused"], counts["judged"], counts["errors"]) == (1, {}, 0)


def test_the_error_is_the_phrase_of_the_status_line(http):
    """The sentence is there too, because rspamc shows only the phrase."""
    assert split(exchange(http, post("/checkv2", b"")))[:2] == (400, "Empty body is not permitted")


def test_a_closed_connection_is_no_request(http, running, wait):
    """A client that connects and sends nothing, as some health checks do, is not counted as refused."""
    assert exchange(http, b"") == b""
    assert exchange(http, b"\r\n") == b""
    wait(lambda: running.listeners.snapshot()["http"]["open"] == 0)
    assert running.listeners.snapshot()["http"]["refused"] == 0


def test_large_bodies_share_the_memory(http, running):
    """If unfinished requests fill the memory, a large one of unknown length is refused, and the memory is free then."""
    running.listeners._budget.left = receiving_budget.STEP - 1
    refused = asked(http, chunked(b"x" * (2 << 20), 1 << 16))
    assert refused == (503, {"error": "too much mail is being received; try again later"})
    running.listeners._budget.left = receiving_budget.MOST_BUFFERED
    kept = post("/checkv2", SPAM + b"x" * (2 << 20)).replace(b"Connection: close\r\n", b"")
    assert exchange(http, kept * 40 + post("/checkv2", SPAM)).count(b'"action"') == 41
    assert running.listeners._budget.left == receiving_budget.MOST_BUFFERED


PIECES = [
    *(
        b"POST ",
        b"GET ",
        b"HEAD ",
        b"/checkv2",
        b"/learnspam",
        b"/ping",
        b"/stat",
        b"/",
        b"?",
        b" HTTP/1.1\r\n",
        b"\r\n",
    ),
    *(b" HTTP/1.0\r\n", b"Content-Length: 3\r\n", b"Content-Length: 0\r\n", b"Content-Length: 99999999999\r\n", b"\n"),
    *(
        b"Transfer-Encoding: chunked\r\n",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"ffffffff\r\n",
        b"abc",
        b"\r\n\r\n",
        b"\0",
        b" ",
    ),
    *(
        b"Password: correct horse\r\n",
        b"Password: x\r\n",
        b"Rcpt: a@b\r\n",
        b"File: x\r\n",
        b"Expect: 100-continue\r\n",
    ),
    *(b"Connection: keep-alive\r\n", b"Connection: close\r\n", b":", b"\xff", b"\r"),
]


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=8)), max_size=14))
@example([b"POST ", b"/checkv2", b" HTTP/1.1\r\n", b"Content-Length: 3\r\n", b"\r\n", b"abc"] * 3)
@example(
    [b"POST ", b"/checkv2", b" HTTP/1.1\r\n", b"Transfer-Encoding: chunked\r\n", b"\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n"]
)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_get_answers_of_http(http, running, pieces):
    """Whatever a client sends, each answer is complete HTTP, and nothing is counted as a bug."""
    answer = exchange(http, b"".join(pieces))
    answer = answer.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")
    for _ in range(20):
        if not answer:
            break
        # An answer to HEAD has no body, so the next one begins or nothing follows.
        head, _, rest = answer.partition(b"\r\n\r\n")
        status, _, fields, body, others = split(answer)
        assert status in (200, 208, 400, 401, 403, 404, 405, 413, 415, 431, 501, 503, 505)
        if b"HEAD " in pieces and (not rest or rest.startswith(b"HTTP/1.1 ")):
            answer = rest
            continue
        assert len(body) == int(fields["Content-Length"])
        assert body == b"pong\r\n" or isinstance(json.loads(body), dict)
        assert re.fullmatch(r"[ -~]+", head.partition(b"\r\n")[0].decode("ascii"))
        answer = others
    assert running.listeners.snapshot()["http"]["errors"] == 0
