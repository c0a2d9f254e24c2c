"""The milter with a real Postfix: what is delivered, the same score as in the Maildir, and mail that is never lost."""

import contextlib
import os
import re
import shutil
import smtplib
import ssl
import subprocess
import threading

import pytest
from listening import listening
from postfix import running_postfix
from tiny_bundle import HAM, SPAM, UNSURE
from watching import until

from spamlstm.config import Config, MilterConfig
from spamlstm.features.render import render
from spamlstm.maildir.headers import headers, untag
from spamlstm.message.message import parse_message
from spamlstm.model.classifier import Classifier

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(shutil.which("postfix") is None, reason="Postfix is not installed"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can start Postfix"),
]
MILTER = """
smtpd_milters = unix:{folder}/milter.sock
non_smtpd_milters = unix:{folder}/milter.sock
milter_default_action = accept
milter_content_timeout = 30s
smtpd_recipient_restrictions =
    check_sender_access inline:{{{{prepend@example.org=PREPEND X-Checked: yes}}}}, reject_unauth_destination
"""
LARGE = HAM.replace(b"\r\n\r\n", b"\r\n\r\n" + b"".join(b"line %d of many\r\n" % n for n in range(12_000)), 1)
MAILS = (
    SPAM,
    HAM,
    UNSURE,
    LARGE,
    b"X-Spam-Flag: NO\r\nx-spam-flag : no\r\nX-Spam-Status: No,\r\n score=0\r\n"
    + SPAM
    + b"X-Spam-Flag: in the body\r\n",
    b"Date: 1 Jan 2001 00:00:00 +0000\r\nSubject:pills\r\n\tand\r\nTo:\r\n bob@example.net\r\n\r\n..dot\r\n\r\n\r\n",
    b"Received: from a.example ([198.51.100.1]) by b.example; Mon, 1 Jan 2001 00:00:00 +0000\r\n" + UNSURE,
    b"no header here\r\nmeeting\r\n",
    b"Subject: empty\r\n\r\n",
    'Subject: ünï\r\nFrom: "ä" <a@example.org>\r\n\r\npills für ß\xa0\r\n'.encode()
    + bytes(range(1, 10))
    + b"\xff\xfe\r\n",
    b"Subject: long\r\n\r\n" + b"x" * 5000 + b"\r\nend \t\r\n",
)


@pytest.fixture
def read(classifier, monkeypatch):
    """The messages that the milter gave to the classifier, in order."""
    found = []

    def classify_many(mails, **how):
        mails = list(mails)
        found.extend(raw for _, raw in mails)
        return Classifier.classify_many(classifier, mails, **how)

    monkeypatch.setattr(classifier, "classify_many", classify_many)
    return found


@pytest.fixture(scope="module")
def postfix():
    with running_postfix(MILTER) as server:
        yield server


@pytest.fixture
def delivered(postfix):
    """Return a function that waits for the copies of a new message and removes them from the Maildir."""
    for path in (postfix.maildir / "new").glob("*"):  # left by a test that failed
        path.unlink()

    def one(copies=1):
        until(lambda: len(list((postfix.maildir / "new").glob("*"))) == copies)
        for path in (postfix.maildir / "new").iterdir():
            raw = path.read_bytes()
            path.unlink()
        return raw

    return one


@contextlib.contextmanager
def milter(postfix, state, classifier, **limits):
    """Run the listener where Postfix looks for it."""
    path = f"{postfix.folder}/milter.sock"
    with listening(state, classifier, Config(milter=MilterConfig(listen=f"unix:{path}", group="postfix", **limits))):
        yield


def without_transport(raw):
    """Return a delivered message without the headers of local delivery."""
    return re.sub(rb"\A(?:(?:Return-Path|X-Original-To|Delivered-To): .*\n)+", b"", raw)


def test_mail_is_delivered_with_our_headers_and_otherwise_unchanged(postfix, tmp_path, classifier, read, delivered):
    """What is classified is what is delivered: the same text, so the same score; only our headers are added."""
    from spamlstm import __version__

    with milter(postfix, tmp_path / "state", classifier), postfix.session() as client:
        for mail in MAILS:
            client.sendmail("prepend@example.org", ["bob@example.net"], mail)
            raw = without_transport(delivered())
            judgement = classifier.classify(untag(raw))
            ours = headers(judgement, version=__version__, spam_threshold=classifier.policy.thresholds.spam)
            top = "".join(f"{name}: {value}\n" for name, value in ours).encode()
            assert raw.startswith(top)
            assert untag(raw) == raw.removeprefix(top)
            assert render(parse_message(read[-1])) == render(parse_message(raw))
            # Postfix puts the header of its access table above its own Received header.
            assert without_received(untag(read[-1]), 0) == without_received(untag(raw), 1)


def without_received(raw, above):
    """Return a message without its topmost Received header, which has `above` headers above it."""
    return re.sub(rb"\A((?:.*\n){%d})Received: .*\n(?:[ \t].*\n)+" % above, rb"\1", raw)


@pytest.mark.parametrize(
    ("client", "recipients"),
    [
        (("mail.example.com", "192.0.2.7"), ["bob@example.net", "ann@example.net"]),
        (("[UNAVAILABLE]", "192.0.2.7"), ["bob@example.net"]),
        (("192-0-2-7.dsl.example.com", "192.0.2.7"), ["bob+x@example.net"]),
        (("mail.example.com", "192.0.2.7"), ["bob@example.net"]),
    ],
)
def test_the_received_header_is_that_of_postfix(read_and_delivered, client, recipients):
    """The header that Postfix adds is the one that we read, for all kinds of clients."""
    ours, theirs = read_and_delivered(client, recipients)
    assert route(ours) == route(theirs)
    assert render(parse_message(ours)) == render(parse_message(theirs))


def test_mail_of_the_sendmail_command(postfix, tmp_path, classifier, read, delivered):
    """Mail that does not come by SMTP is classified if Postfix is set up so, with the score of what it delivers."""
    command = ["sendmail", "-C", postfix.folder / "etc", "-i", "-f", "ann@example.org", "bob@example.net"]
    with milter(postfix, tmp_path / "state", classifier):
        subprocess.run(command, input=SPAM, check=True)
        raw = without_transport(delivered())
    assert b"X-Spam-Flag: YES" in raw
    assert b"(Postfix, from userid " in raw
    assert render(parse_message(read[-1])) == render(parse_message(raw))


@pytest.fixture
def read_and_delivered(postfix, tmp_path, classifier, read, delivered):
    """Send spam with TLS; return what the milter read and what was delivered."""

    def send(client, recipients):
        with milter(postfix, tmp_path / "state", classifier), postfix.session(*client) as session:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            session.starttls(context=context)
            session.ehlo("mail.(b).example")
            session.sendmail("ann@example.org", recipients, SPAM)
            return read[-1], untag(without_transport(delivered(len(recipients))))

    return send


def route(raw):
    """Return the topmost Received header on one line, without the date."""
    return re.sub(rb"\s+", b" ", raw.partition(b"\nFrom: ")[0]).rpartition(b";")[0]


def test_spam_can_be_kept_or_rejected(postfix, tmp_path, classifier, delivered):
    """Above the limits, Postfix holds or rejects spam. Other mail in the same session is delivered."""
    with milter(postfix, tmp_path / "one", classifier, quarantine_above=5), postfix.session() as client:
        client.sendmail("ann@example.org", ["bob@example.net"], SPAM)
        until(lambda: [name.partition("/")[0] for name in postfix.queue()] == ["hold"])
        client.sendmail("ann@example.org", ["bob@example.net"], HAM)
        assert b"\nX-Spam-Status: No, " in delivered()
    subprocess.run(["postsuper", "-c", postfix.folder / "etc", "-d", "ALL"], check=True, capture_output=True)
    with milter(postfix, tmp_path / "two", classifier, reject_above=5), postfix.session() as client:
        with pytest.raises(smtplib.SMTPDataError, match=r"5\.7\.1 The message was rejected because it looks like spam"):
            client.sendmail("ann@example.org", ["bob@example.net"], SPAM)
        client.sendmail("ann@example.org", ["bob@example.net"], HAM)
        assert b"\nX-Spam-Status: No, " in delivered()


def test_mail_passes_while_we_are_down(postfix, tmp_path, classifier, delivered):
    """Mail of an SMTP session that began before a stop, and of one without us, is delivered once, without headers."""
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(contextlib.ExitStack())
        with milter(postfix, tmp_path / "state", classifier):
            session = client.enter_context(postfix.session())
            session.sendmail("ann@example.org", ["bob@example.net"], HAM)
            assert b"X-Spam-Status" in delivered()
            session.mail("ann@example.org")
        assert session.rcpt("bob@example.net")[0] == 250
        assert session.data(SPAM)[0] == 250
        assert b"X-Spam-Status" not in delivered()
    with postfix.session() as session:
        session.sendmail("ann@example.org", ["bob@example.net"], SPAM)
        assert b"X-Spam-Status" not in delivered()
    with milter(postfix, tmp_path / "state", classifier), postfix.session() as session:
        session.sendmail("ann@example.org", ["bob@example.net"], SPAM)
        assert b"X-Spam-Flag: YES" in delivered()


def test_a_milter_that_hangs_does_not_lose_mail(tmp_path, classifier):
    """If we do not answer in time, Postfix delivers the message without our headers, once."""
    held = threading.Event()
    more = MILTER.replace("30s", "1s") + "\nmilter_command_timeout = 1s\n"
    with running_postfix(more) as server:
        config = Config(milter=MilterConfig(listen=f"unix:{server.folder}/milter.sock", group="postfix"))
        with listening(tmp_path / "state", classifier, config, work=lambda requests: held.wait(30) and requests.work()):
            with server.session() as client:
                client.sendmail("ann@example.org", ["bob@example.net"], SPAM)
                until(lambda: any((server.maildir / "new").glob("*")))
            held.set()
        until(lambda: server.queue() == [])
        (path,) = (server.maildir / "new").iterdir()
        assert b"X-Spam" not in path.read_bytes()
