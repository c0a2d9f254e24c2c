"""Dovecot 2.4, that of Debian 13, asks `spamlstm filter` and files mail as Dovecot 2.3 does.

It runs in a folder with the files of Debian 13. There, a script gives the answers that the command gave outside.
"""

import contextlib
import shutil
import smtplib
import subprocess
import tempfile
from pathlib import Path

import pytest
from booted import obstacle
from clean_debian import unpack_debian
from recipe import PROGRAM, Recipe
from serving import delivered, filtered, mails, same_mail
from watching import until

OBSTACLE = obstacle()
pytestmark = [pytest.mark.peers, pytest.mark.timeout(600), pytest.mark.skipif(bool(OBSTACLE), reason=OBSTACLE)]

PAGE, OTHERS = Recipe("recipes/dovecot24"), Recipe("recipes/dovecot")
SETTINGS = "/etc/dovecot/conf.d/99-spamlstm.conf"
SCRIPT = "/etc/dovecot/sieve/spamlstm.sieve"
FILTER = "/etc/dovecot/sieve-filter/spamlstm"
USERS_SCRIPT = "~/.dovecot.sieve"
PACKAGES = ("dovecot-lmtpd", "dovecot-sieve")
OWN = """
protocols = lmtp
mail_driver = maildir
mail_path = ~/Maildir
mail_inbox_path = ~/Maildir
log_path = /var/log/dovecot.log
"""
ANSWER = """#!/bin/sh
cat > "/tmp/mail.$$"
if grep -q 'score=99.0' "/tmp/mail.$$"; then exec cat /answers/inbox; fi
exec cat /answers/junk
"""
START = """
mount -t proc proc "$1/proc"
mount --bind /dev "$1/dev"
exec chroot "$1" /bin/sh -euc "id ann >/dev/null || useradd -m ann; chown -R ann: /home/ann
sievec /etc/dovecot/sieve/spamlstm.sieve; exec dovecot -F"
"""


@pytest.fixture(scope="module")
def system(root, tiny, tmp_path_factory):
    """Give a folder with Debian 13, Dovecot and the files of the pages. A socket needs the short path of the folder."""
    with tempfile.TemporaryDirectory(dir="/tmp") as base:
        folder = Path(base) / "system"
        unpack_debian(folder, kept=root / "build", release="trixie", packages=PACKAGES)
        PAGE.write(SETTINGS, folder / SETTINGS[1:], {})
        (folder / "etc/dovecot/local.conf").write_text(OWN)
        (folder / PROGRAM[1:]).write_text(ANSWER)
        (folder / PROGRAM[1:]).chmod(0o755)
        (folder / "answers").mkdir()
        for name, mail in mails().items():
            answer = filtered(mail, model=tiny, state=tmp_path_factory.mktemp("state"))
            (folder / "answers" / name).write_bytes(answer)
        yield folder


@contextlib.contextmanager
def dovecot(system, *, sieve="", change=str):
    """Run Dovecot in the folder; give a function that delivers a message to ann, and her Maildir, which is new.

    `change` changes the script for all users; `sieve` is ann's script.
    """
    OTHERS.write(FILTER, system / FILTER[1:], {}).chmod(0o755)
    script = OTHERS.write(SCRIPT, system / SCRIPT[1:], {})
    script.write_text(change(script.read_text()))
    home = system / "home/ann"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    (home / ".dovecot.sieve").write_text(sieve)
    namespaces = ["--mount", "--pid", "--net", "--fork", "--kill-child"]
    process = subprocess.Popen(["unshare", *namespaces, "sh", "-euc", START, "sh", str(system)])
    socket = system / "run/dovecot/lmtp"

    def deliver(mail):
        with smtplib.LMTP(str(socket)) as client:
            client.sendmail("sender@example.net", ["ann"], mail)

    try:
        until(lambda: socket.exists() or process.poll() is not None)
        assert process.poll() is None
        yield deliver, system / "home/ann/Maildir"
    finally:
        process.kill()
        process.wait()
        socket.unlink(missing_ok=True)


def test_spam_is_filed(system):
    """Spam is in Junk and ham in the inbox. If the command fails, spam is in the inbox."""
    spam, ham = mails()["junk"], mails()["inbox"]
    with dovecot(system) as (deliver, maildir):
        deliver(spam)
        deliver(ham)
        assert [same_mail(raw, spam) and b"X-Spam-Flag: YES" in raw for raw in delivered(maildir / ".Junk")] == [True]
        assert [same_mail(raw, ham) and b"X-Spam-Flag" not in raw for raw in delivered(maildir)] == [True]
        for number, script in enumerate(("exit 1", "cat > /dev/null; echo lost; exit 1", "kill -9 $$")):
            (system / FILTER[1:]).write_text(f"#!/bin/sh\n{script}\n")
            deliver(spam)
            assert same_mail(delivered(maildir, number + 2)[-1], spam)


def test_spamtest(system):
    """A script of a user with `spamtest` files spam, and leaves ham in the inbox."""
    script = OTHERS.files[USERS_SCRIPT]
    with dovecot(system, sieve=script, change=lambda text: text[: text.index("if ")]) as (deliver, maildir):
        for name, mail in mails().items():
            deliver(mail)
            assert [same_mail(raw, mail) for raw in delivered(maildir / {"inbox": "", "junk": ".Junk"}[name])] == [True]
