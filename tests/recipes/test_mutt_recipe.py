"""The keys of the page in mutt and neomutt, on a pseudo-terminal."""

import contextlib
import os
import pty
import re
import select
import shutil
import subprocess

import pytest
from maildirs import by_rename, make
from recipe import PROGRAM, Recipe
from serving import command, filtered
from tiny_bundle import HAM, SPAM, UNSURE
from watching import on_disk

from spamlstm.learning.label_store import LabelStore
from spamlstm.maildir.content_id import content_id

pytestmark = [pytest.mark.peers, pytest.mark.timeout(240)]
RECIPE = Recipe("recipes/mutt")
SECONDS = 20
"""How long a mail program may show nothing."""
OURS = (
    "set spoolfile={box} mbox_type=Maildir sleep_time=0 quit=yes delete=yes move=no mark_old=no\npush '{keys}<quit>'\n"
)


@pytest.fixture(params=["mutt", "neomutt"])
def mutt(request, tmp_path, tiny):
    """Press keys in a folder of a Maildir; a mail program for each test."""
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed here")
    program = command(tmp_path / "spamlstm", model=tiny, state=tmp_path / "state")
    box = make(tmp_path / "Maildir")
    make(tmp_path / "Maildir" / ".Junk")
    config = RECIPE.write("~/.muttrc", tmp_path / "muttrc", {PROGRAM: program, "~/Maildir": box})
    rules = config.read_text()

    def press(keys, folder=""):
        config.write_text(rules + OURS.format(box=box, keys=keys))
        ours, theirs = pty.openpty()
        arguments = [request.param, "-n", "-F", str(config), "-f", f"{box}/{folder}"]
        terminal = {"stdin": theirs, "stdout": theirs, "stderr": theirs, "start_new_session": True}
        with subprocess.Popen(arguments, env={**os.environ, "TERM": "xterm"}, **terminal) as process:
            os.close(theirs)
            shown = bytearray()
            with contextlib.suppress(OSError):  # this is how Linux reports the end of a terminal
                while select.select([ours], [], [], SECONDS)[0]:
                    shown += os.read(ours, 1 << 16)
            process.kill()  # if it waits for more keys
        os.close(ours)
        assert process.returncode == 0, shown.decode(errors="replace")
        assert not re.search(rb"[Ee]rror", shown), shown.decode(errors="replace")

    return press


def labels(tmp_path):
    """Return the label of each labelled message."""
    with contextlib.closing(LabelStore.find(tmp_path / "state" / "spamlstm")) as store:
        return [str(one.label) for one in store.last()]


def test_keys(mutt, tmp_path):
    """S moves a message to Junk and labels it as spam, H moves it back and labels it as ham.

    The mail programs add headers of their own to a message that they save, which the content id leaves out.
    """
    inbox, junk = tmp_path / "Maildir", tmp_path / "Maildir" / ".Junk"
    mail = UNSURE.replace(b"\r\n", b"\n")
    by_rename(str(inbox), "1.host", mail)

    def state():
        found = [[content_id(raw) for raw in on_disk(folder)] for folder in (inbox, junk)]
        return *found, labels(tmp_path)

    mutt("S")
    assert state() == ([], [content_id(mail)], ["spam"])
    mutt("H", ".Junk")
    assert state() == ([content_id(mail)], [], ["ham"])


def test_spam_attribute(mutt, tmp_path, tiny):
    """The pattern ~H selects what `spamlstm filter` tagged as spam."""
    box = tmp_path / "Maildir"
    for number, mail in enumerate((HAM, SPAM, UNSURE)):
        raw = filtered(mail.replace(b"\r\n", b"\n"), model=tiny, state=tmp_path)
        by_rename(str(box), f"{number}.host", raw)
    mutt("<tag-pattern>~H .<enter><tag-prefix><save-message>=.Junk<enter>")
    assert [b"X-Spam-Flag: YES" in raw for raw in on_disk(box / ".Junk")] == [True]
    assert len(on_disk(box)) == 2
