"""A Postfix for one test, with its configuration, queue, log and mail in one folder."""

import contextlib
import os
import pwd
import shutil
import smtplib
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from watching import until

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.example.net
mydestination =
notify_classes =
smtpd_authorized_xclient_hosts = 127.0.0.1
smtpd_tls_cert_file = {folder}/etc/pair.pem
smtpd_tls_key_file = {folder}/etc/pair.pem
smtpd_tls_security_level = may
smtpd_relay_restrictions = reject_unauth_destination
smtpd_client_connection_count_limit = 0
virtual_mailbox_domains = example.net
virtual_mailbox_base = {folder}
virtual_mailbox_maps = static:mail/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
"""
PAIR = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=mx -out pair.pem -keyout pair.pem"
)
MASTER = """
127.0.0.1:{port} inet n - n - 100 smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
proxymap unix - - n - - proxymap
tlsmgr unix - - n 1000? 1 tlsmgr
virtual unix - n n - 40 virtual
anvil unix - - n - 1 anvil
showq unix n - n - - showq
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass(frozen=True)
class Postfix:
    """A server that delivers all mail for example.net to one Maildir."""

    folder: Path
    port: int

    @property
    def maildir(self) -> Path:
        """Return the Maildir."""
        return self.folder / "mail"

    @contextlib.contextmanager
    def session(self, name: str = "mail.example.com", address: str = "192.0.2.7") -> Iterator[smtplib.SMTP]:
        """Give a client that the server takes for another machine."""
        with smtplib.SMTP("127.0.0.1", self.port, timeout=60) as client:
            client.ehlo()
            assert client.docmd(f"XCLIENT NAME={name} ADDR={address}")[0] == 220
            client.ehlo("mail.example.com")
            yield client

    def queue(self) -> list[str]:
        """Return the messages that are not delivered: the names of their queues with their ids."""
        return [f"{name}/{path.name}" for name in QUEUES for path in (self.folder / "queue" / name).rglob("*[0-9A-F]")]

    def complaints(self) -> list[str]:
        """Return the warnings and errors in the log."""
        lines = (self.folder / "log").read_text().splitlines()
        return [line for line in lines if any(word in line for word in ("warning:", "error:", "fatal:", "panic:"))]


QUEUES = ("maildrop", "hold", "incoming", "active", "deferred")


@contextlib.contextmanager
def running_postfix(more: str) -> Iterator[Postfix]:
    """Run a server with `more` configuration. Postfix can be started by root only."""
    folder = Path(tempfile.mkdtemp(prefix="px-", dir="/tmp"))
    folder.chmod(0o755)
    owner = pwd.getpwnam("nobody")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        server = Postfix(folder, int(probe.getsockname()[1]))
    for name in ("etc", "queue", "data", "mail"):
        (folder / name).mkdir()
    os.chown(folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
    os.chown(folder / "mail", owner.pw_uid, owner.pw_gid)
    main = MAIN.format(folder=folder, uid=owner.pw_uid, gid=owner.pw_gid)
    (folder / "etc" / "main.cf").write_text(main + more.format(folder=folder))
    (folder / "etc" / "master.cf").write_text(MASTER.format(port=server.port))
    subprocess.run(PAIR.split(), cwd=folder / "etc", capture_output=True, check=True)
    try:
        _postfix(server, "start")
        until(lambda: _is_listening(server))
        yield server
    finally:
        _postfix(server, "stop")
        shutil.rmtree(folder)


def _postfix(server: Postfix, command: str) -> None:
    done = subprocess.run(
        ["postfix", "-c", server.folder / "etc", command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def _is_listening(server: Postfix) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=5):
        return True
    return False
