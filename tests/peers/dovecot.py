"""A Dovecot for one test, with its configuration, sockets, log and mail in one folder."""

import contextlib
import grp
import imaplib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ports import free_port
from watching import deliver, message

AGENT = Path("/usr/lib/dovecot/dovecot-lda")

CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
protocols = imap pop3
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
default_internal_user = {internal}
default_internal_group = {group}
default_login_user = {login}
first_valid_uid = 1
mail_location = maildir:{location}
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home
}}
namespace inbox {{
  inbox = yes
{mailboxes}
}}
postmaster_address = root@localhost
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop_port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
"""


def has_pigeonhole() -> bool:
    """Return whether Dovecot's Sieve is installed here."""
    return AGENT.exists() and any(Path("/usr/lib/dovecot/modules").glob("*sieve_plugin.so"))


@dataclass
class Dovecot:
    """A server with the mailbox of the user `ann`. `within` is the command that runs the server, if any."""

    folder: Path
    port: int
    pop_port: int
    uid: int
    gid: int
    within: Sequence[str] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def maildir(self) -> Path:
        return self.folder / "Maildir"

    @contextlib.contextmanager
    def session(self, user: str = "ann") -> Iterator[imaplib.IMAP4]:
        """Give a client that is logged in."""
        with imaplib.IMAP4("127.0.0.1", self.port, timeout=30) as client:
            client.login(user, "secret")
            yield client

    def deliver(self, number: int, folder: str = "", *, raw: bytes = b"") -> None:
        """Deliver `raw`, or the message with a number, which belongs to the owner of the mailbox."""
        deliver(self.maildir / folder, number, owner=(self.uid, self.gid), raw=raw)

    def receive(self, number: int, user: str = "ann", *, raw: bytes = b"") -> None:
        """Deliver `raw`, or the message with a number, by Dovecot's delivery agent, which runs the Sieve script."""
        agent = [str(AGENT), "-c", str(self.folder / "dovecot.conf"), "-d", user]
        subprocess.run(agent, input=raw or message(number), check=True)

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        command = [*self.within, "dovecot", "-F", "-c", self.folder / "dovecot.conf"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE)
        _wait_for(self, self.process)

    def stop(self) -> None:
        """Stop the server and all its sessions, if it runs."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:  # it waits for clients that a failed test has left
            self.process.kill()
            self.process.communicate()

    def renumber(self, *folders: str, validity: int | None = None) -> None:
        """Give the messages of folders new UIDs, as a server does that has lost its index. The server must not run.

        `validity` is the new UIDVALIDITY; without it, the old one remains, as after a backup was restored. Dovecot
        itself would choose the time of day, which may be that of another folder at the first start.
        """
        for path in (self.maildir / one for one in folders):
            former = (path / "dovecot-uidlist").read_text().split()[1].removeprefix("V")
            for one in path.glob("dovecot*"):
                one.unlink()
            (path / "dovecot-uidlist").write_text(f"3 V{validity or former} N1\n")
            os.chown(path / "dovecot-uidlist", self.uid, self.gid)

    def complaints(self) -> list[str]:
        """Return the warnings and errors in the log."""
        words = ("Error:", "Warning:", "Fatal:", "Panic:")
        # A jump of the clock only means that the machine is busy.
        return [
            line
            for line in (self.folder / "dovecot.log").read_text().splitlines()
            if any(word in line for word in words) and "Time moved" not in line
        ]


SIEVE = """
protocol lda {{
  mail_plugins = sieve
}}
plugin {{
  sieve = file:{folder}/home/sieve;active={folder}/home/.dovecot.sieve
}}
"""
COMPRESSED = """
mail_plugins = $mail_plugins zlib
plugin {{
  zlib_save = {how}
}}
"""


@contextlib.contextmanager
def running(
    more: str = "",
    *,
    mailboxes: Sequence[str] = ("Archive", "Junk", "Trash"),
    sieve: str = "",
    location: str = "Maildir",
    within: Sequence[str] = (),
) -> Iterator[Dovecot]:
    """Run a server with `mailboxes`, `more` configuration, and a Sieve script for `Dovecot.receive`.

    The mail is in `location`, in which %u is the user; by default there is one mailbox. It belongs to another user than
    root, as Dovecot refuses root's mail. `within` is the command that runs the server, if any.
    """
    # The path is short, as that of a socket must be, and the owner of the mail may enter the folder.
    folder = Path(tempfile.mkdtemp(prefix="dc-", dir="/tmp"))
    try:
        folder.chmod(0o755)
        server = Dovecot(folder, free_port(), free_port(), *_owner(), within)
        for path in (folder / "home", *(server.maildir / part for part in ("tmp", "new", "cur"))):
            path.mkdir(parents=True, mode=0o755)
        (folder / "home" / ".dovecot.sieve").write_text(sieve)
        (folder / "boxes").mkdir()
        home = (folder / "home", *(folder / "home").iterdir())
        for path in (*home, folder / "boxes", server.maildir, *server.maildir.iterdir()):
            os.chown(path, server.uid, server.gid)
        config = folder / "dovecot.conf"
        settings = {
            "mailboxes": "".join(f"mailbox {name} {{\nauto = create\n}}\n" for name in mailboxes),
            "location": folder / location,
        }
        more += SIEVE.format(folder=folder) if sieve else ""
        config.write_text(CONFIG.format(**_names(), **vars(server), **settings) + more)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def _owner() -> tuple[int, int]:
    if os.geteuid():
        return os.geteuid(), os.getegid()
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def _names() -> dict[str, str]:
    if os.geteuid() == 0:
        return {"internal": "dovecot", "group": "dovecot", "login": "dovenull"}
    mine = pwd.getpwuid(os.geteuid()).pw_name
    return {"internal": mine, "group": grp.getgrgid(os.getegid()).gr_name, "login": mine}


def _wait_for(server: Dovecot, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=5):
            return
        if process.poll() is not None:
            raise AssertionError(process.communicate()[1].decode())
        time.sleep(0.05)
    raise AssertionError((server.folder / "dovecot.log").read_text())
