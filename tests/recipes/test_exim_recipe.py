"""Exim asks our daemon by the protocol of spamd, and files spam."""

import contextlib
import os
import re
import subprocess

import pytest
from ports import free_port
from recipe import SERVERS, Recipe
from serving import accounts, delivered, for_users, mails, same_mail, send, until_listening

EXIM = SERVERS / "exim4-daemon-heavy" / "usr" / "sbin" / "exim4"
pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.peers,
    pytest.mark.skipif(not EXIM.exists(), reason="Exim is not unpacked here"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can give Exim its user"),
]
RECIPE = Recipe("recipes/exim")
ANN = "ann@mx.example.org"
MAIN = """
exim_path = {exim}
exim_user = {user}
exim_group = {group}
deliver_drop_privilege
spool_directory = {folder}/spool
log_file_path = {folder}/%slog
pid_file_path = {folder}/pid
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
primary_hostname = mx.example.org
keep_environment =
acl_smtp_rcpt = acl_check_rcpt
"""
ACL = """
begin acl
acl_check_rcpt:
  accept
"""
INBOX = """
inbox:
  driver = accept
  check_local_user
  transport = maildir_inbox

begin transports
maildir_inbox:
  driver = appendfile
  directory = $home/Maildir
  maildir_format
"""


@contextlib.contextmanager
def exim(service):
    """Run Exim with the files of the page, and its own spool; give its port and the Maildir of ann."""
    home, folder = service.home(), service.home()
    for name in ("ann", "bob"):
        (home / name).mkdir()
    service.give(home)
    port = free_port()
    owner = service.owner
    settings = RECIPE.file("/etc/exim4/exim4.conf", {"/run/spamlstm/spamd.sock": service.spamd})
    settings = settings.replace("begin acl\n", ACL).replace("begin transports\n", INBOX)
    main = MAIN.format(exim=EXIM, user=owner.pw_uid, group=owner.pw_gid, folder=folder, port=port)
    (service.folder / "exim.conf").write_text(main + settings)
    places = accounts(service, {name: home / name for name in ("ann", "bob")}, "Debian-exim")
    command = [*for_users(service.folder, places), EXIM, "-C", service.folder / "exim.conf", "-bdf"]
    process = subprocess.Popen(command, start_new_session=True)

    try:
        until_listening(port, process)
        yield port, home / "ann" / "Maildir"
    finally:
        process.terminate()
        process.wait()
        print((folder / "mainlog").read_text())  # noqa: T201  shown if the test fails


def test_spam_is_filed(service):
    """Spam is in Junk and ham in the inbox. Without the daemon, spam is in the inbox, without the forged headers."""
    spam, ham = mails()["junk"], mails()["inbox"]
    with exim(service) as (port, maildir):
        send(port, spam, ANN)
        send(port, ham, ANN)
        send(port, spam, ANN, "bob@mx.example.org")
        found = {name: delivered(maildir / name, count) for name, count in (("", 1), (".Junk", 2))}
        assert [len(one) for one in found.values()] == [1, 2]
        assert all(same_mail(raw, ham) and b"X-Spam-Flag" not in raw for raw in found[""])
        assert all(raw.count(b"X-Spam-Status: No, score=") == 1 for raw in found[""])
        assert all(same_mail(raw, spam) and b"X-Spam-Flag: YES" in raw for raw in found[".Junk"])
        done = subprocess.run([service.program, "filter"], input=spam, capture_output=True, check=True)
        scores = {re.search(rb"X-Spam-Status: Yes, (score=\S+)", raw)[1] for raw in (*found[".Junk"], done.stdout)}
        assert len(scores) == 1
        with service.stopped():
            send(port, spam, ANN)
            send(port, ham, ANN)
            found = delivered(maildir, 3)
        assert b"X-Spam-Flag" not in b"".join(found)
