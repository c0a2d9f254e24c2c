"""The packets of the milter protocol, and the message and the Received header that are made of them."""

import itertools
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mta import CLIENT, STEPS, packet

from spamlstm.daemon.listeners.milter_message import MilterMessage, MilterSession
from spamlstm.daemon.listeners.milter_packets import BadPacketError, MilterOptions, take_packet


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
