"""The demo mail, judged by the model that ships: what `make run` shows must not embarrass us."""

import os
import re
import signal
import subprocess
import sys

import pytest

from spamlstm.verdict import Verdict

pytestmark = pytest.mark.model

HAM = (
    "01-newsletter",
    "02-receipt",
    "03-promotion-wanted",
    "04-personal-reply",
    "05-mailing-list-patch",
    "06-german-statement",
    "07-bounce",
)


@pytest.fixture(scope="module")
def judge(root):
    """Judge one demo message, by its name, with the shipped model."""
    from spamlstm.model.classifier import Classifier
    from spamlstm.model.registry import find_bundle

    classifier = Classifier.open(find_bundle(root / "models/default"))  # named, so that no model of the user's is meant
    return lambda name: classifier.classify((root / "docs/demo" / f"{name}.eml").read_bytes())


@pytest.mark.parametrize("name", HAM)
def test_wanted_mail_is_not_judged_spam(judge, name):
    """A false positive costs ten missed ones; in the demo it would cost a newcomer."""
    assert judge(name).verdict is not Verdict.SPAM


def test_gtube_is_spam_by_definition(judge):
    judgement = judge("13-gtube")

    assert (judgement.verdict, judgement.reason) == (Verdict.SPAM, "gtube")


def test_an_empty_message_is_unsure(judge):
    """There is nothing to read in it, so nothing is guessed."""
    assert judge("14-empty").verdict is Verdict.UNSURE


def test_every_demo_message_is_judged(root, judge):
    """No message of the demo, in whatever character set, is beyond the model."""
    names = sorted(path.stem for path in (root / "docs/demo").glob("*.eml"))

    assert len(names) >= 12
    assert all(judge(name).model for name in names)


def test_make_run_shows_what_happens(root, tmp_path):
    """The demo that the README begins with ends by itself, finds each message once, and leaves nothing behind."""
    done = subprocess.run(
        [sys.executable, "docs/demo/run.py"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "TMPDIR": str(tmp_path), "SPAMLSTM_MODEL": "models/default"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "lost!" not in done.stdout
    assert re.search(r"13-gtube +all at once +spam +tag, file +\.Junk/new +\d+", done.stdout)
    assert "100 more in one burst" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_demo_cleans_up_after_an_interruption(root, tmp_path):
    """Ctrl-C goes to the whole group of processes; no Maildir, no daemon and no traceback stay."""
    with subprocess.Popen(
        [sys.executable, "docs/demo/run.py"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "TMPDIR": str(tmp_path), "SPAMLSTM_MODEL": "models/default"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as demo:
        assert demo.stdout.readline().startswith("A Maildir for the demo")
        os.killpg(demo.pid, signal.SIGINT)
        _, err = demo.communicate(timeout=60)
    assert "Traceback" not in err
    assert demo.returncode == 130
    assert list(tmp_path.iterdir()) == []
