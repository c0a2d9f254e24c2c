"""The milter: its protocol, what it changes, whose labels it uses, its bounds, and hostile packets."""

import asyncio
import contextlib
import itertools
import logging
import struct
import threading
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from listening import PATIENCE, exchange, listening
from maildirs import make
from mta import CLIENT, STEPS, added, connected_mta, packet
from tiny_bundle import HAM, SPAM, UNSURE

from spamlstm.config import Config, LabelScope, LearningConfig, MaildirConfig, MilterConfig
from spamlstm.daemon.listeners import connection, milter, receiving_budget
from spamlstm.daemon.listeners.milter_message import MilterMessage, MilterSession
from spamlstm.daemon.listeners.milter_packets import BadPacketError, MilterOptions, take_packet
from spamlstm.learning.label import Label, Origin
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


# --- the protocol --------------------------------------------------------------------------------------------------


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


def message(*, steps=STEPS):
    """Return a message, its session having a client."""
    session = MilterSession(MilterOptions(6, 0x31, steps))
    session.connect(CLIENT)
    session.announce(b"mail.example.com\0")
    session.define(b"Cj\0mx.example.net\0v\0Postfix 3.7.11\0_\0mail.example.com [192.0.2.7]\0")
    session.define(b"Ri\0004ABC\0")
    one = MilterMessage(session)
    one.begin(b"<ann@example.org>\0")
    return one


@given(cuts=st.lists(st.integers(0, 60), max_size=6), after=st.binary(max_size=9))
def test_packets_are_taken_one_by_one_however_they_arrive(cuts, after):
    """Packets are the same wherever the bytes are cut. The bytes of an unfinished packet stay until it is complete."""
    sent = [(b"C", CLIENT), (b"D", b"Li\0004ABC\0"), (b"N", b""), (b"B", b"a\r\n")]
    stream = b"".join(packet(letter, data) for letter, data in sent) + packet(b"B", after)[:-1]
    taken, received = [], bytearray()
    edges = [0, *sorted(cuts), len(stream)]
    for start, end in itertools.pairwise(edges):
        received += stream[start:end]
        while one := take_packet(received):
            taken.append((one[0].value, one[1]))
    assert taken == sent
    assert packet(b"B", after).startswith(received)


@pytest.mark.parametrize("begin", [bytes(4), b"\0\x10\0\1", b"\xff\xff\xff\xff", b"\0\0\0\1x"])
def test_a_packet_that_cannot_be_one_is_refused_from_its_first_bytes(begin):
    """An empty packet, one above 1 MiB and one with an unknown letter end the connection without waiting for more."""
    with pytest.raises(BadPacketError):
        take_packet(bytearray(begin))


def test_repeated_macros_are_those_of_the_message():
    """Postfix repeats the queue id before each header. The id of the next message replaces it, even an equal packet."""
    session = MilterSession(MilterOptions(6, 0x31, STEPS))
    for identity in (b"4ABC", b"4ABC", b"4ABD"):
        session.define(b"Li\0%s\0" % identity)
        assert session.macro(b"i") == identity
    session.forget_message()
    assert session.macro(b"i") == b""
    session.define(b"Li\x004ABD\0")
    assert session.macro(b"i") == b"4ABD"


def test_macros_take_little_memory():
    """Whatever macros an MTA sends, a session keeps few bytes of them, because they do not count as its message."""
    session = MilterSession(MilterOptions(6, 0x31, STEPS))
    values = b"".join(b"%s\0%s\0" % (name, b"x" * 100_000) for name in (b"i", b"j", b"v", b"_", b"{tls_version}"))
    tracemalloc.start()
    try:
        for letter in range(256):
            session.define(bytes([letter]) + values)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1 << 17
    assert session.macro(b"j") == b"x" * 1000


@given(cuts=st.lists(st.integers(0, 40), max_size=5), body=st.text("\r\n.a", max_size=40).map(str.encode))
def test_pieces_of_a_body_are_joined(cuts, body):
    """Wherever a body is cut, it is read with the line ends of a Maildir."""
    one = message()
    one.add_header(b"Subject\0 a\0")
    edges = [0, *sorted(cuts), len(body)]
    for start, end in itertools.pairwise(edges):
        one.add_body(body[start:end])
    read = bytes(one.content).partition(b"\n\n")[2]
    assert read == body.replace(b"\r\n", b"\n")


@pytest.mark.parametrize(("steps", "first"), [(STEPS, b"Subject:a\n\tb\n"), (0, b"Subject: a\n\tb\n")])
def test_headers_are_read_as_they_are_delivered(steps, first):
    """Folds stay. The space behind the colon is that of the message, if the MTA shows it."""
    one = message(steps=steps)
    one.add_header(b"Subject\0a\n\tb\0")
    assert bytes(one.content).endswith(b"\n" + first)


@pytest.mark.parametrize(
    ("macros", "recipients", "words"),
    [
        ({}, (b"bob@x.org",), b"with ESMTP id 4ABC\n\tfor <bob@x.org>; "),
        ({}, (b"bob@x.org", b"ann@x.org"), b"with ESMTP id 4ABC; "),
        ({b"H": b"{tls_version}\0TLSv1.3\0"}, (b"bob@x.org",), b"with ESMTPS id 4ABC"),
        ({b"M": b"{auth_authen}\0bob\0", b"H": b"{tls_version}\0TLSv1.3\0"}, (), b"with ESMTPSA id 4ABC"),
        ({b"C": b""}, (), b"(mail.example.com [192.0.2.7])\n\tby localhost (MTA) with"),
        ({b"C": b"_\0mail.example.com [192.0.2.7] (may be forged)\0"}, (), b"[192.0.2.7] (may be forged))\n"),
        ({b"C": b"j\0mx\n.net\0"}, (), b"\n\tby mx?.net (MTA)"),
    ],
)
def test_the_received_header_is_that_of_postfix(macros, recipients, words):
    """The header that the MTA hides is written from what it says about the session."""
    one = message()
    for letter, values in macros.items():
        one.session.define(letter + values)
    for recipient in recipients:
        one.add_recipient(b"<%s>\0" % recipient)
    one.add_header(b"Subject\0 a\0")
    received = bytes(one.content).partition(b"\nSubject")[0]
    assert received.startswith(b"Received: from mail.example.com (")
    assert words in received


def test_a_name_that_postfix_could_not_confirm_is_unknown():
    """Postfix names such a client in a macro and to its filters otherwise than in its header."""
    one = message()
    one.session.connect(b"[192.0.2.7]\0004\0\x19192.0.2.7\0")
    one.session.define(b"C_\0mail.example.com [192.0.2.7] (may be forged)\0")
    one.add_header(b"Subject\0 a\0")
    assert bytes(one.content).startswith(b"Received: from mail.example.com (unknown [192.0.2.7])\n")


@pytest.mark.parametrize(
    ("client", "shown"),
    [
        (b"[192.0.2.7]\0004\0\x19192.0.2.7\0", b"unknown [192.0.2.7]"),
        (b"a.org\0006\0\x192001:db8::1\0", b"a.org [IPv6:2001:db8::1]"),
        (b"a.org\0006\0\x19IPv6:2001:db8::1\0", b"a.org [IPv6:2001:db8::1]"),
        (b"localhost\0L\0\0/run/socket\0", b"localhost"),
        (b"localhost\0U", b"localhost"),
    ],
)
def test_clients_of_every_family(client, shown):
    """The client is read from the connection, whether it has an address or not."""
    session = MilterSession(MilterOptions(2, 0x31, 0))
    session.connect(client)
    assert session.client == shown


def test_the_name_of_a_client_cannot_forge_the_header():
    """Brackets, quotes and line ends in the announced name are replaced, as Postfix does."""
    session = MilterSession(MilterOptions(6, 0x31, 0))
    session.announce(b'a.org (b [1.2.3.4])\n\tby "mx" <x>;@\\\0')
    assert session.helo == b"a.org??b?[1.2.3.4]???by??mx???x????"


# --- verdicts ------------------------------------------------------------------------------------------------------


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


def test_the_only_recipient_chooses_the_labels(tmp_path, classifier):
    """With labels per Maildir, those of the only recipient count, in any case; with several, the model decides."""
    for name in ("ann", "bob"):
        make(tmp_path / "vmail" / name)
    config = Config(
        maildirs=(MaildirConfig(f"{tmp_path}/vmail/*"),),
        learning=LearningConfig(labels=LabelScope.PER_MAILDIR, user_maildir=f"{tmp_path}/vmail/{{local}}"),
        milter=MilterConfig(listen=f"unix:{tmp_path}/m"),
    )

    def work(requests):
        # Label stores belong to the thread of the loop.
        if not labelled:
            raw = received + UNSURE
            labelled.append(running.stores.add_label(f"{tmp_path}/vmail/ann", raw, Label.SPAM, origin=Origin.COMMAND))
        requests.work()

    labelled = []
    received = b"Received: from mail.example.com (mail.example.com [192.0.2.7]) by mx.example.net with ESMTP id 4A\r\n"
    with (
        listening(tmp_path / "state", classifier, config, work=work) as running,
        connected_mta(f"{tmp_path}/m") as mta,
    ):
        mta.negotiate()
        mta.connect()
        recipients = [
            (b"ann@x.org",),
            (b"Ann@X.org",),
            (b"bob@x.org",),
            (b"ann@x.org", b"bob@x.org"),
            (b"../ann@x.org",),
            (),
        ]
        answers = [status_of(mta, UNSURE, recipients=one).split(",")[0] for one in recipients]
    assert labelled == [True]
    assert answers == ["Yes", "Yes", "No", "No", "No", "No"]


def test_the_body_is_never_changed(mta):
    """No answer replaces a body, a sender or a recipient."""
    for mail in (SPAM, HAM, UNSURE, FORGED):
        mta.content(mail, piece=7)
        assert {letter for letter, _ in mta.verdict()} <= {b"m", b"i", b"c"}


# --- bounds --------------------------------------------------------------------------------------------------------


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
    pause = threading.Event()
    with listening(tmp_path / "state", classifier, config), connected_mta(f"{tmp_path}/milter.sock") as mta:
        mta.negotiate()
        pause.wait(0.3)
        assert status_of(mta, SPAM).startswith("Yes")
        pause.wait(0.3)
        mta.content(SPAM)
        assert mta.answer() is None


def test_a_stop_ends_sessions(tmp_path, classifier, config):
    """At a stop, a message that was wholly received gets its verdict, and then all connections are closed."""
    held, asked = threading.Event(), threading.Event()

    def work(requests):
        asked.set()
        held.wait(PATIENCE)
        requests.work()

    answers = []
    with contextlib.ExitStack() as stack:
        with listening(tmp_path / "state", classifier, config, work=work):
            idle, busy = (stack.enter_context(connected_mta(f"{tmp_path}/milter.sock")) for _ in range(2))
            idle.negotiate()
            busy.negotiate()
            busy.content(SPAM)
            thread = threading.Thread(target=lambda: answers.extend(busy.verdict()))
            thread.start()
            assert asked.wait(PATIENCE)
            threading.Timer(0.05, held.set).start()
        thread.join(PATIENCE)
        assert added(answers)["X-Spam-Flag"] == "YES"
        assert (idle.answer(), busy.answer()) == (None, None)


def test_a_daemon_that_stops_classifying_lets_mail_pass(mta, running):
    """If no verdict is possible, the message passes with a header that says so."""
    running.requests.close()
    assert status_of(mta, SPAM) == "No, score=0.0 required=5.0 tests=SPAMLSTM_UNAVAILABLE"


# --- hostile packets -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory, classifier):
    """A listener for many connections."""
    folder = tmp_path_factory.mktemp("fuzz")
    with listening(folder / "state", classifier, Config(milter=MilterConfig(listen=f"unix:{folder}/m"))) as one:
        yield one, f"{folder}/m"


OPTIONS = packet(b"O", struct.pack("!III", 6, 0x1FF, 0))
DATA = st.one_of(
    st.binary(max_size=30),
    st.lists(st.sampled_from(["a", "<b>", "X-Spam-Flag", "i", "_", "", "SMTPUTF8", "\r\n"]), max_size=4).map(
        lambda words: "".join(f"{word}\0" for word in words).encode()
    ),
    st.just(CLIENT),
)
PACKETS = st.builds(packet, st.sampled_from([bytes([one]) for one in b"ABCDEHKLMNORTUQz"]), DATA)


@pytest.mark.parametrize("letter", [b"A", b"M", b"U"])
def test_many_packets_do_not_keep_others_waiting(letter):
    """Of a client that has sent many small packets, only some are read before other clients have a turn."""
    turns = [0]

    class Client:
        is_last = False
        received = bytearray(OPTIONS + packet(letter) * 2000)

        async def send(self, answer):
            """Take an answer without waiting."""

        def limit(self, *, idle, total):
            """Set no limit."""

        def release_room(self):
            """Release nothing."""

        async def receive(self):
            return False

    async def others():
        while True:
            await asyncio.sleep(0)
            turns[0] += 1

    async def both():
        task = asyncio.create_task(others())
        await milter.serve_milter(Client(), config=MilterConfig())
        task.cancel()

    asyncio.run(both())
    assert turns[0] >= 2000 // milter.PACKETS_AT_ONCE - 1


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    request_=st.one_of(
        st.binary(max_size=60), st.lists(PACKETS, max_size=12).map(lambda some: OPTIONS + b"".join(some))
    )
)
@example(request_=OPTIONS + packet(b"E") * 3)
@example(request_=OPTIONS + packet(b"D") + packet(b"H") + packet(b"R") + packet(b"M") + packet(b"E"))
def test_any_bytes_get_answers_and_no_exception(fuzzed, request_):
    """Whatever is sent, the answers are packets of the protocol, and the connection is closed without an error."""
    one, path = fuzzed
    answers = exchange(path, request_)
    while answers:
        (length,) = struct.unpack("!I", answers[:4])
        assert answers[4:5] in b"Ocmiy"
        assert len(answers) >= 4 + length
        answers = answers[4 + length :]
    assert one.listeners.snapshot()["milter"]["errors"] == 0
