"""fdm runs `spamlstm filter` when it delivers a message."""

import shutil

import pytest
from agents import DAMAGED, ROOT_ONLY, agent, check_agent, inside, without_command
from maildirs import make
from recipe import PROGRAM, Recipe
from serving import mails, same_mail

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.peers,
    pytest.mark.skipif(shutil.which("fdm") is None, reason="fdm is not installed here"),
    ROOT_ONLY,
]


@pytest.fixture
def home(service):
    path = service.home()
    make(path / "Maildir")
    Recipe("recipes/fdm").write("~/.fdm.conf", path / ".fdm.conf", {PROGRAM: service.program}).chmod(0o600)
    service.give(path)
    return path


@pytest.fixture
def deliver(service, home):
    return agent(service, home, "fdm", "-f", ".fdm.conf", "-a", "stdin", "fetch")


def test_spam_is_filed(service, home, deliver):
    """Spam is in Junk and ham in the inbox, with and without the daemon; if we cannot judge, spam is in the inbox."""
    check_agent(service, home, deliver, tags=False)


@pytest.mark.parametrize("left", ["", DAMAGED])
def test_without_the_command(service, home, deliver, left):
    """If our command is missing, or Python cannot load it, the message is in the inbox, unchanged."""
    status, found = without_command(service, home, deliver, left=left)
    assert (status, [same_mail(raw, mails()["junk"]) for raw in found]) == (0, [True])


def test_two_messages_at_a_time(service, home, deliver):
    """Messages that a mail server delivers at the same time are all delivered, as are those after a crash of fdm.

    By default fdm ends with status 1 while its lock file exists, and Postfix then returns the message to its sender.
    """
    (home / ".fdm.lock").touch()
    service.give(home)
    assert deliver(mails()["inbox"]) == 0
    assert [len(one) for one in inside(home).values()] == [1, 0]
