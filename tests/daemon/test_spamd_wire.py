"""The listener for spamd's protocol, compared with what spamd itself answered to the same bytes."""

import re
import zlib

import pytest
from listening import exchange, listening
from spamd_wire import exchanges, form
from tiny_bundle import SPAM

from spamlstm.config import Config, SpamdConfig

# No daemon answered in these cases, or spamd waited for more bytes until the client gave up.
# Labels of a class other than ham or spam are stored as ham by spamd. Here they change nothing.
WITHOUT_SPAMD = ("hungup", "silent", "raw-length-too-large-open")
DIFFERENT = {"raw-tell-class-other"}


@pytest.fixture(scope="module")
def address(tmp_path_factory, classifier):
    folder = tmp_path_factory.mktemp("spamd")
    config = Config(spamd=SpamdConfig(listen=f"unix:{folder}/spamd.sock", allow_tell=True))
    with listening(folder / "state", classifier, config):
        yield f"{folder}/spamd.sock"


def test_every_recorded_request_gets_an_answer_of_the_recorded_form(address):
    """For each request of the recordings, in order, the answer has the form of spamd's answer."""
    different = set()
    for one in exchanges():
        if one.request is None or one.name.startswith(WITHOUT_SPAMD):
            continue
        answer = exchange(address, one.request)
        command = one.request.split(b" ")[0]
        head, _, mail = one.request.partition(b"\r\n\r\n")
        if b" SPAMC/1.0" in head:
            mail = one.request.partition(b"\r\n")[2]
        if b"Compress: zlib" in head and not one.name.endswith("broken"):
            mail = zlib.decompress(mail)
        ours, theirs = (form(bytes(text), command=command, mail=mail) for text in (answer, one.response))
        if ours != theirs:
            different.add(one.name)
            print(one.name, ours, theirs, sep="\n    ")  # noqa: T201  shown if the test fails
    assert different == DIFFERENT


@pytest.mark.parametrize(
    ("request_line", "start"),
    [
        (b"REPORT SPAMC/1.2", rb"SPAMD/1\.1 0 EX_OK\r\nSpam: True ; \d+\.\d / 5\.0\r\n\r\n[^\r\n]"),
        (b"REPORT_IFSPAM SPAMC/1.2", rb"SPAMD/1\.1 0 EX_OK\r\nSpam: Yes ; \d+\.\d / 5\.0\r\n\r\n[^\r\n]"),
        (b"SYMBOLS SPAMC/1.2", rb"SPAMD/1\.1 0 EX_OK\r\nSpam: True ; \d+\.\d / 5\.0\r\n\r\nSPAMLSTM_SCORE\r\n\Z"),
        (b"CHECK SPAMC/1.2", rb"SPAMD/1\.1 0 EX_OK\r\nSpam: True ; \d+\.\d / 5\.0\r\n\r\n\Z"),
        (b"PROCESS SPAMC/1.2", rb"SPAMD/1\.1 0 EX_OK\r\nContent-length: \d+\r\n\r\nX-Spam-Flag: YES\r\n"),
        (b"PROCESS SPAMC/1.1", rb"SPAMD/1\.0 0 EX_OK\r\nX-Spam-Flag: YES\r\n"),
    ],
)
def test_clients_of_older_protocols(address, request_line, start):
    """Clients before version 1.3, such as Exim, get the answers that spamd 4.0.1 has for them.

    The recordings have no such client. The forms are those of the program text of spamd (`check`).
    """
    answer = exchange(address, b"%s\r\nContent-length: %d\r\n\r\n%s" % (request_line, len(SPAM), SPAM))
    assert re.match(start, answer), answer[:200]


@pytest.mark.parametrize("version", ["1.0", "1.2", "1.4"])
def test_an_old_ping_has_no_headers(address, version):
    """Before version 1.5, PING is one line, as monit and other health checks send it. They wait for the answer."""
    assert exchange(address, f"PING SPAMC/{version}\r\n".encode(), half_close=False) == b"SPAMD/1.5 0 PONG\r\n"
