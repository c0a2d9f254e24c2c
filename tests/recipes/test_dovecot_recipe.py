"""Dovecot runs `spamlstm filter` in a Sieve script when LMTP delivers a message."""

import contextlib
import re
import shutil
from collections.abc import Callable, Iterator

import pytest
from dovecot import Dovecot, running
from recipe import PROGRAM, Recipe
from serving import Service, delivered, for_users, mails, same_mail, send_lmtp, serving
from tiny_bundle import UNSURE

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.peers,
    pytest.mark.skipif(shutil.which("dovecot") is None, reason="dovecot is not installed here"),
]
RECIPE = Recipe("recipes/dovecot")
SETTINGS = "/etc/dovecot/conf.d/99-spamlstm.conf"
SCRIPT = "/etc/dovecot/sieve/spamlstm.sieve"
FILTER = "/etc/dovecot/sieve-filter/spamlstm"
LMTP = "\nprotocols = imap lmtp\n"


@contextlib.contextmanager
def dovecot(
    service: Service, *, sieve: str = "", change: Callable[[str], str] = str, **settings: str
) -> Iterator[Dovecot]:
    """Run Dovecot with the files of the page. `change` changes the script for all users; `sieve` is ann's script."""
    etc = service.folder / "dovecot"
    RECIPE.write(FILTER, etc / "sieve-filter" / "spamlstm", {PROGRAM: service.program}).chmod(0o755)
    script = RECIPE.write(SCRIPT, etc / "sieve" / "spamlstm.sieve", {})
    script.write_text(change(script.read_text()))
    service.give(etc)
    more = LMTP + RECIPE.file(SETTINGS, {"/etc/dovecot": etc})
    with running(more, sieve=sieve, within=for_users(service.folder), **settings) as server:
        try:
            yield server
        finally:
            shutil.rmtree(etc)


def test_spam_is_filed(service):
    """Spam is in Junk and ham in the inbox, with and without the daemon; if we cannot judge, spam is in the inbox."""
    spam, ham = mails()["junk"], mails()["inbox"]
    with dovecot(service) as server:
        send_lmtp(server, spam)
        send_lmtp(server, ham)
        with service.stopped():
            send_lmtp(server, spam)
            send_lmtp(server, ham)
            assert server.complaints() == []
            with service.broken():
                send_lmtp(server, spam)
        found = {name: delivered(server.maildir / name, count) for name, count in (("", 3), (".Junk", 2))}
        assert [len(one) for one in found.values()] == [3, 2]
        assert all(same_mail(raw, ham) and b"X-Spam-Flag" not in raw for raw in found[""][:2])
        assert all(same_mail(raw, spam) and b"X-Spam-Flag: YES" in raw for raw in found[".Junk"])
        assert same_mail(found[""][2], spam)


def test_spamtest(service):
    """A script of a user with `spamtest` files spam, and neither ham nor unsure mail."""
    script = RECIPE.files["~/.dovecot.sieve"]
    with dovecot(service, sieve=script, change=lambda text: text[: text.index("if ")]) as server:
        for mail in (UNSURE, *mails().values()):
            send_lmtp(server, mail)
        assert [same_mail(raw, mails()["junk"]) for raw in delivered(server.maildir / ".Junk")] == [True]
        assert len(delivered(server.maildir, 2)) == 2


def test_a_command_that_fails(service):
    """A command that fails, is killed or takes too long leaves the message in the inbox, with all its bytes."""
    scripts = ("exit 1", "cat > /dev/null; echo lost; exit 1", "kill -9 $$", "exec timeout 0.1 sleep 60")
    with dovecot(service) as server:
        command = service.folder / "dovecot" / "sieve-filter" / "spamlstm"
        for number, script in enumerate(scripts):
            command.write_text(f"#!/bin/sh\n{script}\n")
            send_lmtp(server, mails()["junk"])
            assert same_mail(delivered(server.maildir, number + 1)[-1], mails()["junk"])
        assert "Panic" not in (server.folder / "dovecot.log").read_text()
    limits = [re.search(pattern, RECIPE.text)[1] for pattern in (r"exec timeout (\d+) ", r"exec_timeout = (\d+)s")]
    assert int(limits[0]) < int(limits[1])


def test_moves_teach(tiny):
    """Mail like that which ann moves to Junk is filed for ann from then on, and not for bob."""
    config = Recipe("recipes").files["/etc/spamlstm/config.toml"]
    with serving(tiny, config) as service, dovecot(service, location=f"{service.folder}/vmail/%d/%n/Maildir") as server:

        def receive(count):
            for user in ("ann", "bob"):
                send_lmtp(server, UNSURE, f"{user}@example.org")
            box = service.folder / "vmail" / "example.org"
            return [len(delivered(box / folder, number)) for folder, number in count.items()]

        assert receive({"ann/Maildir": 1, "bob/Maildir": 1}) == [1, 1]
        service.visit()
        with server.session("ann@example.org") as session:
            session.select("INBOX")
            assert session.uid("MOVE", "1", "Junk")[0] == "OK"
        service.visit()
        assert receive({"ann/Maildir/.Junk": 2, "bob/Maildir": 2}) == [2, 2]
