"""The listener for spamd's protocol, compared with what spamd itself answered to the same bytes."""

import zlib

import pytest
from listening import exchange, listening
from spamd_wire import exchanges, form
from tiny_bundle import make

from spamlstm.config import Config, SpamdConfig
from spamlstm.model.classifier import Classifier

# No daemon answered in these cases, or spamd waited for more bytes until the client gave up.
# Labels of a class other than ham or spam are stored as ham by spamd. Here they change nothing.
WITHOUT_SPAMD = ("hungup", "silent", "raw-length-too-large-open")
DIFFERENT = {"raw-tell-class-other"}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spamd")
    classifier = Classifier.open(make(folder / "tiny"), personal_features=True)
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
