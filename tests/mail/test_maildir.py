"""A Maildir folder under readers, users and crashes: each message is there once, with its bytes."""

# The tests speak the language of the module, which is that of os:
# ruff: noqa: PTH101, PTH102, PTH104, PTH108, PTH110, PTH116, PTH118, PTH119, PTH123, PTH208, PTH211

import os
import re
import stat
import sys
import tempfile
from contextlib import contextmanager
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.errors import NoInputError, UserError
from spamlstm.mail import maildir
from spamlstm.mail.maildir import GoneError, Name, Outcome

# Other tests may have left threads, which the copies of the process that are killed here do without.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

OLD = b"Subject: x\n\nold\r\n"
FRESH = b"X-Spam-Flag: YES\nSubject: x\n\nold\r\n"
DATE = 1_000_000_000
DAY = 24 * 3600


@pytest.fixture
def root(tmp_path):
    return make(tmp_path / "Maildir")


def make(path):
    for part in ("", "new", "cur", "tmp"):
        (path / part).mkdir(mode=0o700)
    return str(path)


def deliver(folder, name="1.host", *, part="new", content=OLD):
    path = os.path.join(folder, part, name)
    with open(path, "wb") as stream:
        stream.write(content)
    os.chmod(path, 0o640)
    os.utime(path, (DATE, DATE))
    return path


def everything(*folders):
    """The bytes of each message in these folders."""
    return [maildir.read(entry.path)[0] for folder in folders for entry in maildir.messages(folder)]


def replace(source, folder, *, part="new", content=FRESH, expected=None):
    name = Name.parse(os.path.basename(source)).elsewhere(base=maildir.unique())
    known = expected or maildir.identity(source)
    return maildir.replace_with(source, content, folder, name=name, part=part, expected=known)


def read_mail(*folders):
    """What a reader does when it opens a folder: all that is new goes to cur, and is seen."""
    for folder in folders:
        for name in os.listdir(os.path.join(folder, "new")):
            os.rename(os.path.join(folder, "new", name), os.path.join(folder, "cur", f"{name}:2,S"))


@contextmanager
def before_line(number, act):
    """Call `act` before the line with this number, counted as they are run, of maildir.py: so before each call."""
    left = [number]

    def trace(frame, event, _):
        if frame.f_code.co_filename != maildir.__file__:
            return None
        if event == "line":
            left[0] -= 1
            if left[0] == 0:
                sys.settrace(None)
                act()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield left
    finally:
        sys.settrace(before)


def killed_before(number, work):
    """Whether a process that does `work` met its kill before that line, as by kill -9: no handler runs."""
    child = os.fork()
    if child == 0:
        with before_line(number, lambda: os._exit(9)):
            work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


# Names


file_names = st.text(st.sampled_from("aZ01.,:;=SWU2_") | st.characters(exclude_characters="/\0"), max_size=30)


@given(file_names)
def test_any_name_comes_back_as_it_was(text):
    """Parsing a name loses nothing, whatever wrote it."""
    assert str(Name.parse(text)) == text


def test_the_pieces_of_a_name():
    name = Name.parse("1.M2P3.host,S=123,X=y,W=130,U=7:2,Sab")

    assert (name.base, name.fields) == ("1.M2P3.host", ("S=123", "X=y", "W=130", "U=7"))
    assert (name.size, name.wire_size, name.flags, name.keywords) == (123, 130, "S", "ab")


@pytest.mark.parametrize(
    ("name", "flags", "keywords"),
    [
        ("a", "", ""),
        ("a:2,", "", ""),
        ("a:2,SFRS", "FRS", ""),
        ("a:2,baS", "S", "ab"),
        ("a:1,x", "", ""),
        ("a:2,F,S", "F", ""),
    ],
)
def test_flags(name, flags, keywords):
    """Flags are sorted and each there once; what stands behind a second comma is no flag."""
    assert (Name.parse(name).flags, Name.parse(name).keywords) == (flags, keywords)


@pytest.mark.parametrize("field", ["S=", "S=x", "S=²", "S=-1", "S=" + "9" * 30])
def test_a_size_that_is_no_number(field):
    """It counts as none."""
    assert Name.parse(f"a,{field}").size is None


@pytest.mark.parametrize(
    ("name", "moved"),
    [
        ("a", "new"),
        ("a,S=1,U=7,W=2", "new,S=1,W=2"),
        ("a,S=1:2,", "new,S=1:2,"),
        ("a,U=7:2,SbFa", "new:2,FS"),
        ("a:2,S,x", "new:2,S,x"),
        ("a:1,x", "new:1,x"),
    ],
)
def test_a_name_elsewhere(name, moved):
    """The number of mbsync and the keywords of the old folder stay behind; sizes, flags and strange fields go along."""
    assert str(Name.parse(name).elsewhere(base="new")) == moved


def test_keywords_can_be_mapped():
    """What the other folder knows by another letter gets that one; flags end up in ASCII order."""
    assert str(Name.parse("a:2,Scba").elsewhere(base="b", keywords={"c": "a", "a": "d"})) == "b:2,Sad"


def test_a_name_for_other_bytes():
    """S and W tell the size of the new bytes, W with each line ended by CRLF; flags and keywords stay, U goes."""
    name = maildir.sized(Name.parse("a,S=1,X=y,W=1,U=7:2,Sa"), b"a\nb\r\nc", base="b")

    assert str(name) == "b,S=6,W=7,X=y:2,Sa"


@given(file_names)
def test_a_name_elsewhere_stays_put(text):
    """The second move of a name changes no more than its base."""
    once = Name.parse(text).elsewhere(base="b")

    assert once.elsewhere(base="b") == once
    assert not any(field.startswith("U=") for field in once.fields)
    assert (once.flags, once.keywords) == (Name.parse(text).flags, "")


def test_unique_names():
    """No two are alike, here or in a process that begins as a copy of this one, and all are plain base names."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writable, "\n".join(maildir.unique() for _ in range(100)).encode())
        os._exit(0)
    mine = [maildir.unique() for _ in range(100)]
    os.waitpid(child, 0)
    theirs = os.read(readable, 60_000).decode().split("\n")
    os.close(readable)
    os.close(writable)

    assert len({*mine, *theirs}) == 200
    assert all(str(Name(name)) == name == Name.parse(name).base and len(name) < 140 for name in mine)


@pytest.mark.parametrize(
    ("host", "escaped"), [("a/b:c,d", "a\\057b\\072c\\054d"), ("", "localhost"), ("é", "\\303\\251")]
)
def test_the_host_in_a_name(host, escaped):
    """Signs that mean something in a name are escaped in octal (maildir.5)."""
    assert maildir._host(host) == escaped


# Listings


def test_messages(root):
    """All in new and cur, but for hidden names, folders and links."""
    deliver(root, "a")
    deliver(root, "b:2,S", part="cur")
    deliver(root, ".hidden")
    deliver(root, "c", part="tmp")
    os.mkdir(os.path.join(root, "cur", "folder"))
    os.symlink("/etc/passwd", os.path.join(root, "new", "link"))

    found = list(maildir.messages(root))

    assert [(entry.part, entry.name) for entry in found] == [("new", "a"), ("cur", "b:2,S")]
    assert [entry.path for entry in maildir.find(root, "b")] == [found[1].path]


def test_a_missing_folder_is_not_an_empty_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(maildir.messages(str(tmp_path / "gone")))


def test_names_that_are_not_utf_8(root):
    """A name is bytes to the file system, and is found again."""
    os.rename(os.fsencode(deliver(root)), os.fsencode(root) + b"/new/1.h\xff,S=3")

    (entry,) = maildir.messages(root)

    assert maildir.read(entry.path)[0] == OLD
    assert str(Name.parse(entry.name)) == entry.name


def test_stale(root):
    """What lies in tmp goes after 36 hours, not after its own date says so: that is the date of a delivery."""
    path = deliver(root, "a", part="tmp")
    written = os.stat(path).st_ctime

    assert maildir.stale(root, now=written + DAY) == []
    assert maildir.stale(root, now=written + 2 * DAY) == [path]


# Folders


@pytest.mark.parametrize(
    ("there", "wish", "chosen"),
    [
        ([], "auto", ".Junk"),
        ([".Sent"], "auto", ".Junk"),
        ([".Sent", ".Spam"], "auto", ".Spam"),
        ([".Spam", ".Junk"], "auto", ".Junk"),
        ([".junk e-mail"], "auto", ".junk e-mail"),
        ([".INBOX.Sent"], "auto", ".INBOX.Junk"),
        ([".INBOX.Bulk Mail"], "auto", ".INBOX.Bulk Mail"),
        (["Sent"], "auto", "Junk"),
        (["Sent", "Spam"], "auto", "Spam"),
        (["INBOX/Junk", "Sent"], "auto", "INBOX/Junk"),
        ([".Sent", "Spam"], "auto", "Spam"),
        ([], "Unwanted", ".Unwanted"),
        ([], ".Unwanted", ".Unwanted"),
        ([], "INBOX.Junk", ".INBOX.Junk"),
        ([".Sent"], "Lists/Junk", ".Lists.Junk"),
        (["Sent"], "Lists/Junk", "Lists/Junk"),
        ([".Junk"], "Indésirable & co", ".Ind&AOk-sirable &- co"),
        (["Ind&AOk-sirable"], "Indésirable", "Ind&AOk-sirable"),
    ],
)
def test_junk_folder(root, tmp_path, there, wish, chosen):
    """What is there is used, and what is not is named as the others are."""
    for name in there:
        (tmp_path / "Maildir" / name).mkdir(parents=True)
        for part in maildir.PARTS:
            (tmp_path / "Maildir" / name / part).mkdir()

    assert maildir.junk_folder(root, wish) == os.path.join(root, chosen)


@pytest.mark.parametrize("wish", ["", " ", "..", "../x", "/etc", "a//b", "cur", "a/../b", "a..b", "a\0"])
def test_no_wish_leads_out(root, wish):
    """A folder is below its Maildir, and is a folder of mail."""
    with pytest.raises(UserError):
        maildir.junk_folder(root, wish)


def test_junk_of_what_is_no_maildir(tmp_path):
    with pytest.raises(NoInputError):
        maildir.junk_folder(str(tmp_path))


@pytest.mark.parametrize("name", [".Junk", "Lists/Junk"])
def test_create_folder(root, name):
    """A whole Maildir with its marker, with the mode of its root, whatever the umask; and nothing the second time."""
    os.chmod(root, 0o2770)  # noqa: S103  a group that shares its mail has it so
    folder = os.path.join(root, name)
    maildir.create_folder(root, folder)
    deliver(folder)
    maildir.create_folder(root, folder)

    assert maildir.is_maildir(folder)
    assert stat.S_IMODE(os.stat(folder).st_mode) == stat.S_IMODE(os.stat(os.path.join(folder, "new")).st_mode) == 0o2770
    assert stat.S_IMODE(os.stat(os.path.join(folder, "maildirfolder")).st_mode) == 0o660
    assert everything(folder) == [OLD]
    assert os.listdir(os.path.join(folder, "tmp")) == []


def test_create_folder_survives_a_crash(root):
    """Cut short at any point, it is made whole by the next attempt."""
    for number in range(1, 1000):
        folder = os.path.join(root, f".Junk{number}")
        killed = killed_before(number, lambda folder=folder: maildir.create_folder(root, folder))
        maildir.create_folder(root, folder)
        assert maildir.is_maildir(folder)
        assert os.path.exists(os.path.join(folder, "maildirfolder"))
        if not killed:
            break
    assert number > 30


def test_one_file_system(root, tmp_path):
    """One is fine; two are a sentence."""
    maildir.check_one_file_system(root, make(tmp_path / "Other"))
    memory = "/dev/shm"  # noqa: S108  the one other file system that most machines have
    if not os.access(memory, os.W_OK) or os.stat(memory).st_dev == os.stat(root).st_dev:
        pytest.skip("there is one file system only")
    with tempfile.TemporaryDirectory(dir=memory) as shm:
        for part in maildir.PARTS:
            os.mkdir(os.path.join(shm, part))
        with pytest.raises(UserError, match="different file systems"):
            maildir.check_one_file_system(root, shm)


# Moves


@pytest.fixture
def junk(root):
    folder = maildir.junk_folder(root)
    maildir.create_folder(root, folder)
    return folder


def moved(source, folder, *, base=None, part="new"):
    name = Name.parse(os.path.basename(source)).elsewhere(base=base or maildir.unique())
    return maildir.move(source, folder, name=name, part=part)


@pytest.mark.parametrize("part", ["new", "cur"])
def test_move(root, junk, part):
    """The same file under another name: bytes, date and mode as before."""
    source = deliver(root, "1.host,S=17")
    before = os.stat(source)

    maildir.sync(moved(source, junk, part=part))

    (entry,) = maildir.messages(junk)
    after = os.stat(entry.path)
    assert (after.st_ino, after.st_mtime_ns, after.st_mode) == (before.st_ino, before.st_mtime_ns, before.st_mode)
    assert everything(root, junk) == [OLD]
    assert (entry.part, entry.name.endswith(":2,")) == (part, part == "cur")
    assert Name.parse(entry.name).size == 17


def test_move_tells_what_to_sync(root, junk):
    """The target first, so that the message is there before it is away."""
    assert moved(deliver(root), junk) == (os.path.join(junk, "new"), os.path.join(root, "new"))


def test_move_overwrites_nothing(root, junk):
    """A base that is not fresh is refused."""
    other = deliver(junk, "taken", content=b"other")
    with pytest.raises(FileExistsError):
        moved(deliver(root), junk, base="taken")

    assert maildir.read(other)[0] == b"other"
    assert everything(root) == [OLD]


def test_a_message_that_left_is_no_missing_folder(root, junk, tmp_path):
    """The first is normal, the second is not."""
    source = deliver(root)
    with pytest.raises(FileNotFoundError):
        moved(source, str(tmp_path / "nowhere"))
    read_mail(root)
    with pytest.raises(GoneError):
        moved(source, junk)
    with pytest.raises(GoneError):
        maildir.read(source)
    with pytest.raises(GoneError):
        replace(source, junk, expected=maildir.Identity(1, 1, 1))


def test_move_survives_kill(root, junk):
    """Killed before any line, the message is there once, and `settle` knows where."""
    for number in range(1, 1000):
        source = deliver(root, f"{number}.host")
        base, known = maildir.unique(), maildir.identity(source)
        killed = killed_before(number, lambda: maildir.sync(moved(source, junk, base=base)))  # noqa: B023  it runs at once
        outcome = maildir.settle(source, junk, base=base, expected=known)
        assert len(everything(root)) + len(everything(junk)) == 1
        assert outcome is (Outcome.DONE if everything(junk) else Outcome.UNDONE)
        for entry in (*maildir.messages(root), *maildir.messages(junk)):
            os.unlink(entry.path)
        if not killed:
            break
    assert number > 10
    assert outcome is Outcome.DONE


# Replacements


@pytest.mark.parametrize("part", ["new", "cur"])
def test_replace(root, junk, part):
    """A fresh file under a fresh name with true sizes; date and mode are the old one's; tmp is left clean."""
    source = deliver(root, "1.host,S=1,U=4" + (":2,FS" if part == "cur" else ""), part=part)

    maildir.sync(replace(source, junk, part=part))

    (entry,) = maildir.messages(junk)
    name, status = Name.parse(entry.name), os.stat(entry.path)
    assert everything(root, junk) == [FRESH]
    assert (name.size, name.wire_size) == (len(FRESH), len(FRESH) + 3)
    assert (name.base == "1.host", name.flags, entry.part) == (False, "FS" if part == "cur" else "", part)
    assert (status.st_mtime, stat.S_IMODE(status.st_mode), status.st_nlink) == (DATE, 0o640, 1)
    assert os.listdir(os.path.join(junk, "tmp")) == []


def test_owner_is_kept(root, junk):
    """Root writes for others, and what it writes is theirs."""
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    source = deliver(root)
    os.chown(source, 12345, 23456)
    os.chown(root, 12345, 23456)

    replace(source, junk)
    maildir.create_folder(root, os.path.join(root, ".More"))

    (entry,) = maildir.messages(junk)
    paths = (entry.path, os.path.join(root, ".More", "new"), os.path.join(root, ".More", "maildirfolder"))
    assert [(os.stat(path).st_uid, os.stat(path).st_gid) for path in paths] == [(12345, 23456)] * 3


def test_a_name_given_to_another_message(root):
    """Mail that was delivered under a name used before (procmail) is not taken for what was read."""
    source = deliver(root)
    known = maildir.identity(source)
    os.rename(source, os.path.join(root, "cur", "1.host:2,S"))
    deliver(root, content=b"another")

    with pytest.raises(GoneError):
        replace(source, root, expected=known)

    assert sorted(everything(root)) == [OLD, b"another"]


def test_the_last_moment(root, junk):
    """Even a name given away after the fresh message was published is not removed, nor taken for the old one later."""
    source = deliver(root)
    known, base = maildir.identity(source), maildir.unique()
    target = os.path.join(junk, "new", base)
    maildir.publish(maildir.prepare(FRESH, junk, base=base, like=source), target, source=source, expected=known)
    os.rename(source, os.path.join(root, "cur", "1.host:2,"))
    deliver(root, content=b"another")

    with pytest.raises(GoneError):
        maildir.finish(source, junk, base=base, target=target, expected=known)

    assert sorted(everything(root, junk)) == [OLD, b"another"]
    os.unlink(os.path.join(root, "cur", "1.host:2,"))
    assert maildir.settle(source, junk, base=base, expected=known) is Outcome.GONE
    assert everything(root, junk) == [b"another"]


@pytest.mark.parametrize("same", [True, False])
def test_replace_survives_kill(root, junk, same):
    """Killed before any line, with or without a reader before the restart: after `settle` the message is there once."""
    target = root if same else junk
    folders = (root,) if same else (root, junk)
    for number in range(1, 1000):
        for read in (False, True):
            source = deliver(root, f"{number}.host")
            base, known = maildir.unique(), maildir.identity(source)
            name = Name(base)
            work = partial(maildir.replace_with, source, FRESH, target, name=name, part="new", expected=known)
            killed = killed_before(number, lambda: maildir.sync(work()))  # noqa: B023  it runs at once
            if read:
                read_mail(*folders)
            outcome = maildir.settle(source, target, base=base, expected=known)
            assert outcome is maildir.settle(source, target, base=base, expected=known)
            assert everything(*folders) == [FRESH if outcome is Outcome.DONE else OLD]
            assert os.listdir(os.path.join(target, "tmp")) == []
            for folder in folders:
                for entry in maildir.messages(folder):
                    os.unlink(entry.path)
        if not killed:
            break
    assert number > 40
    assert outcome is Outcome.DONE


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("user", ["reads", "removes"])
def test_replace_beside_a_reader(root, junk, user, same):
    """A reader that opens the folder before any line, or a user who removes the message: never two of it.

    What is removed while the fresh one is already out may stay as the fresh one: better than the other mistake.
    """
    target = root if same else junk
    folders = (root,) if same else (root, junk)
    gone = 0
    for number in range(1, 1000):
        source = deliver(root, f"{number}.host")
        known = maildir.identity(source)

        def act(source=source):
            if user == "reads":
                read_mail(*folders)
            elif os.path.exists(source):
                os.unlink(source)

        with before_line(number, act) as left:
            try:
                replace(source, target, expected=known)
                kept = [FRESH]
            except GoneError:
                kept = [OLD] if user == "reads" else []
                gone += 1
        if user == "removes" and not everything(*folders):
            kept = []
        assert everything(*folders) == kept
        assert os.listdir(os.path.join(target, "tmp")) == []
        for folder in folders:
            for entry in maildir.messages(folder):
                os.unlink(entry.path)
        if left[0] > 0:
            break
    assert number > 40
    assert gone > 10


def test_an_error_changes_nothing(root, junk):
    """Whatever the system refuses, before or behind whichever call: the message is as it was, or the act is done."""
    for number in range(1, 1000):
        source = deliver(root, f"{number}.host")

        def refuse():
            raise OSError(28, "No space left on device")

        with before_line(number, refuse) as left:
            try:
                replace(source, junk)
                kept = [FRESH]
            except OSError:
                kept = None
        found = everything(root, junk)
        # Where even the cleaning up is refused both may be left: that is what `settle` is for.
        assert found in ([OLD], [FRESH], [OLD, FRESH]) if kept is None else found == kept
        for folder in (root, junk):
            for entry in maildir.messages(folder):
                os.unlink(entry.path)
        if left[0] > 0:
            break


def test_a_removal_that_says_it_failed(root, junk):
    """NFS may say 'no such file' of a removal that was done: the fresh message is the only one then, and stays."""
    source = deliver(root)
    known, base = maildir.identity(source), maildir.unique()
    target = os.path.join(junk, "new", base)
    written = maildir.prepare(FRESH, junk, base=base, like=source)
    maildir.publish(written, target, source=source, expected=known)
    os.unlink(source)

    maildir.finish(source, junk, base=base, target=target, expected=known)

    assert everything(root, junk) == [FRESH]


@pytest.mark.parametrize("how", [os.rename, os.link])
def test_a_user_who_moves_it_at_that_moment(root, junk, tmp_path, how):
    """What was taken to another folder while the fresh one was already out is there once, where its user wants it."""
    archive = make(tmp_path / "Maildir" / ".Archive")
    source = deliver(root)
    known, base = maildir.identity(source), maildir.unique()
    target = os.path.join(junk, "new", base)
    maildir.publish(maildir.prepare(FRESH, junk, base=base, like=source), target, source=source, expected=known)
    how(source, os.path.join(archive, "cur", "2.host:2,S"))
    if os.path.exists(source):
        os.unlink(source)

    with pytest.raises(GoneError):
        maildir.finish(source, junk, base=base, target=target, expected=known)

    assert everything(root, junk, archive) == [OLD]
    assert maildir.settle(source, junk, base=base, expected=known) is Outcome.GONE


def test_a_move_that_is_half_done_at_that_moment(root, junk, tmp_path):
    """A server moves by a link and then an unlink. If both of our steps come between, its link is the message."""
    archive = make(tmp_path / "Maildir" / ".Archive")
    first, second = deliver(root), deliver(root, "2.host")
    known = [maildir.read(path)[1] for path in (first, second)]
    for path in (first, second):
        os.link(path, os.path.join(archive, "cur", f"{os.path.basename(path)}:2,S"))

    with pytest.raises(GoneError):
        replace(first, junk, expected=known[0])
    moved(second, junk, base="filed")
    with pytest.raises(GoneError):
        maildir.give_way(os.path.join(junk, "new", "filed"), home=root, expected=known[1])

    assert everything(root, junk, archive) == [OLD, OLD]


@pytest.mark.parametrize("when", ["before it was read", "while it was replaced"])
def test_links_of_others_are_no_move(root, junk, tmp_path, when):
    """A backup made of links, or a copy that was there before, takes nothing from the user's folders."""
    other = make(tmp_path / "Maildir" / ".Copies") if when == "before it was read" else make(tmp_path / "backup")
    first, second = deliver(root), deliver(root, "2.host")
    known = [maildir.read(path)[1] for path in (first, second)]
    for path in (first, second):
        os.link(path, os.path.join(other, "cur", os.path.basename(path)))
    if when == "before it was read":
        known = [maildir.read(path)[1] for path in (first, second)]
    replace(first, junk, expected=known[0])
    moved(second, junk, base="filed")
    maildir.give_way(os.path.join(junk, "new", "filed"), home=root, expected=known[1])

    assert sorted(everything(root, junk)) == sorted([FRESH, OLD])
    assert everything(other) == [OLD, OLD]


def test_a_copy_of_what_was_moved(root, junk, tmp_path):
    """A user may copy what we filed, by link, before we are back from a crash: both are his, and both stay."""
    archive = make(tmp_path / "Maildir" / ".Archive")
    source = deliver(root)
    known, base = maildir.identity(source), maildir.unique()
    moved(source, junk, base=base)
    os.link(os.path.join(junk, "new", base), os.path.join(archive, "cur", "2.host:2,S"))

    assert maildir.settle(source, junk, base=base, expected=known) is Outcome.DONE
    assert everything(junk, archive) == [OLD, OLD]


@pytest.mark.parametrize("limit", [0, 10])
def test_a_write_that_fails_leaves_nothing(root, junk, limit):
    """A message that does not fit (here: a limit on the size of files) stays as it is, and tmp is left clean."""
    import resource

    source = deliver(root)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(OSError):
            replace(source, junk)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert everything(root, junk) == [OLD]
    assert os.listdir(os.path.join(junk, "tmp")) == []


def test_a_message_both_here_and_gone(root, junk):
    """A message that its user removed while we were down is gone, and is not brought back."""
    source = deliver(root)
    known = maildir.identity(source)
    os.unlink(source)

    assert maildir.settle(source, junk, base="x", expected=known) is Outcome.GONE


@given(st.binary(max_size=200))
def test_wire_size_is_that_of_crlf(content):
    """W is the size of the message as IMAP sends it."""
    size = Name.parse(str(maildir.sized(Name("a"), content, base="b"))).wire_size

    assert size == len(re.sub(rb"(?<!\r)\n", b"\r\n", content))


def test_a_file_that_is_being_written_is_told_from_a_delivered_one(tmp_path):
    """Those who write into new itself must not lose the rest of their message; a reader is nobody to wait for."""
    path = tmp_path / "x"
    with path.open("w") as writer:
        assert maildir.is_being_written(str(path))
        writer.write("half")
        writer.flush()
        assert maildir.is_being_written(str(path))
    with path.open() as reader:
        assert reader.read() == "half"
        assert not maildir.is_being_written(str(path))
    with path.open("a"):
        assert maildir.is_being_written(str(path))
    assert not maildir.is_being_written(str(tmp_path / "gone"))
