"""The threads of IMAP accounts.

They import nothing: while root acts as the owner of a Maildir, an import may fail for good.
"""

import contextlib
import sqlite3
import subprocess
import sys
import threading
import time
from encodings.aliases import aliases

import pytest
from imap_server import account, serving, well

from spamlstm.config import Config
from spamlstm.daemon.imap.accounts import Accounts
from spamlstm.daemon.imap.records import AccountRecords

pytest.importorskip("imapclient")

CODE = """
import os, sys
from spamlstm.daemon.imap.accounts import import_for_threads
from spamlstm.learning.sent_mail import recipients
from spamlstm.maildir.content_id import content_id

os.getuid = lambda: 0
import_for_threads()

def refuse(event, arguments):
    if event == "import":
        raise ImportError(arguments[0])

sys.addaudithook(refuse)
import imapclient.imap_utf7
assert imapclient.imap_utf7.decode(b"Entw&APw-rfe") == "Entw\\xfcrfe"
for raw in sys.stdin.buffer.read().split(b"\\0\\0\\0"):
    print(content_id(raw), *recipients(raw))
"""
NAMES = sorted({"gb2312", "iso-2022-jp", "utf-16le", *aliases, *aliases.values()})
MAIL = """From: =?{name}?b?3sTF?= <a@example.org>
To: =?{name}?b?3sTF?= <b@example.net>
Subject: =?{name}?q?=F0=D2?=
Content-Type: text/plain; charset={name}

"""


def output(code):
    """Return what a fresh Python prints for mail of every charset."""
    body = bytes(range(0x80, 0x100)) + b"\0a\0b"
    mail = b"\0\0\0".join(MAIL.format(name=name.replace("_", "-")).encode() + body for name in NAMES)
    done = subprocess.run([sys.executable, "-c", code], input=mail, capture_output=True, check=False)
    assert done.stderr == b""
    return done.stdout.splitlines()


def test_mail_of_every_charset_is_read_without_an_import():
    """A thread finds the same content ids as the main thread, so that a message is known again wherever it is."""
    without = output(CODE)
    assert len(without) == len(NAMES) > 400
    assert without == output(CODE.replace("import_for_threads()", "").replace("sys.addaudithook(refuse)", ""))


def test_a_stop_waits_for_all_servers_at_once(tmp_path):
    """Servers that hang delay a stop by some seconds, however many there are, or systemd would kill the daemon."""
    over, asked = threading.Event(), threading.Semaphore(0)

    def answer(tag, command):
        if not command.upper().startswith(b"LIST"):
            return well(tag, command)
        asked.release()
        return iter(lambda: over.wait(60) and b"", b"")

    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(serving(answer)) for _ in range(4)]
        accounts = Accounts(None, state=tmp_path)
        accounts.reconfigure(
            Config(accounts=tuple(account(port, password_command=("printf", "secret")) for port in ports))
        )
        assert all(asked.acquire(timeout=30) for _ in ports)
        began = time.monotonic()
        accounts.close()
        assert time.monotonic() - began < 4.0
        over.set()


def test_damaged_records_are_replaced(tmp_path, caplog, wait):
    """The log says so, instead of an advice to move them away."""
    settings = account(password_command=("false",))
    path = AccountRecords.path_of(tmp_path, settings.key)
    AccountRecords.open(tmp_path, settings.key).close()
    path.write_bytes(b"no database at all" * 1000)
    with contextlib.closing(Accounts(None, state=tmp_path)) as accounts:
        accounts.reconfigure(Config(accounts=(settings,)))
        wait(lambda: "is damaged" in caplog.text)
    assert "it is replaced by an empty one; the mail that is now in the account is then not classified" in caplog.text
    assert "move it away" not in caplog.text


def test_a_lack_of_memory_is_no_bug_of_an_account(tmp_path, caplog, wait, monkeypatch):
    """The account is connected again, and log and status name the reason."""

    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(AccountRecords, "open", fail)
    settings = account(password_command=("false",))
    with contextlib.closing(Accounts(None, state=tmp_path)) as accounts:
        accounts.reconfigure(Config(accounts=(settings,)))
        wait(lambda: accounts.snapshot()[settings.label]["error"])
        shown = accounts.snapshot()[settings.label]
    assert (shown["error"], shown["failed"]) == ("there is not enough memory", {"memory": 1})
    assert f"there is not enough memory: the account {settings.label} is connected again" in caplog.messages


def test_the_records_of_a_newer_version_are_kept(tmp_path):
    """After a downgrade the account waits for the update, with the reason in the status, and no record is removed."""
    settings = account(password_command=("printf", "secret"))
    AccountRecords.open(tmp_path, settings.key).close()
    path = AccountRecords.path_of(tmp_path, settings.key)
    with contextlib.closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    with contextlib.closing(Accounts(None, state=tmp_path)) as accounts:
        accounts.reconfigure(Config(accounts=(settings,)))
        until = time.monotonic() + 30
        while not (error := accounts.snapshot()[settings.label]["error"]) and time.monotonic() < until:
            time.sleep(0.01)
    assert "written by a newer version of spamlstm; update spamlstm" in error
    assert path.read_bytes() == before
