"""Labelled mail is read in its order from every shape it comes in, and damage is a sentence."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from spamlstm.corpus import labelled_mail
from spamlstm.errors import DataError, NoInputError

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
    """The stream order is the index's, wherever in the archive the index and the mail lie."""
    path = archive(tmp_path / f"some.{suffix}", members, mode)
    assert list(labelled_mail.read_labelled(path)) == [
        labelled_mail.Labelled("a", "spam", "mine/x", "2020-01-01", mail(1)),
        labelled_mail.Labelled("b", "ham", "mine/y", "2020-01-02", mail(2)),
        labelled_mail.Labelled("c", "ham", "some", "", mail(3)),
    ]


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize(("suffix", "mode"), [("tar.xz", "w:xz"), ("tar.gz", "w:gz"), ("tar", "w")])
def test_cut_archive_is_a_sentence(tmp_path: Path, suffix: str, mode: str, kept: float) -> None:
    """However an archive is cut short, reading it to the end says so and never passes it off as whole."""
    noise = [(f"mail/{n}.eml", bytes((n * 7 + k * k) % 251 for k in range(3000))) for n in range(9)]
    lines = index(*(f"{n}\tham\ts\t" for n in range(9)))
    whole = archive(tmp_path / "whole", [("index.tsv", lines), *noise], mode).read_bytes()
    path = tmp_path / f"cut.{suffix}"
    end = len(whole) if mode != "w" else 512 * (2 + 9 * 7)  # after it a plain tar has padding that nobody misses
    path.write_bytes(whole[: int(end * kept)])
    with pytest.raises(DataError, match=r"cut\.tar"):
        list(labelled_mail.read_labelled(path))


def test_member_missing_from_an_archive_is_named(tmp_path: Path) -> None:
    """An index that promises more than the archive holds names the first message that is not there."""
    with pytest.raises(DataError, match=r"mail/b\.eml"):
        list(labelled_mail.read_labelled(archive(tmp_path / "x.tar.xz", [("index.tsv", THREE), MAILS[0], MAILS[2]])))


def test_archive_without_index_says_so(tmp_path: Path) -> None:
    """An archive that is not a corpus is refused by the name of what it lacks."""
    with pytest.raises(DataError, match=r"has no index\.tsv"):
        list(labelled_mail.read_labelled(archive(tmp_path / "x.tar.xz", MAILS)))


def test_file_that_is_no_archive_is_a_sentence(tmp_path: Path) -> None:
    """A picture by the name of an archive, an empty file, a folder of nothing: DataError each."""
    (tmp_path / "x.tar.xz").write_bytes(b"\xff\xd8\xff\xe0 JFIF" * 100)
    (tmp_path / "empty.tar").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("hello")
    for name in ("x.tar.xz", "empty.tar", "folder", "notes.txt"):
        with pytest.raises(DataError, match=name):
            list(labelled_mail.read_labelled(tmp_path / name))


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
    """What is wrong with an index is said with the place where it is wrong."""
    with pytest.raises(DataError, match=word):
        list(labelled_mail.read_labelled(archive(tmp_path / "x.tar.xz", [("index.tsv", content), *MAILS])))


def test_missing_path_is_known_before_reading(tmp_path: Path) -> None:
    """A mistyped path is an error of the call, not of the first message, so that nothing is loaded in vain."""
    with pytest.raises(NoInputError, match="nowhere"):
        labelled_mail.read_labelled(tmp_path / "nowhere")
    with pytest.raises(NoInputError, match="nowhere"):
        labelled_mail.read_labelled(tmp_path / "nowhere:ham")


def test_folder_with_an_index(tmp_path: Path) -> None:
    """An extracted archive reads as the archive does; a file it lacks is named."""
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
    """ham/ and spam/ hold files, Maildirs and mboxes at any depth; each folder is read once, other files never."""
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
    (tmp_path / "spam/old").write_bytes(b"From a Mon Jan  1 00:00:00 2024\n" + mail(6) + b"\nFrom b 1:02\n" + mail(7))
    found = {one.id: one for one in labelled_mail.read_labelled(tmp_path)}
    assert set(found) == {"ham/deep/er/1.eml", "ham/box/cur/2:2,S", "ham/box/.Sub/new/4", "spam/old#1", "spam/old#2"}
    assert {one.source for one in found.values()} == {tmp_path.name}
    assert [one.label for one in found.values()] == ["ham"] * 3 + ["spam"] * 2
    assert found["spam/old#2"].raw == mail(7)


def test_mbox_by_label(tmp_path: Path) -> None:
    """One mbox or Maildir is of the label after its name; '>From ' is unquoted; a sentence with From stays text."""
    box = tmp_path / "in:box"
    body = b"Subject: x\n\nFrom here on it is text.\n>From the start\n>>From twice\n"
    box.write_bytes(b"From a@b Mon Jan  1 00:00:00 2024\n" + body + b"\nFrom c@d Tue Jan  2 00:00:00 2024\n" + mail(2))
    first, second = labelled_mail.read_labelled(Path(f"{box}:spam"))
    assert first.raw == b"Subject: x\n\nFrom here on it is text.\nFrom the start\n>From twice\n"
    assert (second.id, second.label, second.source, second.raw) == ("in:box#2", "spam", "in:box", mail(2))
    assert [one.label for one in labelled_mail.read_labelled(box, "ham")] == ["ham", "ham"]
    with pytest.raises(DataError, match="junk"):
        labelled_mail.read_labelled(box, "junk")


def test_archive_takes_no_label(tmp_path: Path) -> None:
    """An archive is never read as one mail file because someone put ':ham' after it."""
    path = archive(tmp_path / "x.tar.xz", [("index.tsv", THREE), *MAILS])
    with pytest.raises(DataError, match="its own labels"):
        labelled_mail.read_labelled(Path(f"{path}:ham"))


def test_path_without_mail_is_a_sentence(tmp_path: Path) -> None:
    """A labelled place with no mail in it is an error, not an empty corpus."""
    (tmp_path / "ham").mkdir()
    with pytest.raises(DataError, match="no mail"):
        list(labelled_mail.read_labelled(tmp_path))


@pytest.mark.parametrize("first", [True, False])
def test_count(tmp_path: Path, *, first: bool) -> None:
    """A progress bar knows its end where the index comes first, and does without elsewhere."""
    members = [("index.tsv", THREE), *MAILS]
    path = archive(tmp_path / "x.tar.xz", members if first else members[::-1])
    assert labelled_mail.count_labelled(path) == (3 if first else None)
    assert labelled_mail.count_labelled(tmp_path) is None
    assert labelled_mail.count_labelled(tmp_path / "nowhere") is None
