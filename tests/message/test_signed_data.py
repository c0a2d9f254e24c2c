"""The content of mail that is signed as one block (S/MIME) is read as if it were signed beside its text."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.features.render import render
from spamlstm.message.message import parse_message
from spamlstm.message.signed_data import signed_content

HEAD = b"From: Anna Bell <anna@example.org>\nTo: b@example.net\nSubject: board\nMIME-Version: 1.0\n"
BLOCK = b"Content-Type: %s; name=smime.p7m\nContent-Transfer-Encoding: base64\n\n%s"
TEXT = "The board meets on Thursday at ten, in the small room on the second floor."
CONTENT = (
    f"Content-Type: text/plain; charset=utf-8\r\n\r\n{TEXT}\r\nPlease bring the minutes of the last meeting.\r\n"
).encode()
# Made by `openssl cms -sign -binary -nodetach -nocerts -noattr`, and with -stream: lengths are then indefinite.
WHOLE = b"""\
MIIBcAYJKoZIhvcNAQcCoIIBYTCCAV0CAQExDTALBglghkgBZQMEAgEwgbcGCSqG
SIb3DQEHAaCBqQSBpkNvbnRlbnQtVHlwZTogdGV4dC9wbGFpbjsgY2hhcnNldD11
dGYtOA0KDQpUaGUgYm9hcmQgbWVldHMgb24gVGh1cnNkYXkgYXQgdGVuLCBpbiB0
aGUgc21hbGwgcm9vbSBvbiB0aGUgc2Vjb25kIGZsb29yLg0KUGxlYXNlIGJyaW5n
IHRoZSBtaW51dGVzIG9mIHRoZSBsYXN0IG1lZXRpbmcuDQoxgY4wgYsCAQEwJDAM
MQowCAYDVQQDDAFhAhRWwd0miyIrbZ9wGtkJtLpMTPQ4JDALBglghkgBZQMEAgEw
CgYIKoZIzj0EAwIERzBFAiEA4afQ2TiR1E5t5bOXUSu9dkLmFMKsTjjBORYICPQk
nLMCIFXpGuZbvsBPH5kNtFmgJmU6MZlX4/B3b3veAzd9pGT8
"""
STREAMED = b"""\
MIAGCSqGSIb3DQEHAqCAMIACAQExDTALBglghkgBZQMEAgEwgAYJKoZIhvcNAQcB
oIAkgASBpkNvbnRlbnQtVHlwZTogdGV4dC9wbGFpbjsgY2hhcnNldD11dGYtOA0K
DQpUaGUgYm9hcmQgbWVldHMgb24gVGh1cnNkYXkgYXQgdGVuLCBpbiB0aGUgc21h
bGwgcm9vbSBvbiB0aGUgc2Vjb25kIGZsb29yLg0KUGxlYXNlIGJyaW5nIHRoZSBt
aW51dGVzIG9mIHRoZSBsYXN0IG1lZXRpbmcuDQoAAAAAAAAxgY4wgYsCAQEwJDAM
MQowCAYDVQQDDAFhAhRWwd0miyIrbZ9wGtkJtLpMTPQ4JDALBglghkgBZQMEAgEw
CgYIKoZIzj0EAwIERzBFAiBi22be/A0184WLM/BjZDeoNJZwL4nuJdlPmCjJtZqP
iQIhAKPZLLun4ck9rECWzlUU93TkujgZcqGyMdZEQwEENNa4AAAAAAAA
"""
# Made by `openssl cms -encrypt`, cut.
ENCRYPTED = b"""\
MIIBPgYJKoZIhvcNAQcDoIIBLzCCASsCAQIxgbehgbQCAQOgUaFPMAkGByqGSM49
AgEDQgAEX662a0GuDBSNTqBHP3xQnZ2zxiIb/H+i8NI6gqx/xz3e69dvzs3KqJBZ
"""
BLOCKS = pytest.mark.parametrize("block", [WHOLE, STREAMED], ids=["whole", "streamed"])


def length(content: bytes) -> bytes:
    size = len(content)
    return bytes([size]) if size < 128 else bytes([0x84]) + size.to_bytes(4, "big")


def element(tag: int, *content: bytes) -> bytes:
    inside = b"".join(content)
    return bytes([tag]) + length(inside) + inside


def signed(content: bytes) -> bytes:
    """Return CMS SignedData without signatures."""
    data = element(0x30, bytes.fromhex("06092a864886f70d010701"), element(0xA0, element(4, content)))
    body = element(0x30, element(2, b"\1"), element(0x31), data, element(0x31))
    return element(0x30, bytes.fromhex("06092a864886f70d010702"), element(0xA0, body))


def opaque(block: bytes, mime_type: bytes = b"application/pkcs7-mime; smime-type=signed-data") -> bytes:
    return HEAD + BLOCK % (mime_type, block)


@BLOCKS
def test_the_letter_is_read(block):
    """The text of a signed block is that of the same letter signed in a part of its own, and so are its facts."""
    clear = (
        HEAD
        + b"Content-Type: multipart/signed; boundary=b\n\n--b\n"
        + CONTENT
        + b"\n--b\nContent-Type: application/pkcs7-signature; name=smime.p7m\n\nx\n--b--\n"
    )
    one, other = parse_message(opaque(block)), parse_message(clear)
    assert one.text.split() == other.text.split()
    assert not one.defects
    facts = [render(message).partition("⟦from⟧")[0] for message in (one, other)]
    assert facts[0] == facts[1]
    assert "⟦unread:encrypted⟧" not in facts[0]


@pytest.mark.parametrize("mime_type", [b"application/x-pkcs7-mime", b"Application/PKCS7-Mime; smime-type=signed-data"])
def test_all_names_of_the_type(mime_type):
    """The older name of the type, and capital letters, mean the same."""
    assert TEXT in parse_message(opaque(WHOLE, mime_type)).text


@given(st.integers(0, 600), st.sampled_from([WHOLE, STREAMED]))
def test_a_block_that_is_cut(place, block):
    """A cut block gives the content as far as it goes, or nothing."""
    assert CONTENT.startswith(signed_content(base64.b64decode(block)[:place]))


@given(st.binary(max_size=300), st.integers(0, 80), st.binary(min_size=1, max_size=4))
def test_other_bytes_are_no_content(noise, place, change):
    """Neither noise nor a damaged block raises an exception."""
    assert isinstance(signed_content(noise), bytes)
    data = base64.b64decode(STREAMED)
    assert isinstance(signed_content(data[:place] + change + data[place + len(change) :]), bytes)


@given(st.binary(max_size=70_000))
def test_content_of_any_length(content):
    """The content is returned byte for byte."""
    assert signed_content(signed(content)) == content


def test_encrypted_mail_is_not_read():
    """An encrypted block has no text, and the fact says that it is encrypted."""
    message = parse_message(opaque(ENCRYPTED, b"application/pkcs7-mime; smime-type=enveloped-data"))
    assert not message.text.strip()
    assert "⟦unread:encrypted⟧" in render(message)


def test_a_signed_block_beside_a_letter_is_secondary():
    """A letter keeps its place before the text of a signed block that is attached to it."""
    letter = b"Dear Anna, I forward what the board has sent, so that you know when it meets. " * 4
    raw = HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\n" + letter + b"\n--b\n"
    message = parse_message(raw + BLOCK % (b"application/pkcs7-mime", WHOLE) + b"\n--b--\n")
    assert TEXT in message.secondary
    assert "Dear Anna" not in message.secondary


def test_blocks_in_blocks_are_bounded():
    """A block in a block is read. With a hundred, the reader stops, and says so."""
    raw = CONTENT
    for depth in range(100):
        raw = b"Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: base64\n\n" + base64.b64encode(
            signed(raw)
        )
        if depth == 1:
            assert TEXT in parse_message(HEAD + raw).text
        if len(raw) > 500_000:
            break
    assert "too many messages" in parse_message(HEAD + raw).defects


def test_the_name_of_a_block_counts_if_its_type_is_unknown():
    """A signed block that is sent as data is read, as its name is that of a signed block."""
    raw = HEAD + (BLOCK % (b"application/octet-stream", WHOLE))
    assert parse_message(raw).text.startswith(TEXT)


@pytest.mark.parametrize(
    "content", [b"%PDF-1.4\n%\xe2\xe3\n1 0 obj: x\n", b"<p:Invoice><Number>7</Number></p:Invoice>"]
)
def test_a_signed_file_is_no_text(content):
    """A file that is signed as one block, as invoices in Italy are, is a file and not text."""
    block = b'Content-Type: application/pkcs7-mime; name="invoice.p7m"\nContent-Transfer-Encoding: base64\n\n%s' % (
        base64.encodebytes(signed(content))
    )
    letter = b"Content-Type: text/plain\n\n" + TEXT.encode()
    raw = HEAD + b"Content-Type: multipart/mixed; boundary=x\n\n--x\n%s\n--x\n%s\n--x--\n" % (letter, block)
    message = parse_message(raw)
    assert (message.text, [part.name for part in message.attachments]) == (TEXT, ["invoice.p7m"])
