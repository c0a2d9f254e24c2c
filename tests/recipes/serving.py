"""The program as other programs call it: a command for all users, and a daemon that answers it."""

import contextlib
import grp
import os
import pwd
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from dovecot import Dovecot
from recipe import Recipe
from tiny_bundle import HAM, SPAM
from watching import until

from spamlstm.cli.filter import filter_here
from spamlstm.cli.filter_client import FilterOptions
from spamlstm.daemon.server import ask
from spamlstm.maildir.headers import untag

ROOT = Path(__file__).resolve().parents[2]
HEADERS = b"Date: Sat, 28 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.net>\r\nX-Odd: \xe9\x80 8-bit\r\n"
"""Headers that mail servers add if they are missing, and one that a careless program would change."""

# The command of the pages. The daemon of the machine has a socket in /run, which is not free for tests.
COMMAND = """#!/bin/sh
export SPAMLSTM_MODEL='{model}' PYTHONPATH='{root}' PYTHONDONTWRITEBYTECODE=1
export XDG_CONFIG_HOME='{state}/config' XDG_STATE_HOME='{state}'
{more}
exec '{python}' -m spamlstm "$@"
"""
LMTP_WITH_SIEVE = "\nprotocols = imap lmtp\nprotocol lmtp {\nmail_plugins = sieve\n}\n"
"""Settings with which Dovecot runs a Sieve script when LMTP delivers."""
CONFIG = """
[filter]
listen = "unix:/run/spamlstm/filter.sock"
group = "mail"
[spamd]
listen = "unix:/run/spamlstm/spamd.sock"
group = "mail"
"""


@dataclass
class Service:
    """The folder of the command and of the daemon, and a user who owns the mail."""

    folder: Path
    model: Path
    owner: pwd.struct_passwd
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def program(self) -> str:
        """The path of the command."""
        return str(self.folder / "bin" / "spamlstm")

    @property
    def state(self) -> Path:
        """The state folder of the daemon."""
        return self.folder / "state"

    @property
    def spamd(self) -> str:
        """The path of the socket for the protocol of spamd."""
        return str(self.folder / "run" / "spamd.sock")

    def start(self) -> None:
        """Start the daemon, and wait until it is ready."""
        command = [
            sys.executable,
            "-m",
            "spamlstm",
            "run",
            "--config",
            self.folder / "daemon.toml",
            "--state",
            self.state,
        ]
        environment = {**os.environ, "SPAMLSTM_MODEL": str(self.model)}
        log = self.folder / "log"
        with log.open("w") as out:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=out)
        until(lambda: " ready " in log.read_text() or self.process.poll() is not None)
        assert self.process.poll() is None, log.read_text()

    def stop(self) -> None:
        """End the daemon."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait()

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Run the block without the daemon."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextlib.contextmanager
    def broken(self) -> Iterator[None]:
        """Run the block with a configuration that the command cannot read. The daemon must not run."""
        config = self.folder / "user" / "config" / "spamlstm" / "config.toml"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text("broken")
        try:
            yield
        finally:
            config.unlink()

    def visit(self) -> None:
        """Make the daemon compare all Maildirs with what it knows of them, and wait until it has done so."""

        def rounds() -> int:
            return int(ask(self.state)["learning"]["rounds"])

        before = rounds()
        self.process.send_signal(signal.SIGHUP)
        until(lambda: rounds() > before)

    def home(self) -> Path:
        """Return a new folder that belongs to the owner of the mail."""
        path = Path(tempfile.mkdtemp(prefix="home-", dir=self.folder))
        self.give(path)
        return path

    def give(self, *paths: Path) -> None:
        """Make the owner of the mail the owner of `paths`, and of everything in them."""
        for path in paths:
            for one in (path, *path.rglob("*")):
                os.chown(one, self.owner.pw_uid, self.owner.pw_gid)


def command(path: Path, *, model: Path, state: Path, more: str = "") -> Path:
    """Write the command of the pages to `path`; `more` are lines of a shell script. Returns the path."""
    text = COMMAND.format(model=model, state=state, more=more, root=ROOT, python=sys.executable)
    path.write_text(text)
    path.chmod(0o755)
    return path


@contextlib.contextmanager
def serving(model: Path, config: str = CONFIG) -> Iterator[Service]:
    """Run a daemon for mail of another user than root, as most programs refuse root's mail.

    `config` is the configuration of a machine; its sockets, its Maildirs and its group are replaced by those here.
    """
    owner = pwd.getpwuid(os.geteuid()) if os.geteuid() else pwd.getpwnam("nobody")
    # The path is short, as that of a socket must be, and all users may enter the folder.
    folder = Path(tempfile.mkdtemp(prefix="rc-", dir="/tmp"))
    service = Service(folder, folder / "model", owner)
    try:
        folder.chmod(0o755)
        shutil.copytree(model, service.model)
        for name in ("bin", "run", "user", "vmail"):
            (folder / name).mkdir()
        service.give(folder / "user", folder / "vmail")
        asking = f"""[ "$1" = filter ] && set -- "$@" --quiet --socket '{folder}/run/filter.sock'"""
        command(Path(service.program), model=service.model, state=folder / "user", more=asking)
        for place, here in (("/run/spamlstm", "run"), ("/var/vmail", "vmail"), ("/home/", "home/")):
            config = config.replace(place, f"{folder}/{here}")
        group = grp.getgrgid(owner.pw_gid).gr_name
        (folder / "daemon.toml").write_text(config.replace('group = "mail"', f'group = "{group}"'))
        service.start()
        yield service
    finally:
        service.stop()
        shutil.rmtree(folder)


# --- users ------------------------------------------------------------------------------------------------------------

VIEW = """
set -eu
{mounts}
exec "$@"
"""


def for_users(folder: Path, places: Mapping[str, Path] = MappingProxyType({})) -> Sequence[str]:
    """Return a command that runs another one so that programs of all users can start Python and read the checkout.

    Root may have both where nobody else can enter. `places` are paths of the system, and the files and folders that the
    command has there: it has a mount namespace of its own. Without root, the command runs as it is.
    """
    if os.geteuid():
        return ()
    view = Path(tempfile.mkdtemp(prefix="view-", dir=folder))
    closed: dict[Path, set[Path]] = {}
    for path in (Path(sys.base_prefix), Path(sys.prefix), ROOT):
        first = next((one for one in reversed(path.parents) if not one.stat().st_mode & 0o001), None)
        if first is not None:
            closed.setdefault(first, set()).add(path.relative_to(first))
    lines = [f"mount -t tmpfs -o mode=755 tmpfs {view}"]
    for number, (first, below) in enumerate(closed.items()):
        for one in below:
            place = view / str(number) / one
            lines += [f"mkdir -p {place}", f"mount --bind {first / one} {place}"]
        lines.append(f"mount --rbind {view / str(number)} {first}")
    lines += [f"mount --bind {path} {place}" for place, path in places.items()]
    return ["unshare", "--mount", "sh", "-c", VIEW.format(mounts="\n".join(lines)), "sh"]


def accounts(service: Service, homes: Mapping[str, Path], *system: str) -> dict[str, Path]:
    """Return the files of accounts for `for_users`: users with the id of the owner of the mail, and users of programs.

    `homes` are the names and home folders of the users. Programs take a home folder from there and not from $HOME.
    """
    folder = Path(tempfile.mkdtemp(prefix="accounts-", dir=service.folder))
    folder.chmod(0o755)
    owner = service.owner
    users = [f"{name}:x:{owner.pw_uid}:{owner.pw_gid}::{home}:/bin/sh" for name, home in homes.items()]
    groups = []
    for number, name in enumerate(system, start=60000):
        users.append(f"{name}:x:{number}:{number}::/nonexistent:/bin/false")
        groups.append(f"{name}:x:{number}:")
    for name, lines in (("passwd", users), ("group", groups)):
        real = Path("/etc", name).read_text()
        (folder / name).write_text("".join(f"{line}\n" for line in lines) + real)
    return {f"/etc/{name}": folder / name for name in ("passwd", "group")}


def as_owner(service: Service, home: Path) -> Sequence[str]:
    """Return a command that runs another one as the owner of the mail, who is ann with the home folder `home`."""
    owner = service.owner
    user = (f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups")
    settings = (f"HOME={home}", "USER=ann", "LOGNAME=ann", f"PATH={os.defpath}")
    view = for_users(service.folder, accounts(service, {"ann": home}))
    return [*view, "setpriv", *user, "env", "-i", "-C", str(home), *settings]


def until_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a mail server accepts connections. Fails if the process ends."""

    def is_listening() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return True
        assert process.poll() is None
        return False

    until(is_listening)


def send(port: int, mail: bytes, *recipients: str, sender: str = "sender@example.net") -> None:
    """Send a message to a mail server."""
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail(sender, recipients, mail)


# --- mail -------------------------------------------------------------------------------------------------------------


def send_lmtp(server: Dovecot, mail: bytes, recipient: str = "ann@example.org") -> None:
    """Deliver a message to Dovecot by LMTP."""
    with smtplib.LMTP(str(server.folder / "run" / "lmtp")) as client:
        client.sendmail("sender@example.net", [recipient], mail)


def mails() -> dict[str, bytes]:
    """Return messages by the folder that they belong in. Their bytes are odd, and their headers partly forged."""
    forged = b"X-Spam-Flag: YES\r\nX-Spam-Status: Yes, score=99.0 required=5.0\r\n"
    body = b"\r\nFrom here on\r\n.\r\n..dots\r\n>From there\r\n \r\n\xe9\x80\xff = =20\r\n"
    return {"inbox": HEADERS + forged + HAM + body, "junk": HEADERS + SPAM + body}


def gtube() -> bytes:
    """Return the message with which users check a recipe."""
    return Recipe("recipes").files["gtube.eml"].encode()


def filtered(mail: bytes, *, model: Path, state: Path, bogofilter: bool = False) -> bytes:
    """Return what `spamlstm filter` writes for a message."""
    options = FilterOptions()
    options.model, options.state, options.bogofilter = str(model), str(state), bogofilter
    return filter_here(options, mail)[1]


def delivered(folder: Path, count: int = 1) -> list[bytes]:
    """Wait until exactly `count` messages are in a Maildir folder, and return them, the oldest first.

    A message that is being filed is in both folders for a moment.
    """

    def found() -> list[Path]:
        return [path for part in ("new", "cur") for path in (folder / part).glob("*")]

    until(lambda: len(found()) == count, seconds=30)
    return [path.read_bytes() for path in sorted(found(), key=lambda path: path.stat().st_mtime_ns)]


def same_mail(raw: bytes, sent: bytes) -> bool:
    """Return whether a delivered message is the sent one, with lines of mail servers and of this program above it."""
    return untag(raw).replace(b"\r\n", b"\n").endswith(untag(sent).replace(b"\r\n", b"\n"))
