"""maildrop runs `spamlstm filter` when it delivers a message."""

import shutil

import pytest
from agents import DAMAGED, ROOT_ONLY, agent, check_agent, without_command
from maildirs import make
from recipe import PROGRAM, Recipe
from serving import mails, same_mail

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.peers,
    pytest.mark.skipif(shutil.which("maildrop") is None, reason="maildrop is not installed here"),
    ROOT_ONLY,
]


@pytest.fixture
def home(service):
    path = service.home()
    make(path / "Maildir")
    Recipe("recipes/maildrop").write("~/.mailfilter", path / ".mailfilter", {PROGRAM: service.program}).chmod(0o600)
    service.give(path)
    return path


@pytest.fixture
def deliver(service, home):
    return agent(service, home, "maildrop", ".mailfilter")


def test_spam_is_filed(service, home, deliver):
    """Spam is in Junk and ham in the inbox, with and without the daemon; if we cannot judge, spam is in the inbox."""
    check_agent(service, home, deliver)


@pytest.mark.parametrize("left", ["", DAMAGED])
def test_without_the_command(service, home, deliver, left):
    """If our command is missing, or Python cannot load it, the message is in the inbox, unchanged."""
    status, found = without_command(service, home, deliver, left=left)
    assert (status, [same_mail(raw, mails()["junk"]) for raw in found]) == (0, [True])
