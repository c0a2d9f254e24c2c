"""Compressed messages are read within bounds, and everything else stays as it is."""

import gzip
import lzma
import subprocess
import sys
import zlib

import pytest
from compressed import ALL, STANDARD
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.message import compression
from spamlstm.message.compression import compression_defect, decompressed, is_compressed, missing_package

MAIL = b"From: ann@x.org\nSubject: hello\n\n" + b"How are you today, dear friend?\n" * 5000
MOST = 1 << 20

formats = pytest.mark.parametrize("compress", ALL)


@formats
@pytest.mark.parametrize("content", [MAIL, b"x", bytes(range(256)) * 1000], ids=["mail", "short", "binary"])
def test_compressed_mail_is_read(compress, content):
    """The result is the plain message, whatever it was compressed with."""
    assert is_compressed(compress(content))
    assert decompressed(compress(content), most=MOST) == content


@formats
def test_a_limit_ends_a_bomb(compress):
    """At most one byte more than the limit is returned, so that callers notice what was cut."""
    bomb = compress(bytes(8 * MOST))
    assert len(bomb) < MOST
    assert decompressed(bomb, most=MOST) == bytes(MOST + 1)
    assert decompressed(compress(bytes(MOST)), most=MOST) == bytes(MOST)


@formats
@pytest.mark.parametrize("cut", [1, 5, 40])
def test_truncated_data_stays_as_it_is(compress, cut):
    """A message without its end is not half a message: the bytes are returned, and the defect says why."""
    raw = compress(MAIL)[:-cut]
    assert decompressed(raw, most=MOST) is raw
    assert "damaged" in compression_defect(raw)
    assert missing_package(raw) is None


@pytest.mark.parametrize("compress", ALL[:-1])
def test_no_beginning_is_taken_for_the_whole(compress):
    """Wherever the data ends too early, the bytes are returned as they are."""
    raw = compress(MAIL[:500])
    assert all(decompressed(part, most=MOST) is part for part in (raw[:end] for end in range(len(raw))))


def test_xz_does_not_get_the_memory_that_it_asks_for():
    """A header that asks for 4 GiB is refused before any memory is taken."""
    raw = bytearray(lzma.compress(MAIL))
    end = 12 + (raw[12] + 1) * 4
    raw[16] = 40  # the size of the dictionary in the header of the first block
    raw[end - 4 : end] = zlib.crc32(raw[12 : end - 4]).to_bytes(4, "little")
    assert decompressed(bytes(raw), most=MOST) == raw
    assert "too large" in compression_defect(bytes(raw))
    with pytest.raises(lzma.LZMAError, match="Memory usage limit"):
        lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=100 << 20).decompress(bytes(raw))


@formats
@given(data=st.data())
def test_damage_never_raises(compress, data):
    """Whatever bytes change, the result is bytes within the limit."""
    raw = bytearray(compress(MAIL[:2000]))
    for at in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=4)):
        raw[at] = data.draw(st.integers(0, 255))
    assert len(decompressed(bytes(raw), most=4000)) <= 4001


@pytest.mark.parametrize("compress", ALL[:-1])
def test_several_members(compress):
    """Members and frames in a row are one message, and what follows the last is ignored; too many are refused."""
    assert decompressed(compress(MAIL) + compress(b"end\n"), most=MOST) == MAIL + b"end\n"
    assert decompressed(compress(MAIL) + bytes(100), most=MOST) == MAIL
    many = compress(b"") * 2000
    assert decompressed(many, most=MOST) is many


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"BZ",
        b"BZh9: a header\nFrom: ann@x.org\n\nhello\n",
        b"\x1f\x8b\x08From: ann@x.org\n\nhello\n",
        b"\x28\xb5\x2f\xfdFrom: ann@x.org\n\nhello\n",
        b"\x04\x22\x4d\x18From: ann@x.org\n\nhello\n",
        b"Dovecot-LZ4: yes\nFrom: ann@x.org\n\nhello\n",
        b"Dovecot-LZ4\r*\x9b\xc5" + b"\xff" * 40,
        MAIL,
    ],
)
def test_plain_mail_stays_as_it_is(raw):
    """Mail that begins like compressed data is not changed."""
    assert decompressed(raw, most=MOST) is raw


@pytest.mark.parametrize(
    ("raw", "package"),
    [(b"\x28\xb5\x2f\xfdx", "zstandard"), (b"\x04\x22\x4d\x18x", "lz4"), (b"Dovecot-LZ4\r*\x9b\xc5x", "lz4")],
)
def test_a_missing_package_is_named(monkeypatch, raw, package):
    """Without its package a message stays as it is, and the defect says what to install."""
    for name in ("zstandard", "compression.zstd", "lz4", "lz4.frame", "lz4.block"):
        monkeypatch.setitem(sys.modules, name, None)
    assert decompressed(raw, most=MOST) is raw
    assert f"install the package {package}, or spamlstm[compressed]" in missing_package(raw)
    assert compression_defect(raw) == missing_package(raw)
    assert missing_package(gzip.compress(b"x")) is None


@pytest.mark.parametrize("compress", STANDARD[1:2])
def test_bzip2_takes_too_long_to_be_read_at_any_size(monkeypatch, compress):
    """Much bzip2 data is refused before it is decompressed."""
    monkeypatch.setattr(compression, "_MOST_BZIP2", 100)
    raw = compress(bytes(range(256)) * 4)
    assert decompressed(raw, most=MOST) is raw
    assert "too large" in compression_defect(raw)


def test_nothing_is_loaded_for_plain_mail():
    """No decompressor is imported before a compressed message is found."""
    code = (
        "import sys; from spamlstm.message.compression import decompressed; decompressed(b'From: a', most=9);"
        "print({'bz2', 'lzma', 'zstandard', 'lz4'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
