"""No name in an open Maildir leads out of it, and root works on it as its owner."""

# As in the module, paths are handled by os:
# ruff: noqa: PTH101, PTH104, PTH116, PTH118, PTH123, PTH208, PTH211

import errno
import os
import socket
import stat
from pathlib import Path

import on_disk
import pytest
from maildirs import give, make
from readers_and_kills import OLD, deliver

from spamlstm.errors import UnavailableError, UserError
from spamlstm.maildir import junk_folder, message_file, opened, transfer
from spamlstm.maildir.entry import RefusedError
from spamlstm.maildir.keywords import keyword_names
from spamlstm.maildir.message_file import file_identity
from spamlstm.maildir.names import Name
from spamlstm.maildir.opened import OpenMaildir
from spamlstm.maildir.owner import IDENTITY, Owner
from spamlstm.maildir.transfer import Transfer

ANN, BOB = 20_001, 20_002
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of two users")


@pytest.mark.parametrize("name", ["new", "cur", "tmp", ".Junk", ".Junk/new", "Lists", "Lists/Junk"])
def test_no_link_is_followed(root, tmp_path, name):
    """A link in place of a part, a folder or a directory above one is refused."""
    elsewhere = make(tmp_path / "elsewhere")
    make(Path(elsewhere, "Junk"))
    path = Path(root, name)
    if path.parent.name == ".Junk":
        make(path.parent)
        path.rmdir()
    if name == "Lists/Junk":
        path.parent.mkdir()
    if path.is_dir():
        path.rmdir()
    path.symlink_to(elsewhere)

    with pytest.raises(RefusedError, match="symbolic link"):
        on_disk.opened(root).mailbox.enter(name)


@pytest.mark.parametrize(("link", "configured"), [(".Junk", "auto"), (".Junk", "Junk"), ("Lists", "Lists/Junk")])
def test_nothing_is_created_where_a_link_leads(root, tmp_path, link, configured):
    """No folder is created behind a link or beside it, for any configured name."""
    target = tmp_path / "elsewhere"
    target.mkdir()
    make(Path(root, "Sent"))
    Path(root, link).symlink_to(target)

    mailbox = on_disk.opened(root).mailbox
    with pytest.raises((OSError, UserError)):
        junk_folder.create_folder(junk_folder.junk_folder(mailbox, configured))

    assert os.listdir(target) == []
    assert not Path(root, "Junk").exists()


def test_an_open_directory_stays_what_it_is(root, tmp_path):
    """After an open directory is replaced by a link, calls still use the open one."""
    other = make(tmp_path / "other")
    deliver(other, "1.host", content=b"secret")
    source = on_disk.entry(deliver(root))
    source.status()
    os.rename(os.path.join(root, "new"), os.path.join(root, "away"))
    os.symlink(os.path.join(other, "new"), os.path.join(root, "new"))

    assert message_file.read_message(source, most=100)[0] == OLD
    source.unlink()
    assert os.listdir(os.path.join(root, "away")) == []
    assert os.listdir(os.path.join(other, "new")) == ["1.host"]


@pytest.mark.parametrize("kind", ["link", "fifo", "socket", "folder"])
def test_only_a_regular_file_is_read(root, kind, tmp_path):
    """Neither a message nor a list of keywords is read from a link, a FIFO, a socket or a folder, at once."""
    for path in (Path(root, "new", "x"), Path(root, "dovecot-keywords")):
        if kind == "link":
            (tmp_path / "secret").write_text("0 $Junk\n")
            path.symlink_to(tmp_path / "secret")
        elif kind == "fifo":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        else:
            with socket.socket(socket.AF_UNIX) as one:
                one.bind(str(path))

    with pytest.raises(RefusedError):
        message_file.read_message(on_disk.entry(os.path.join(root, "new", "x")), most=100)
    assert keyword_names(on_disk.opened(root)) == {}
    assert list(on_disk.opened(root).messages()) == []


@pytest.mark.parametrize("path", ["/etc/passwd", "{}/../x/new/1", "{}/new/..", "{}/new", "{}x/new/1", "{}/etc/1"])
def test_paths_of_messages_in_the_journal(root, path):
    """A path from the journal that is not that of a message in the Maildir is refused."""
    with pytest.raises(RefusedError):
        on_disk.opened(root).mailbox.entry_at(path.format(root))


@pytest.mark.parametrize("path", ["/etc", "{}/..", "{}/../other", "{}/a/../..", "{}x", "{}/./x", "{}/"])
def test_paths_of_folders_in_the_journal(root, path):
    """A path from the journal that is not that of a folder in the Maildir is refused."""
    with pytest.raises(RefusedError):
        on_disk.opened(root).mailbox.folder_at(path.format(root))


def test_a_file_that_grows_while_it_is_read(root, monkeypatch):
    """At most the limit and one byte are read, whatever the size was before."""
    path = deliver(root)
    real, asked = os.fstat, []

    def grow(handle):
        status = real(handle)
        with open(path, "ab") as stream:
            stream.truncate(1 << 30)
        return status

    monkeypatch.setattr(message_file.os, "fstat", grow)
    read = os.read
    monkeypatch.setattr(message_file.os, "read", lambda handle, most: asked.append(most) or read(handle, most))
    with pytest.raises(message_file.TooLargeError):
        message_file.read_message(on_disk.entry(path), most=100_000)
    assert sum(asked) <= 3 * 100_001


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101])
def test_a_message_is_read_to_its_limit(root, size):
    """A message up to the limit is read whole, a longer one not at all."""
    entry = on_disk.entry(deliver(root, content=b"x" * size))
    if size > 100:
        with pytest.raises(message_file.TooLargeError):
            message_file.read_message(entry, most=100)
    else:
        assert message_file.read_message(entry, most=100)[0] == b"x" * size


def test_headers_without_end(root, monkeypatch):
    """A message that is all headers is not read: it would take seconds to find the forged ones among 64 MB."""
    monkeypatch.setattr(message_file, "MOST_HEAD_BYTES", 1000)
    lines = b"X-A: b\n" * 200
    with pytest.raises(message_file.TooLargeError, match="headers"):
        message_file.read_message(on_disk.entry(deliver(root, content=lines)), most=1 << 20)
    assert message_file.read_message(
        on_disk.entry(deliver(root, "2.host", content=b"X-A: b\n\n" + lines)), most=1 << 20
    )


def test_a_copy_has_no_set_id_bits(root):
    """Set-id bits of a message do not pass to its copy, which may belong to another user."""
    source = deliver(root)
    os.chmod(source, 0o6755)  # noqa: S103  that is what is tested
    entry = on_disk.entry(source)

    transfer.carry_out([Transfer(entry, file_identity(entry), entry.folder.entry("new", "fresh"), b"x")])

    assert stat.S_IMODE(os.stat(os.path.join(root, "new", "fresh")).st_mode) == 0o644


def test_descriptors_are_few(root):
    """The number of open descriptors is limited, however many folders are visited."""
    for number in range(3 * opened.MOST_OPEN):
        make(Path(root, f".F{number}"))
    before = len(os.listdir("/proc/self/fd"))
    mailbox = on_disk.opened(root).mailbox
    for number in range(3 * opened.MOST_OPEN):
        mailbox.folder(f".F{number}").open_all()
    deliver(os.path.join(root, ".F0"))
    assert len(list(mailbox.folder(".F0").messages())) == 1
    assert len(os.listdir("/proc/self/fd")) - before < 5 * opened.MOST_OPEN


@pytest.mark.parametrize("target", ["relative", "absolute"])
def test_a_maildir_may_be_a_link_of_ones_own(root, tmp_path, target):
    """A user's own link to a Maildir is followed; ~/Maildir may be on another disk."""
    link = tmp_path / "link"
    link.symlink_to("Maildir" if target == "relative" else root)
    with OpenMaildir.open(str(link)) as mailbox:
        assert mailbox.identity == (os.stat(root).st_dev, os.stat(root).st_ino)
        assert mailbox.path == str(link)


def test_a_link_to_itself(tmp_path):
    """Links in a circle are an error."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        OpenMaildir.open(str(tmp_path / "a"))


@as_root
@pytest.mark.parametrize(("owner", "refused"), [(0, False), (BOB, False), (ANN, True)])
def test_whose_link_is_followed(tmp_path, owner, refused):
    """Links of root and of the owner of the mail are followed, those of others refused."""
    bobs = make(tmp_path / "bob")
    give(bobs, BOB)
    link = tmp_path / "link"
    link.symlink_to(bobs)
    os.chown(link, owner, owner, follow_symlinks=False)

    if refused:
        with pytest.raises(RefusedError, match="symbolic link of another user"):
            OpenMaildir.open(str(link))
    else:
        OpenMaildir.open(str(link)).close()


@as_root
def test_root_does_not_enter_what_is_not_the_owners(tmp_path):
    """A folder of another user in a Maildir is refused."""
    anns = make(tmp_path / "ann")
    give(anns, ANN)
    tmp_path.chmod(0o755)
    os.chmod(os.path.join(anns, "new"), 0o755)  # noqa: S103  Ann may look into it
    os.chown(os.path.join(anns, "new"), BOB, BOB)
    with pytest.raises(RefusedError, match="does not belong"):
        list(on_disk.opened(anns).messages())


@as_root
def test_root_acts_as_the_owner(tmp_path):
    """Root has only the rights of the user in the block, and its own after it, also after an error."""
    before = os.geteuid(), os.getegid(), os.getgroups()
    with Owner(ANN, ANN, by_root=True).acting():
        assert (os.geteuid(), os.getegid(), os.getgroups()) == (ANN, ANN, [])
        with pytest.raises(PermissionError):
            Path("/etc/shadow").read_bytes()
        with Owner(ANN, ANN, by_root=True).acting():
            assert os.geteuid() == ANN
        assert os.geteuid() == ANN
        with pytest.raises(RuntimeError), Owner(BOB, BOB, by_root=True).acting():
            pass
    assert (os.geteuid(), os.getegid(), os.getgroups()) == before
    with pytest.raises(ZeroDivisionError), Owner(ANN, ANN, by_root=True).acting():
        raise ZeroDivisionError
    assert (os.geteuid(), os.getegid(), os.getgroups()) == before


@as_root
@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(errno.EINVAL, "Invalid argument"), UnavailableError),  # a user without a number in a namespace
        (PermissionError(errno.EPERM, "Operation not permitted"), UnavailableError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=["unmapped", "refused", "interrupted"],
)
def test_root_stays_root_if_it_cannot_act_as_the_owner(monkeypatch, error, raised):
    """After an error between two steps, root has its own rights, and may act as the owner of another Maildir."""
    before = os.geteuid(), os.getegid(), os.getgroups()
    seteuid = os.seteuid

    def fail(user):
        seteuid(user)
        if user == ANN:
            raise error

    monkeypatch.setattr(os, "seteuid", fail)
    with pytest.raises(raised), Owner(ANN, ANN, by_root=True).acting():
        raise AssertionError("not reached")
    assert (os.geteuid(), os.getegid(), os.getgroups()) == before
    assert not IDENTITY.locked()
    with Owner(BOB, BOB, by_root=True).acting():
        assert os.geteuid() == BOB


@as_root
def test_a_lack_of_memory_does_not_keep_the_lock(monkeypatch):
    """If root's own groups cannot be read, root stays root, and the other threads need not wait for ever."""

    def fail():
        raise MemoryError

    before = os.geteuid(), os.getegid(), os.getgroups()
    with monkeypatch.context() as patch:
        patch.setattr(os, "getgroups", fail)
        with pytest.raises(MemoryError), Owner(ANN, ANN, by_root=True).acting():
            raise AssertionError("not reached")
    assert (os.geteuid(), os.getegid(), os.getgroups()) == before
    assert not IDENTITY.locked()


@as_root
def test_the_group_of_root_is_not_taken(tmp_path):
    """For a user's Maildir with root's group, root takes another group."""
    path = tmp_path / "x"
    path.mkdir()
    os.chown(path, ANN, 0)
    with Owner.of(os.stat(path)).acting():
        assert os.getegid() not in (0, os.getgid())


@as_root
def test_what_root_creates_is_the_owners(tmp_path):
    """New files and folders belong to the owner of the Maildir."""
    tmp_path.chmod(0o755)
    anns = make(tmp_path / "ann")
    source = deliver(anns)
    give(anns, ANN)
    junk = junk_folder.junk_folder(on_disk.opened(anns).mailbox)
    junk_folder.create_folder(junk)
    entry = junk.mailbox.folder().entry("new", os.path.basename(source))  # noqa: PTH119
    transfer.carry_out([Transfer(entry, file_identity(entry), junk.entry("new", "fresh"), b"x")])

    made = [Path(above, name) for above, folders, files in os.walk(anns) for name in (*folders, *files)]
    assert {(one.stat().st_uid, one.stat().st_gid) for one in made} == {(ANN, ANN)}
    assert Path(anns, ".Junk", "new", "fresh") in made


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("b,S=1,W=2," + "A" * 300 + ":2,S", "b,S=1,W=2:2,S"),
        ("b," + "A" * 100 + ",S=1," + "B" * 200, "b," + "A" * 100 + ",S=1"),
        ("b,S=1:2,S," + "z" * 300, "b,S=1:2,S"),
        ("b,S=1:2,FSa", "b,S=1:2,FSa"),
        ("b,S=" + "1" * 300, "b"),
    ],
)
def test_a_name_fits(name, short):
    """A name is cut to 255 bytes; fields go first, flags never."""
    assert str(Name.parse(name).fitting()) == short


def test_names_without_end_are_not_listed(root, monkeypatch):
    """Too many names in a part, hidden ones too, are refused; one message is still found among them."""
    monkeypatch.setattr(opened, "MOST_LISTED", 5)
    for number in range(5):
        Path(root, "new", f".{number}").touch()
    folder = OpenMaildir.open(str(root)).folder()
    assert folder.listed("new") == []
    Path(root, "new", "6.host").touch()
    with pytest.raises(RefusedError) as error:
        folder.listed("new")
    assert error.value.strerror == "new has more than 5 names, too many to read"
    assert [entry.name for entry in folder.find("6.host")] == ["6.host"]
    monkeypatch.setattr(opened, "MOST_PASSED", 5)
    with pytest.raises(RefusedError):
        folder.find("6.host")
    folder.mailbox.close()
