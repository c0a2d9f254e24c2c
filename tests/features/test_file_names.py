"""The name of an attached file shows its kind, or that it hides it."""

import pytest
from hostile_text import limit
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.features.file_names import FILE_KINDS, file_kinds


@pytest.mark.parametrize(
    ("name", "mime_type", "kinds"),
    [
        ("invoice.pdf", "application/octet-stream", ["document"]),
        ("invoice.PDF. ", "application/octet-stream", ["document"]),
        ("", "application/pdf", ["document"]),
        ("scan", "image/png", ["image"]),
        ("notes.xyz", "text/plain", ["other"]),
        ("prices.xlsm", "application/octet-stream", ["macros"]),
        ("setup.exe", "application/octet-stream", ["program"]),
        ("invoice.pdf.exe", "application/octet-stream", ["program", "disguised"]),
        ("invoice.pdf .html", "text/html", ["page", "disguised"]),
        ("photo\u202egpj.exe", "application/octet-stream", ["program", "disguised"]),
        ("invoice" + " " * 40 + ".exe", "application/octet-stream", ["program", "disguised"]),
        ("invoice.pdf.exe" + " " * 600, "application/octet-stream", ["program", "disguised"]),
        ("invoice" + " " * 40 + ".exe. ", "application/octet-stream", ["program", "disguised"]),
        ("invoice.pdf\u200b.exe", "application/octet-stream", ["program", "disguised"]),
        ("invoice.PDF____.html", "text/html", ["page", "disguised"]),
        ("data.csv.exe", "application/octet-stream", ["program", "disguised"]),
        ("archive.zip.js", "application/octet-stream", ["program", "disguised"]),
        ("film.mp4.scr", "application/octet-stream", ["program", "disguised"]),
        ("invoice" + "\u2003" * 40 + ".exe", "application/octet-stream", ["program", "disguised"]),
        ("invoice" + "\u3164" * 40 + ".exe", "application/octet-stream", ["program", "disguised"]),
        ("photo\u202bgpj.exe", "application/octet-stream", ["program", "disguised"]),
        ("tool.x64.exe", "application/octet-stream", ["program"]),
        ("report.2024.html", "text/html", ["page"]),
        ("coverage.txt.html", "text/html", ["page"]),
        ("logo.png.svg", "image/svg+xml", ["page"]),
        ("photos.jpg.zip", "application/zip", ["archive"]),
        ("letter.docx.pdf", "application/pdf", ["document"]),
    ],
)
def test_kinds(name, mime_type, kinds):
    """The ending decides the kind, then the type. A program or page behind the ending of a document is disguised."""
    assert list(file_kinds(name, mime_type)) == kinds


PIECES = st.lists(
    st.sampled_from(["a", ".", " ", "_", ".pdf", ".exe", ".html", ".docm", "\u202e", "\u200b", " " * 300, "." * 300]),
    max_size=12,
)


@given(PIECES.map("".join), st.sampled_from(["", "image/png", "text/html"]))
def test_any_name(name, mime_type):
    """Every name has one kind of the list, and only a program or page is disguised."""
    first, *more = file_kinds(name, mime_type)
    assert first in FILE_KINDS
    assert more in ([], ["disguised"])
    assert not more or first in ("program", "page")


def test_a_long_gap_takes_linear_time():
    """A name of blanks of a megabyte is examined at once."""
    with limit(0.5):
        assert list(file_kinds("_" * 1_000_000 + "-.exe", "")) == ["program"]
