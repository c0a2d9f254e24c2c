"""Delivery agents: programs that deliver a message from standard input into the Maildir of its user."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from serving import Service, as_owner, gtube, mails, same_mail

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run the program with another home folder")
Deliver = Callable[[bytes], int]


def agent(service: Service, home: Path, *command: str) -> Deliver:
    """Return a function that gives a message to the program as the owner of the mail, and returns its exit status."""

    def deliver(mail: bytes) -> int:
        done = subprocess.run([*as_owner(service, home), *command], input=mail.replace(b"\r\n", b"\n"), check=False)
        return done.returncode

    return deliver


def inside(home: Path) -> dict[str, list[bytes]]:
    """Return the messages in the inbox and in the junk folder, and remove them."""
    found = {}
    for name, folder in (("inbox", home / "Maildir"), ("junk", home / "Maildir" / ".Junk")):
        paths = [path for part in ("new", "cur") for path in (folder / part).glob("*")]
        found[name] = [path.read_bytes() for path in paths]
        for path in paths:
            path.unlink()
    return found


def check_agent(service: Service, home: Path, deliver: Deliver, *, tags: bool = True) -> None:
    """Check what the program does with spam and ham: with the daemon, without it, and if the command cannot classify.

    `tags` says that the program writes our headers.
    """
    spam, ham = mails()["junk"], mails()["inbox"]

    def check_filed() -> None:
        assert [deliver(spam), deliver(ham)] == [0, 0]
        found = inside(home)
        assert [len(one) for one in found.values()] == [1, 1]
        assert same_mail(found["inbox"][0], ham)
        assert same_mail(found["junk"][0], spam)
        if tags:
            assert b"X-Spam-Flag: YES\n" in found["junk"][0]
            assert b"X-Spam-Flag" not in found["inbox"][0]

    check_filed()
    assert deliver(gtube()) == 0
    assert [len(one) for one in inside(home).values()] == [0, 1]
    with service.stopped():
        check_filed()
        with service.broken():
            assert deliver(spam) == 0
        assert [same_mail(raw, spam) for raw in inside(home)["inbox"]] == [True]


DAMAGED = "#!/usr/bin/python3 -I\nimport spamlstm_that_an_upgrade_of_Python_removed\n"
"""A command that Python cannot load. Its exit status is 1."""


def without_command(service: Service, home: Path, deliver: Deliver, *, left: str = "") -> tuple[int, list[bytes]]:
    """Deliver spam without our command, or with the script `left` in its place.

    Return the exit status, and the messages in the inbox.
    """
    program, away = Path(service.program), service.folder / "away"
    shutil.move(program, away)
    try:
        if left:
            program.write_text(left)
            program.chmod(0o755)
        status = deliver(mails()["junk"])
    finally:
        shutil.move(away, program)
    found = inside(home)
    assert found["junk"] == []
    return status, found["inbox"]
