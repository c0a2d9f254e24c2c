"""OpenSMTPD delivers into Maildirs, and the daemon files spam there."""

import contextlib
import os
import subprocess

import pytest
from maildirs import make
from ports import free_port
from recipe import SERVERS, Recipe
from serving import accounts, delivered, for_users, gtube, mails, same_mail, send, serving, until_listening
from watching import until

SMTPD = SERVERS / "opensmtpd"
ANN = "ann@localhost"
pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.peers,
    pytest.mark.skipif(not SMTPD.exists(), reason="OpenSMTPD is not unpacked here"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can start OpenSMTPD"),
]
RECIPE = Recipe("recipes/opensmtpd")


@contextlib.contextmanager
def opensmtpd(service, home):
    """Run OpenSMTPD with the settings of the page, and its own queue; give its port."""
    folder, port = service.home(), free_port()
    for name in ("spool/smtpd", "lib/opensmtpd/empty", "run", "etc"):
        (folder / name).mkdir(parents=True)
    (folder / "spool" / "smtpd").chmod(0o711)
    (folder / "etc" / "aliases").write_text("postmaster: root\n")
    places = {"/etc/aliases": folder / "etc" / "aliases", "localhost": f"127.0.0.1 port {port}"}
    config = RECIPE.write("/etc/smtpd.conf", folder / "etc" / "smtpd.conf", places)
    config.chmod(0o600)
    view = {
        **accounts(service, {"ann": home}, "opensmtpd", "opensmtpq"),
        "/usr/libexec": SMTPD / "usr" / "libexec",
        "/var/spool": folder / "spool",
        "/var/lib": folder / "lib",
        "/run": folder / "run",
    }
    command = [*for_users(service.folder, view), SMTPD / "usr" / "sbin" / "smtpd", "-d", "-f", config]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        until_listening(port, process)
        yield port
    finally:
        process.terminate()
        process.wait()


def test_spam_is_filed(tiny):
    """The daemon files spam, and does not change ham. Mail that comes without the daemon is filed at the next start."""
    spam, ham = mails()["junk"], mails()["inbox"]
    with serving(tiny, RECIPE.files["/etc/spamlstm/config.toml"]) as service:
        home = service.folder / "home" / "ann"
        make(home / "Maildir")
        service.give(home.parent)
        service.visit()  # the daemon leaves mail alone that is there when it first sees a Maildir
        with opensmtpd(service, home) as port:
            send(port, spam, ANN)
            send(port, ham, ANN)
            delivered(home / "Maildir" / ".Junk", 1)
            with service.stopped():
                send(port, gtube(), ANN)
                send(port, ham, ANN)
                until(lambda: len(list((home / "Maildir" / "new").iterdir())) == 3, seconds=30)
            filed = delivered(home / "Maildir" / ".Junk", 2)
        assert [same_mail(raw, spam) for raw in filed] == [True, False]
        assert all(b"X-Spam-Flag: YES" in raw for raw in filed)
        kept = delivered(home / "Maildir", 2)
        assert len(kept) == 2
        assert all(raw.endswith(ham.replace(b"\r\n", b"\n")) for raw in kept)
