"""A Maildir for tests, what readers do with it, and a kill before any line of what works on it."""

# The tests speak the language of the module, which is that of os:
# ruff: noqa: PTH101, PTH104, PTH118, PTH119, PTH123, PTH208

import os
import sys
from contextlib import contextmanager

import on_disk

from spamlstm.mail import descriptors, filing, maildir, moving, opened
from spamlstm.mail.maildir import Name

OURS = {module.__file__ for module in (descriptors, filing, maildir, moving, opened)}
OLD = b"Subject: x\n\nold\r\n"
FRESH = b"X-Spam-Flag: YES\nSubject: x\n\nold\r\n"
DATE = 1_000_000_000
DAY = 24 * 3600


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
    return [on_disk.content(entry.path) for folder in folders for entry in on_disk.messages(folder)]


def replace(source, folder, *, part="new", content=FRESH, expected=None, base=None):
    name = Name.parse(os.path.basename(source)).elsewhere(base=base or maildir.unique())
    old = on_disk.entry(source)
    moving.replace_with(
        old, content, target(old, folder, name, content, part), expected=expected or moving.identity(old)
    )


def target(old, folder, name, content=None, part="new"):
    """The fresh file for a message, with its true size."""
    if content is not None:
        name = moving.sized(name, content, base=name.base)
    return on_disk.beside(old, folder).entry(part, str(name.within(part)))


def identity(path):
    return moving.identity(on_disk.entry(path))


def settle(source, folder, *, base, expected):
    old = on_disk.entry(source)
    return moving.settle(old, on_disk.beside(old, folder), base=base, expected=expected)


def read_mail(*folders):
    """What a reader does when it opens a folder: all that is new goes to cur, and is seen."""
    for folder in folders:
        for name in os.listdir(os.path.join(folder, "new")):
            os.rename(os.path.join(folder, "new", name), os.path.join(folder, "cur", f"{name}:2,S"))


@contextmanager
def before_line(number, act):
    """Call `act` before the line with this number, counted as they are run, of OURS: so before each call."""
    left = [number]

    def trace(frame, event, _):
        if frame.f_code.co_filename not in OURS:
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
