"""A mail server that asks by the milter protocol: headers, verdicts, quarantine, labels, and bounds."""

import contextlib
import logging
import struct
import threading
from dataclasses import replace

import pytest
from listening import PATIENCE, HeldWork, exchange, listening
from mta import CLIENT, added, connected_mta, packet
from tiny_bundle import HAM, SPAM, UNSURE

from spamlstm.config import Config, MilterConfig
from spamlstm.daemon.listeners import connection, milter, receiving_budget
from spamlstm.maildir.headers import headers

FORGED = b"X-Spam-Flag: NO\r\nX-SPAM-FLAG: maybe\r\nX-Spam-Level:\r\n ***\r\n" + SPAM


GO_ON = (b"c", b"")


@pytest.fixture
def config(tmp_path):
    return Config(milter=MilterConfig(listen=f"unix:{tmp_path}/milter.sock"))


@pytest.fixture
def path(tmp_path, running):
    return f"{tmp_path}/milter.sock"


@pytest.fixture
def mta(path):
    """A connection in which an SMTP client has announced itself."""
    with connected_mta(path) as one:
        one.negotiate()
        one.connect()
        yield one


def expected(classifier, mail):
    """Return our headers for a message."""
    from spamlstm import __version__

    threshold = classifier.policy.thresholds.spam
    return dict(headers(classifier.classify(mail), version=__version__, spam_threshold=threshold))


def status_of(mta, mail, **how):
    """Return the X-Spam-Status of a message."""
    mta.content(mail, **how)
    return added(mta.verdict())["X-Spam-Status"]


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ((2, 0x3F, 0x7F), (2, 0x31, 0x40)),
        ((3, 0x3F, 0x17F), (3, 0x31, 0x140)),
        ((4, 0x3F, 0x3FF), (4, 0x31, 0x3C0)),
        ((6, 0x1FF, 0x1FFFFF), (6, 0x31, 0x1FF3C0)),
        ((6, 0x11, 0x7F), (6, 0x11, 0x40)),
        ((9, 0x3FF, 0x3FFFFFFF), (6, 0x31, 0x1FF3C0)),
    ],
)
def test_every_version_is_agreed_on(path, classifier, offered, chosen):
    """Of the steps that the MTA offers, those without a use are skipped, and a message gets the same headers."""
    with connected_mta(path) as mta:
        assert mta.negotiate(*offered) == chosen
        mta.connect()
        for mail in (SPAM, HAM):
            mta.content(mail)
            answers = mta.verdict()
            assert answers[-1] == GO_ON
            assert added(answers) == expected(classifier, mail)
        mta.send(b"Q")
        assert mta.answer() is None


def test_our_headers_are_at_the_top_and_forged_ones_are_removed(mta, classifier):
    """Headers with our names are removed, the last one first, and ours are added above all others, in their order."""
    mta.content(FORGED)
    answers = mta.verdict()
    removed = [data for letter, data in answers if letter == b"m"]
    assert removed == [
        struct.pack("!I", number) + name + b"\0\0"
        for number, name in ((1, b"x-spam-level"), (2, b"x-spam-flag"), (1, b"x-spam-flag"))
    ]
    inserted = [data for letter, data in answers if letter == b"i"]
    assert {data[:4] for data in inserted} == {bytes(4)}
    assert list(added(answers).items()) == list(reversed(expected(classifier, SPAM).items()))
    assert all(b"\0 " in data for data in inserted)
    assert {letter for letter, _ in answers} == {b"m", b"i", b"c"}


def test_messages_of_one_connection_do_not_mix(mta):
    """After a verdict, an ABORT or a new SMTP session, nothing of the message before is left."""
    assert status_of(mta, SPAM).startswith("Yes")
    assert status_of(mta, HAM).startswith("No, score=0.0")
    mta.content(FORGED)
    mta.send(b"A")
    mta.content(HAM)
    answers = mta.verdict()
    assert not [one for one in answers if one[0] == b"m"]
    assert added(answers)["X-Spam-Status"].startswith("No, score=0.0")
    mta.content(SPAM)
    mta.send(b"K")
    mta.connect()
    assert status_of(mta, HAM).startswith("No, score=0.0")


@pytest.mark.parametrize(
    ("limits", "letters"),
    [
        ({}, b"iiiic"),
        ({"quarantine_above": 5.0}, b"iiiiqc"),
        ({"quarantine_above": 99.0}, b"iiiic"),
        ({"reject_above": 5.0}, b"y"),
        ({"reject_above": 99.0}, b"iiiic"),
        ({"quarantine_above": 5.0, "reject_above": 99.0}, b"iiiiqc"),
    ],
)
def test_quarantine_and_rejection_are_off_by_default(tmp_path, classifier, config, limits, letters):
    """Spam is quarantined or rejected only above a limit; other mail never is."""
    config = replace(config, milter=replace(config.milter, **limits))
    with listening(tmp_path / "state", classifier, config), connected_mta(f"{tmp_path}/milter.sock") as mta:
        mta.negotiate()
        mta.content(SPAM)
        answers = mta.verdict()
        assert b"".join(letter for letter, _ in answers) == letters
        assert letters != b"y" or answers[0][1].startswith(b"550 5.7.1 ")
        for mail in (HAM, UNSURE):
            mta.content(mail)
            assert mta.verdict()[-1] == GO_ON


def test_a_dry_run_keeps_and_rejects_nothing(tmp_path, classifier, config):
    """In a dry run, spam above both limits passes, with the headers that name its score."""
    limits = replace(config.milter, quarantine_above=5.0, reject_above=5.0)
    config = replace(config, milter=limits, daemon=replace(config.daemon, dry_run=True))
    with listening(tmp_path / "state", classifier, config), connected_mta(f"{tmp_path}/milter.sock") as mta:
        mta.negotiate()
        mta.content(SPAM)
        answers = mta.verdict()
        assert b"".join(letter for letter, _ in answers) == b"iiiic"
        assert added(answers)["X-Spam-Status"].startswith("Yes")


def test_a_mail_server_without_a_quarantine(tmp_path, classifier, config, caplog):
    """The message passes with its headers, and the log says that the setting has no effect."""
    config = replace(config, milter=replace(config.milter, quarantine_above=5.0))
    with (
        caplog.at_level(logging.INFO),
        listening(tmp_path / "state", classifier, config),
        connected_mta(f"{tmp_path}/milter.sock") as mta,
    ):
        mta.negotiate(6, 0x11)
        mta.send(b"D", b"Mi\x004A\x1bB\0")
        assert status_of(mta, SPAM).startswith("Yes")
    assert "no-quarantine-in-this-mail-server listener=milter id=4A?B score=13.1" in caplog.text


def test_a_verdict_by_a_list_is_never_above_a_limit(tmp_path, classifier, config):
    """GTUBE has 5.0 points, so the lowest limit does not reject it."""
    config = replace(config, milter=replace(config.milter, reject_above=5.0, quarantine_above=5.0))
    mail = HAM + b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"
    with listening(tmp_path / "state", classifier, config), connected_mta(f"{tmp_path}/milter.sock") as mta:
        mta.negotiate()
        assert status_of(mta, mail).startswith("Yes, score=5.0 ")


def test_the_body_is_never_changed(mta):
    """No answer replaces a body, a sender or a recipient."""
    for mail in (SPAM, HAM, UNSURE, FORGED):
        mta.content(mail, piece=7)
        assert {letter for letter, _ in mta.verdict()} <= {b"m", b"i", b"c"}


def test_a_message_that_is_too_large_passes(mta, running, monkeypatch):
    """It gets a header that says why it was not classified, forged ones are removed, and its memory is free again."""
    monkeypatch.setattr(milter, "MOST_BYTES", 3 << 20)
    mta.content(FORGED + b"x" * (4 << 20))
    answers = mta.verdict()
    assert len([one for one in answers if one[0] == b"m"]) == 3
    assert added(answers)["X-Spam-Status"] == "No, score=0.0 required=5.0 tests=SPAMLSTM_TOO_LARGE"
    assert answers[-1] == GO_ON
    assert running.listeners._budget.left == receiving_budget.MOST_BUFFERED
    assert status_of(mta, SPAM).startswith("Yes")


def test_large_messages_share_the_memory(mta, running):
    """If other requests fill the memory, a large message passes with a header, and small ones are classified."""
    running.listeners._budget.left = 0
    assert status_of(mta, SPAM + b"x" * (2 << 20)).endswith("tests=SPAMLSTM_BUSY")
    assert status_of(mta, SPAM).startswith("Yes")


def test_memory_is_free_again_after_each_message(mta, running):
    """A long SMTP session with large messages reserves the memory of one message."""
    for _ in range(2):
        assert status_of(mta, HAM + b"x" * (3 << 20))
    mta.content(HAM + b"x" * (3 << 20))
    mta.send(b"A")
    assert status_of(mta, SPAM).startswith("Yes")
    assert running.listeners._budget.left == receiving_budget.MOST_BUFFERED


def test_more_forged_headers_than_an_mta_can_remove(mta, caplog):
    """The message passes with our headers at the top, the topmost forged ones are removed, and the log says so."""
    with caplog.at_level(logging.INFO):
        mta.content(b"X-Spam-Flag: NO\r\n" * 5000 + b"X-Spam-Level: *\r\n" + SPAM)
        answers = mta.verdict()
    removed = [data for letter, data in answers if letter == b"m"]
    numbers = [struct.pack("!I", number) for number in range(milter.MOST_REPLACED - 1, 0, -1)]
    assert removed == [bytes(3) + b"\1x-spam-level\0\0", *(number + b"x-spam-flag\0\0" for number in numbers)]
    assert added(answers)["X-Spam-Flag"] == "YES"
    assert answers[-1] == GO_ON
    assert "forged-headers-left listener=milter count=4801" in caplog.text


@pytest.mark.parametrize(
    "request_",
    [
        packet(b"C", CLIENT),
        packet(b"O"),
        packet(b"O", struct.pack("!III", 1, 0x1FF, 0x7F)),
        packet(b"O", struct.pack("!III", 6, 0x10, 0x7F)),
        struct.pack("!I", 0),
        struct.pack("!I", 1 << 31) + b"O",
        b"GET / HTTP/1.0\r\n\r\n",
    ],
)
def test_a_connection_that_is_no_mta_is_closed(path, running, request_):
    """Nothing is answered, and the connection is closed."""
    assert exchange(path, request_) == b""
    assert running.listeners.snapshot()["milter"]["refused"] == 1


@pytest.mark.parametrize(
    "bad",
    [
        packet(b"O", struct.pack("!III", 6, 0x1FF, 0)),
        packet(b"z"),
        packet(b"L", b"no value"),
        packet(b"C", b"x"),
        packet(b"M", b"<no end>"),
        packet(b"B", b"x") + packet(b"L", b"a\0b\0"),
    ],
)
def test_a_broken_packet_ends_the_connection(mta, running, bad, wait):
    """The MTA then takes its default action for the message."""
    mta._connection.sendall(bad)
    assert mta.answer() is None
    wait(lambda: running.listeners.snapshot()["milter"]["refused"] == 1)


def test_a_silent_smtp_client_keeps_its_connection(tmp_path, classifier, config, monkeypatch):
    """An SMTP client may wait between two commands for longer than other clients, but not the MTA in a message."""
    for module in (connection, milter):
        monkeypatch.setattr(module, "IDLE_SECONDS", 0.1)
    path = f"{tmp_path}/milter.sock"
    with listening(tmp_path / "state", classifier, config), connected_mta(path) as mta:
        mta.negotiate()
        for _ in range(2):  # before the first command, and between two messages
            with connected_mta(path) as other:  # when it is closed, the silence of `mta` has lasted as long
                other.negotiate()
                other.content(SPAM)
                assert other.answer() is None
            assert status_of(mta, SPAM).startswith("Yes")


def test_a_stop_ends_sessions(tmp_path, classifier, config):
    """At a stop, a message that was wholly received gets its verdict, and then all connections are closed."""
    held, answers = HeldWork(), []
    with contextlib.ExitStack() as stack:
        with listening(tmp_path / "state", classifier, config, work=held):
            idle, busy = (stack.enter_context(connected_mta(f"{tmp_path}/milter.sock")) for _ in range(2))
            idle.negotiate()
            busy.negotiate()
            busy.content(SPAM)
            thread = threading.Thread(target=lambda: answers.extend(busy.verdict()))
            thread.start()
            assert held.asked.wait(PATIENCE)
            threading.Timer(0.05, held.released.set).start()
        thread.join(PATIENCE)
        assert added(answers)["X-Spam-Flag"] == "YES"
        assert (idle.answer(), busy.answer()) == (None, None)


def test_a_reload_with_other_limits_keeps_sessions(mta, path, running, config):
    """The mail of open SMTP sessions is classified as before, and further sessions have the new limits."""
    running.listeners.reconfigure(replace(config, milter=replace(config.milter, reject_above=5.0)))
    assert status_of(mta, SPAM).startswith("Yes")
    with connected_mta(path) as other:
        other.negotiate()
        other.content(SPAM)
        assert other.verdict()[0][0] == b"y"


def test_a_daemon_that_stops_classifying_lets_mail_pass(mta, running):
    """If no verdict is possible, the message passes with a header that says so."""
    running.requests.close()
    assert status_of(mta, SPAM) == "No, score=0.0 required=5.0 tests=SPAMLSTM_UNAVAILABLE"
