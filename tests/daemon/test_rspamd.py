"""The listener for rspamd's HTTP: answers, users, labels, and requests that are broken or hostile."""

import json
import re
import socket

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from listening import PATIENCE, exchange, listening
from maildirs import make
from tiny_bundle import HAM, SPAM, UNSURE

from spamlstm import __version__
from spamlstm.config import Config, HttpConfig, LabelScope, LearningConfig, MaildirConfig
from spamlstm.daemon.listeners import connection, receiving_budget, rspamd
from spamlstm.errors import ConfigError
from spamlstm.maildir.headers import headers, points

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("http") / "password"
    path.touch(0o600)
    path.write_text(f"{PASSWORD}\n")
    return path


@pytest.fixture
def config(tmp_path, file):
    return Config(http=HttpConfig(f"unix:{tmp_path}/http.sock", password_file=str(file)))


@pytest.fixture
def http(tmp_path, running):
    return f"{tmp_path}/http.sock"


def post(path, mail, *lines, version="1.1"):
    """Return the bytes of a request that ends its connection."""
    head = (f"POST {path} HTTP/{version}", f"Content-Length: {len(mail)}", "Connection: close", *lines, "", "")
    return "\r\n".join(head).encode() + mail


def split(answer):
    """Return status, phrase, headers and body of one answer, and the bytes behind it."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("ascii").split("\r\n")
    version, status, phrase = first.split(" ", 2)
    assert version == "HTTP/1.1"
    fields = dict(line.split(": ", 1) for line in lines)
    length = int(fields["Content-Length"])
    return int(status), phrase, fields, rest[:length], rest[length:]


def asked(address, request):
    """Return status and JSON of the only answer to a request."""
    status, _, fields, body, rest = split(exchange(address, request))
    assert (fields["Content-Type"], rest) == ("application/json", b"")
    return status, json.loads(body)


# --- answers -------------------------------------------------------------------------------------------------------


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


def chunked(mail, size):
    """Return a message in chunks, with an extension and a trailer."""
    pieces = [mail[at : at + size] for at in range(0, len(mail), size)]
    head = b"POST /checkv2 HTTP/1.1\r\nTransfer-Encoding: Chunked\r\nConnection: close\r\n\r\n"
    return head + b"".join(b"%X;a=b\r\n%s\r\n" % (len(one), one) for one in pieces) + b"0\r\nX: y\r\n\r\n"


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


# --- users and labels ----------------------------------------------------------------------------------------------


def test_learning_needs_the_password(tmp_path, http, running, classifier, config):
    """Without the password, and without a password file, nothing is stored."""
    for line in ("X: y", "Password:", "Password: wrong", f"Password: {PASSWORD}x", "Password: \xe9"):
        assert asked(http, post("/learnspam", SPAM, line)) == (401, {"error": "Unauthorized"})
    assert not (running.state / "labels.sqlite").exists()
    off = Config(http=HttpConfig(f"unix:{tmp_path}/off.sock"))
    with listening(tmp_path / "off", classifier, off):
        answer = asked(f"{tmp_path}/off.sock", post("/learnham", SPAM, f"Password: {PASSWORD}"))
    assert answer == (403, {"error": "learning is not enabled, set [http] password_file"})


def test_learning(http):
    """A label is stored once, and a repetition is no error for rspamc, Sieve scripts and other clients."""
    request = post("/learnspam", UNSURE, f"password: {PASSWORD}")
    assert asked(http, request) == (200, {"success": True})
    known = "the message has been already learned as spam, ignore it"
    assert asked(http, request) == (208, {"success": True, "error": known})
    assert asked(http, post("/checkv2", UNSURE))[1]["action"] == "add header"
    assert asked(http, post("/learnham", UNSURE, f"Password: {PASSWORD}")) == (200, {"success": True})


def test_labels_belong_to_their_user(tmp_path, classifier, file):
    """The address of delivery chooses the labels, else the only recipient, else the user."""
    for name in ("ann", "bob"):
        make(tmp_path / "vmail" / name)
    config = Config(
        maildirs=(MaildirConfig(f"{tmp_path}/vmail/*"),),
        learning=LearningConfig(labels=LabelScope.PER_MAILDIR, user_maildir=f"{tmp_path}/vmail/{{local}}"),
        http=HttpConfig(f"unix:{tmp_path}/s", password_file=str(file)),
    )
    ann = (
        ("Deliver-To: ann",),
        ("Deliver-To: <Ann@example.org>", "Rcpt: bob@example.org", "User: bob"),
        ("Rcpt: ann@example.org", "User: bob"),
        ("Rcpt: ann@example.org, <ANN@example.org>", "Rcpt: ann@example.org"),
        ("User: ann",),
    )
    nobody = (
        (),
        ("Rcpt: ann@example.org", "Rcpt: bob@example.org", "User: ann"),
        ("Rcpt: ann@example.org,bob@example.org",),
        ("Deliver-To: eve", "User: ann"),
        ("Deliver-To: ../vmail/ann",),
        ("Deliver-To: \xff",),
    )
    with listening(tmp_path / "state", classifier, config):

        def action(*lines):
            return asked(f"{tmp_path}/s", post("/checkv2", UNSURE, *lines))[1]["action"]

        learn = post("/learnspam", UNSURE, f"Password: {PASSWORD}", "Deliver-To: ann@example.org")
        assert asked(f"{tmp_path}/s", learn) == (200, {"success": True})
        assert [action(*lines) for lines in ann] == ["add header"] * len(ann)
        assert [action(*lines) for lines in (*nobody, ("User: bob",))] == ["no action"] * (len(nobody) + 1)
        for lines in nobody:
            answer = asked(f"{tmp_path}/s", post("/learnspam", UNSURE, f"Password: {PASSWORD}", *lines))
            assert answer == (503, {"error": "no Maildir of the configuration belongs to this user"})


def test_the_password_is_read_again(http, running, config, file):
    """After a reload the password in the file counts; if the file cannot be used, the listener stays as it was."""
    other = file.with_name("other")
    try:
        file.write_text("another\n")
        running.listeners.reconfigure(config)
        assert asked(http, post("/learnspam", SPAM, f"Password: {PASSWORD}"))[0] == 401
        assert asked(http, post("/learnspam", SPAM, "Password: another"))[0] == 200
        file.rename(other)
        with pytest.raises(ConfigError, match="cannot be read"):
            running.listeners.reconfigure(config)
        assert asked(http, post("/learnham", SPAM, "Password: another"))[0] == 200
    finally:
        if other.exists():
            other.rename(file)
        file.write_text(f"{PASSWORD}\n")


def test_no_log_names_mail_or_password(http, caplog):
    """Neither answers nor errors write text, addresses or passwords to the log."""
    mail = b"Message-ID: <secret@b.example>\nSubject: secret\n" + SPAM
    for path, password in (("/checkv2", ""), ("/learnspam", "secret"), ("/learnspam", PASSWORD), ("/secret", "")):
        exchange(http, post(path, mail, f"Password: {password}", "Rcpt: secret@b.example"))
    assert "secret" not in caplog.text
    assert PASSWORD not in caplog.text


# --- broken and hostile requests -----------------------------------------------------------------------------------

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
