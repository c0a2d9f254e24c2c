"""Labelled mail is read in order from archives, folders and mboxes; damage is an error with a clear message."""

import io
import os
import tarfile
import tempfile
from functools import partial
from pathlib import Path

import pytest

from spamlstm.corpus import labelled_mail
from spamlstm.corpus.paths import MOST_BYTES
from spamlstm.errors import DataError, NoInputError, OutputError

HEADER = "id\tlabel\tsource\tdate\n"


def archive(path: Path, members: list[tuple[str, bytes]], mode: str = "w:xz") -> Path:
    with tarfile.open(path, mode) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def index(*lines: str) -> bytes:
    return (HEADER + "".join(f"{line}\n" for line in lines)).encode()


def mail(number: int) -> bytes:
    return b"Subject: %d\n\nbody %d\n" % (number, number)


THREE = index("a\tspam\tmine/x\t2020-01-01", "b\tham\tmine/y\t2020-01-02", "c\tham\t\t")
MAILS = [("mail/a.eml", mail(1)), ("mail/b.eml", mail(2)), ("mail/c.eml", mail(3))]


@pytest.mark.parametrize(("suffix", "mode"), [("tar.xz", "w:xz"), ("tar.gz", "w:gz"), ("tar", "w")])
@pytest.mark.parametrize(
    "members",
    [
        [("index.tsv", THREE), *MAILS],
        [*MAILS, ("index.tsv", THREE)],
        [("./mail/c.eml", mail(3)), ("./index.tsv", THREE), ("./mail/b.eml", mail(2)), ("./mail/a.eml", mail(1))],
        [("top/index.tsv", THREE), *((f"top/{name}", raw) for name, raw in MAILS), ("top/README", b"hello")],
    ],
    ids=["index first", "index last", "shuffled", "in a folder"],
)
def test_archive_in_any_order_is_read_in_the_order_of_its_index(
    tmp_path: Path, members: list[tuple[str, bytes]], suffix: str, mode: str
) -> None:
    """The order is that of the index, wherever in the archive the index and the mail are."""
    path = archive(tmp_path / f"some.{suffix}", members, mode)
    assert list(labelled_mail.read_labelled(path)) == [
        labelled_mail.Labelled("a", "spam", "mine/x", "2020-01-01", mail(1)),
        labelled_mail.Labelled("b", "ham", "mine/y", "2020-01-02", mail(2)),
        labelled_mail.Labelled("c", "ham", "some", "", mail(3)),
    ]


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize(("suffix", "mode"), [("tar.xz", "w:xz"), ("tar.gz", "w:gz"), ("tar", "w")])
def test_truncated_archive(tmp_path: Path, suffix: str, mode: str, kept: float) -> None:
    """Reading a truncated archive to its end is an error, wherever it ends."""
    noise = [(f"mail/{n}.eml", bytes((n * 7 + k * k) % 251 for k in range(3000))) for n in range(9)]
    lines = index(*(f"{n}\tham\ts\t" for n in range(9)))
    whole = archive(tmp_path / "whole", [("index.tsv", lines), *noise], mode).read_bytes()
    path = tmp_path / f"cut.{suffix}"
    end = len(whole) if mode != "w" else 512 * (2 + 9 * 7)  # only padding follows in a plain tar
    path.write_bytes(whole[: int(end * kept)])
    with pytest.raises(DataError, match=r"cut\.tar"):
        list(labelled_mail.read_labelled(path))


@pytest.mark.parametrize("kind", ["archive", "folder"])
def test_large_messages_are_truncated(tmp_path: Path, kind: str) -> None:
    """Of a message of any size, an archive or a folder with an index reads as much as of a single file."""
    size = MOST_BYTES + (2 << 20)
    lines = index("a\tspam\ts\t", "b\tham\ts\t")
    if kind == "archive":
        with tarfile.open(tmp_path / "large.tar", "w") as out, (tmp_path / "zeros").open("wb+") as zeros:
            zeros.truncate(size)
            for name, content in (("mail/b.eml", zeros), ("index.tsv", io.BytesIO(lines)), ("mail/a.eml", zeros)):
                member = tarfile.TarInfo(name)
                member.size = content.seek(0, io.SEEK_END)
                content.seek(0)
                out.addfile(member, content)
        path = tmp_path / "large.tar"
    else:
        path = tmp_path
        (path / "mail").mkdir()
        (path / "index.tsv").write_bytes(lines)
        for name in "ab":
            with (path / "mail" / f"{name}.eml").open("wb") as out:
                out.truncate(size)
    assert [len(one.raw) for one in labelled_mail.read_labelled(path)] == [MOST_BYTES + 1] * 2


@pytest.mark.parametrize("kind", ["archive", "folder"])
def test_an_index_that_is_too_large_is_refused(tmp_path: Path, kind: str) -> None:
    """An index that would not fit into memory is an error that names the index. It is not read."""
    path = tmp_path / "large.tar" if kind == "archive" else tmp_path
    if kind == "archive":
        member = tarfile.TarInfo("index.tsv")
        member.size = labelled_mail.MOST_INDEX_BYTES + 1
        path.write_bytes(member.tobuf())
    else:
        with (path / "index.tsv").open("wb") as out:
            out.truncate(labelled_mail.MOST_INDEX_BYTES + 1)
    with pytest.raises(DataError, match=r"index\.tsv: is larger than 512 MiB"):
        list(labelled_mail.read_labelled(path))


def test_member_missing_from_an_archive_is_named(tmp_path: Path) -> None:
    """The error names the first message of the index that the archive lacks."""
    with pytest.raises(DataError, match=r"mail/b\.eml"):
        list(labelled_mail.read_labelled(archive(tmp_path / "x.tar.xz", [("index.tsv", THREE), MAILS[0], MAILS[2]])))


@pytest.mark.parametrize("is_full", [False, True])
def test_temporary_files_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_full: bool
) -> None:
    """The error names the folder of temporary files, and the variable that names another."""
    path = archive(tmp_path / "some.tar", [*MAILS, ("index.tsv", THREE)], "w")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path if is_full else tmp_path / "missing"))
    if is_full:
        monkeypatch.setattr(tempfile, "TemporaryFile", partial(open, "/dev/full", "wb+"))
    with pytest.raises(OutputError, match=f"{path}: a temporary file cannot be written to {tempfile.tempdir} .*TMPDIR"):
        list(labelled_mail.read_labelled(path))


def test_archive_without_index_says_so(tmp_path: Path) -> None:
    """An archive without an index is refused, and the error names the index."""
    with pytest.raises(DataError, match=r"has no index\.tsv"):
        list(labelled_mail.read_labelled(archive(tmp_path / "x.tar.xz", MAILS)))


def test_file_that_is_no_archive(tmp_path: Path) -> None:
    """A picture named like an archive, an empty file, an empty folder and a text are a DataError of one line each."""
    (tmp_path / "x.tar.xz").write_bytes(b"\xff\xd8\xff\xe0 JFIF" * 100)
    (tmp_path / "empty.tar").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("hello")
    for name in ("x.tar.xz", "empty.tar", "folder", "notes.txt"):
        with pytest.raises(DataError, match=name) as raised:
            list(labelled_mail.read_labelled(tmp_path / name))
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (index("a\tjunk\ts\t"), "line 2"),
        (index("a\tham\ts\t", "b"), "line 3"),
        (index("a\tham\ts\t", "a\tspam\ts\t"), "twice"),
        (index("\tham\ts\t"), "empty"),
        (index(), "no message"),
        (b"", "first line"),
        (b"\xff\xfe\x00", "first line"),
    ],
)
def test_bad_index_names_the_line(tmp_path: Path, content: bytes, word: str) -> None:
    """The error names the line of the index that is wrong."""
    with pytest.raises(DataError, match=word):
        list(labelled_mail.read_labelled(archive(tmp_path / "x.tar.xz", [("index.tsv", content), *MAILS])))


def test_missing_path_is_known_before_reading(tmp_path: Path) -> None:
    """A mistyped path is an error of the call, before anything else is loaded."""
    with pytest.raises(NoInputError, match="nowhere"):
        labelled_mail.read_labelled(tmp_path / "nowhere")
    with pytest.raises(NoInputError, match="nowhere"):
        labelled_mail.read_labelled(tmp_path / "nowhere:ham")


def test_folder_with_an_index(tmp_path: Path) -> None:
    """An extracted archive is read like the archive; the error names a missing file."""
    (tmp_path / "mail").mkdir()
    (tmp_path / "index.tsv").write_bytes(THREE)
    for name, raw in MAILS:
        (tmp_path / name).write_bytes(raw)
    assert [(one.id, one.label, one.raw) for one in labelled_mail.read_labelled(tmp_path)] == [
        ("a", "spam", mail(1)),
        ("b", "ham", mail(2)),
        ("c", "ham", mail(3)),
    ]
    (tmp_path / "mail/b.eml").unlink()
    with pytest.raises(DataError, match=r"b\.eml"):
        list(labelled_mail.read_labelled(tmp_path))


def test_folder_sorted_by_label(tmp_path: Path) -> None:
    """Mail of ham/ and spam/ is read from files, Maildirs and mboxes at any depth, once; other files are skipped."""
    for folder in ("ham/deep/er", "ham/box/cur", "ham/box/new", "ham/box/tmp", "ham/box/.Sub/cur", "ham/box/.Sub/new"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "spam").mkdir()
    (tmp_path / "ham/deep/er/1.eml").write_bytes(mail(1))
    (tmp_path / "ham/box/cur/2:2,S").write_bytes(b"From someone Mon Jan  1 00:00:00 2024\n" + mail(2))
    (tmp_path / "ham/box/tmp/3").write_bytes(mail(3))
    (tmp_path / "ham/box/dovecot-uidlist").write_bytes(b"1")
    (tmp_path / "ham/box/.Sub/new/4").write_bytes(mail(4))
    (tmp_path / "ham/deep/.hidden").write_bytes(mail(5))
    (tmp_path / "ham/deep/cmds").write_bytes(b"mv a b\n")
    os.mkfifo(tmp_path / "ham/deep/pipe")
    (tmp_path / "ham/deep/loop").symlink_to(tmp_path / "ham")
    (tmp_path / "spam/old").write_bytes(
        b"From a Mon Jan  1 00:00:00 2024\n" + mail(6) + b"\nFrom b 1:02 2024\n" + mail(7)
    )
    found = {one.id: one for one in labelled_mail.read_labelled(tmp_path)}
    assert set(found) == {"ham/deep/er/1.eml", "ham/box/cur/2:2,S", "ham/box/.Sub/new/4", "spam/old#1", "spam/old#2"}
    assert {one.source for one in found.values()} == {tmp_path.name}
    assert [one.label for one in found.values()] == ["ham"] * 3 + ["spam"] * 2
    assert found["spam/old#2"].raw == mail(7)


def test_mbox_by_label(tmp_path: Path) -> None:
    """A label after the name of an mbox holds for all its mail; '>From ' is unquoted, text with 'From ' stays."""
    box = tmp_path / "in:box"
    body = b"Subject: x\n\nFrom here on it is text.\n>From the start\n>>From twice\n"
    box.write_bytes(b"From a@b Mon Jan  1 00:00:00 2024\n" + body + b"\nFrom c@d Tue Jan  2 00:00:00 2024\n" + mail(2))
    first, second = labelled_mail.read_labelled(Path(f"{box}:spam"))
    assert first.raw == b"Subject: x\n\nFrom here on it is text.\nFrom the start\n>From twice\n"
    assert (second.id, second.label, second.source, second.raw) == ("in:box#2", "spam", "in:box", mail(2))
    assert [one.label for one in labelled_mail.read_labelled(Path(f"{box}:ham"))] == ["ham", "ham"]
    with pytest.raises(NoInputError, match=":junk"):
        labelled_mail.read_labelled(Path(f"{box}:junk"))


def test_archive_takes_no_label(tmp_path: Path) -> None:
    """An archive with ':ham' after its name is an error; it is not read as one message."""
    path = archive(tmp_path / "x.tar.xz", [("index.tsv", THREE), *MAILS])
    with pytest.raises(DataError, match="its own labels"):
        labelled_mail.read_labelled(Path(f"{path}:ham"))


def test_path_without_mail(tmp_path: Path) -> None:
    """A labelled folder without mail is an error, and no empty corpus."""
    (tmp_path / "ham").mkdir()
    with pytest.raises(DataError, match="no mail"):
        list(labelled_mail.read_labelled(tmp_path))


@pytest.mark.parametrize("first", [True, False])
def test_count(tmp_path: Path, *, first: bool) -> None:
    """The number of messages is known before reading only if the index comes first."""
    members = [("index.tsv", THREE), *MAILS]
    path = archive(tmp_path / "x.tar.xz", members if first else members[::-1])
    assert labelled_mail.count_labelled(path) == (3 if first else None)
    assert labelled_mail.count_labelled(tmp_path) is None
    assert labelled_mail.count_labelled(tmp_path / "nowhere") is None
