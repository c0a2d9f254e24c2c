"""Many and arbitrary packets: each gets an answer of the milter protocol, and others do not wait."""

import asyncio
import struct

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from listening import exchange, listening
from mta import CLIENT, packet

from spamlstm.config import Config, MilterConfig
from spamlstm.daemon.listeners import milter


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
