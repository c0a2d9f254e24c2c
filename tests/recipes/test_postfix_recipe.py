"""Postfix runs `spamlstm filter` as a content filter, and Dovecot files the message that Postfix sends on."""

import contextlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from dovecot import running
from ports import free_port
from recipe import PROGRAM, Recipe
from serving import LMTP_WITH_SIEVE, delivered, for_users, mails, same_mail, send, until_listening
from watching import until

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.peers,
    pytest.mark.skipif(shutil.which("postfix") is None, reason="Postfix is not installed here"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can start Postfix"),
]
RECIPE = Recipe("recipes/postfix")
ANN = "ann@example.org"
SCRIPT = "/usr/local/lib/spamlstm-postfix"
MAIN = """
compatibility_level = 3.6
myhostname = mx.example.org
mydestination =
virtual_mailbox_domains = example.org
virtual_transport = lmtp:unix:{lmtp}
inet_interfaces = 127.0.0.1
maillog_file = {log}
maillog_file_prefixes = {log.parent}
"""


@contextlib.contextmanager
def postfix(service, lmtp):
    """Run Postfix with the files of the page, and its own settings and queue; give its port and its folder."""
    folder, port = service.folder / "postfix", free_port()
    shutil.copytree("/etc/postfix", folder / "etc", symlinks=True)
    for name in ("queue", "data"):
        (folder / name).mkdir()
    shutil.chown(folder / "data", "postfix")
    script = RECIPE.write(SCRIPT, folder / "script", {PROGRAM: service.program})
    script.chmod(0o755)
    main = MAIN.format(lmtp=lmtp, log=folder / "log") + RECIPE.file("/etc/postfix/main.cf", {})
    (folder / "etc" / "main.cf").write_text(main)
    places = {SCRIPT: script, "user=mail": f"user={service.owner.pw_name}", "smtp ": f"127.0.0.1:{port} "}
    services = re.sub(r"(?m)^smtp +inet .*\n", "", Path("/usr/share/postfix/master.cf.dist").read_text())
    services = re.sub(
        r"(?m)^(\S+ +\S+ +\S+ +\S+ +)[y-]", r"\1n", services + RECIPE.file("/etc/postfix/master.cf", places)
    )
    (folder / "etc" / "master.cf").write_text(services)
    real = {"/etc/postfix": "etc", "/var/spool/postfix": "queue", "/var/lib/postfix": "data"}
    within = for_users(service.folder, {place: folder / name for place, name in real.items()})
    process = subprocess.Popen(
        [*within, "sh", "-c", "postfix check && exec /usr/lib/postfix/sbin/master -d"], start_new_session=True
    )
    try:
        until_listening(port, process)
        yield port, folder
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def test_spam_is_filed(service):
    """Spam is in Junk and ham in the inbox, with and without the daemon; if we cannot judge, spam is in the inbox."""
    spam, ham = mails()["junk"], mails()["inbox"]
    sieve = RECIPE.files["/etc/dovecot/sieve/junk.sieve"]
    with (
        running(LMTP_WITH_SIEVE, sieve=sieve) as server,
        postfix(service, server.folder / "run" / "lmtp") as (port, folder),
    ):
        send(port, spam, ANN)
        send(port, ham, ANN, "bob@example.org", sender="")  # as a report of delivery
        with service.stopped():
            send(port, spam, ANN)
            found = {name: delivered(server.maildir / name, 2) for name in ("", ".Junk")}
            with service.broken():
                send(port, spam, ANN)
                assert same_mail(delivered(server.maildir, 3)[-1], spam)
        assert [len(one) for one in found.values()] == [2, 2]
        assert all(same_mail(raw, ham) and b"X-Spam-Flag" not in raw for raw in found[""])
        assert all(b"Return-Path: <>\n" in raw for raw in found[""])
        assert all(same_mail(raw, spam) and b"X-Spam-Flag: YES" in raw for raw in found[".Junk"])
        Path(service.program).rename(service.folder / "away")
        send(port, spam, ANN)
        until(lambda: "status=deferred" in (folder / "log").read_text())
        (service.folder / "away").rename(service.program)
        assert list((folder / "queue" / "corrupt").iterdir()) == []
