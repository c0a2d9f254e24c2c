"""notmuch and afew tag messages by our headers, and tags become labels."""

import contextlib
import os
import shutil
import subprocess

import pytest
from maildirs import by_rename, make
from recipe import PROGRAM, Recipe
from serving import command, filtered
from tiny_bundle import HAM, SPAM, UNSURE

from spamlstm.learning.label_store import LabelStore

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.peers,
    pytest.mark.skipif(shutil.which("notmuch") is None, reason="notmuch is not installed here"),
    pytest.mark.skipif(shutil.which("afew") is None, reason="afew is not installed here"),
]
RECIPE = Recipe("recipes/notmuch")
CONFIG = "[database]\npath={box}\n[user]\nname=Ann\nprimary_email=ann@x.org\n[new]\ntags=new\nignore=maildirfolder\n"
NAMES = ("ham", "spam", "unsure", "filed")


@pytest.fixture
def program(tmp_path, tiny):
    return command(tmp_path / "spamlstm", model=tiny, state=tmp_path / "state")


@pytest.fixture
def notmuch(tmp_path, program, tiny):
    """Run notmuch on a Maildir with messages that `spamlstm filter` has seen, and one that was filed before."""
    box = tmp_path / "Maildir"
    make(box)
    make(box / ".Junk")
    for name, mail in zip(NAMES, (HAM, SPAM, UNSURE), strict=False):
        raw = b"Message-ID: <%s@x.org>\n%s" % (name.encode(), mail.replace(b"\r\n", b"\n"))
        by_rename(str(box), f"{name}.host", filtered(raw, model=tiny, state=tmp_path))
    by_rename(str(box / ".Junk"), "filed.host", b"Message-ID: <filed@x.org>\n" + UNSURE.replace(b"\r\n", b"\n"))
    RECIPE.write("~/.config/afew/config", tmp_path / "config" / "afew" / "config", {})
    hooks = box / ".notmuch" / "hooks"
    RECIPE.write(".notmuch/hooks/post-new", hooks / "post-new", {}).chmod(0o755)
    RECIPE.write(".notmuch/hooks/pre-new", hooks / "pre-new", {PROGRAM: program}).chmod(0o755)
    (tmp_path / "notmuch-config").write_text(CONFIG.format(box=box))
    paths = {"NOTMUCH_CONFIG": str(tmp_path / "notmuch-config"), "XDG_CONFIG_HOME": str(tmp_path / "config")}

    def run(*arguments):
        done = subprocess.run(
            ["notmuch", *arguments], env={**os.environ, **paths}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def tags(notmuch):
    """Return the tags of each message, of those that the page is about."""

    def read():
        ours = {"spam", "inbox", "new", "learn-spam", "learn-ham"}
        return {name: ours & set(notmuch("search", "--output=tags", f"id:{name}@x.org").split()) for name in NAMES}

    return read


def test_tags(notmuch, tags):
    """Spam by our headers and mail in Junk have the tag spam; ham and unsure mail have the tag inbox."""
    notmuch("new")
    assert tags() == {"ham": {"inbox"}, "spam": {"spam"}, "unsure": {"inbox"}, "filed": {"spam"}}


def test_learning(notmuch, tags, program, tmp_path):
    """The tags learn-spam and learn-ham become labels once; if that fails, they stay."""
    notmuch("new")
    notmuch("tag", "+learn-spam", "--", "id:unsure@x.org")
    notmuch("tag", "+learn-ham", "--", "id:spam@x.org")
    program.rename(tmp_path / "away")
    notmuch("new")
    assert tags()["unsure"] == {"inbox", "learn-spam"}
    (tmp_path / "away").rename(program)
    notmuch("new")
    assert tags() == {"ham": {"inbox"}, "spam": {"inbox"}, "unsure": {"spam"}, "filed": {"spam"}}
    with contextlib.closing(LabelStore.find(tmp_path / "state" / "spamlstm")) as store:
        assert sorted(str(one.label) for one in store.last()) == ["ham", "spam"]
