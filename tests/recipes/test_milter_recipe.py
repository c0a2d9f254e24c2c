"""Postfix asks the milter about each message, and Dovecot files the message by its headers."""

import contextlib
import os
import shutil
import tomllib

import pytest
from dovecot import running
from listening import listening
from postfix import running_postfix
from recipe import Recipe
from serving import LMTP_WITH_SIEVE, delivered, filtered, mails, same_mail, send_lmtp
from watching import until

from spamlstm.config import Config, MilterConfig

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.peers,
    pytest.mark.skipif(shutil.which("postfix") is None, reason="Postfix is not installed here"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can start Postfix"),
]
RECIPE = Recipe("recipes/milter")


def test_spam_gets_our_headers_and_mail_arrives_without_us(tmp_path, classifier):
    """With the settings of the page, spam gets our headers and ham does not; without a daemon, mail is delivered."""
    address = tomllib.loads(RECIPE.files["/etc/spamlstm/config.toml"])["milter"]["listen"]
    settings = RECIPE.file("/etc/postfix/main.cf", {f"inet:{address}": "unix:{folder}/milter.sock"})
    assert "milter_default_action = accept\n" in settings
    spam, ham = mails()["junk"], mails()["inbox"]
    with running_postfix(settings) as server:
        for is_up in (True, False):
            with contextlib.ExitStack() as stack:
                if is_up:
                    config = MilterConfig(listen=f"unix:{server.folder}/milter.sock", group="postfix")
                    stack.enter_context(listening(tmp_path / "state", classifier, Config(milter=config)))
                for mail in (spam, ham):
                    with server.session() as client:
                        client.sendmail("ann@example.org", ["bob@example.net"], mail)
                    until(lambda: any((server.maildir / "new").glob("*")))
                    (path,) = (server.maildir / "new").iterdir()
                    raw = path.read_bytes()
                    path.unlink()
                    assert same_mail(raw, mail)
                    assert (b"X-Spam-Checker-Version: spamlstm" in raw) == is_up
                    if is_up:  # without the milter, the forged header of the ham stays
                        assert (b"X-Spam-Flag: YES" in raw) == (mail == spam)
            assert server.queue() == []


def test_a_message_with_our_headers_is_filed(tiny, tmp_path):
    """The script of the page files a message with the headers of spam into Junk, and other mail into the inbox."""
    sieve = RECIPE.files["/etc/dovecot/sieve/junk.sieve"]
    spam, ham = mails()["junk"], mails()["inbox"]
    with running(LMTP_WITH_SIEVE, sieve=sieve) as server:
        for mail in (spam, ham):
            send_lmtp(server, filtered(mail, model=tiny, state=tmp_path / "state"))
        assert [same_mail(raw, spam) for raw in delivered(server.maildir / ".Junk")] == [True]
        assert [same_mail(raw, ham) for raw in delivered(server.maildir)] == [True]
