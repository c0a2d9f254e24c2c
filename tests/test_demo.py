"""The demo: what `make run` shows a newcomer, message by message."""

import os
import re
import signal
import subprocess
import sys
from collections import Counter

import pytest

pytestmark = pytest.mark.model

VERDICTS = {
    "01-newsletter": "ham",
    "02-receipt": "ham",
    "03-promotion-wanted": "ham",
    "04-personal-reply": "ham",
    "05-mailing-list-patch": "ham",
    "06-german-statement": "ham",
    "07-bounce": "ham",
    "08-advance-fee": "spam",
    "09-pharmacy": "spam",
    "10-parcel-phishing": "spam",
    "11-bank-phishing": "spam",
    "12-chinese-invoices": "spam",
    "13-gtube": "spam",
    "14-empty": "unsure",
    "15-cold-offer": "spam",
}
REASONS = {"13-gtube": "gtube", "14-empty": "no-text"}
"""Every other verdict comes from the model's score."""
DONE = {"ham": ("nothing", "new"), "unsure": ("tag", "new"), "spam": ("tag, file", ".Junk/new")}
"""By verdict: the actions, and the folder in which the message is found afterwards."""
_ROW = re.compile(
    r"^ *(\d\d-\S+) +(?:link \(Postfix\)|rename \(OpenSMTPD\)|all at once) +(\w+) +(.+?) +(\S+) +\d+ *$", re.MULTILINE
)


@pytest.fixture
def demo(root, tmp_path):
    """The command of `make run`, and keywords for subprocess: the shipped model, and temporary files in `tmp_path`."""
    environment = {**os.environ, "PYTHONPATH": str(root), "TMPDIR": str(tmp_path), "SPAMLSTM_MODEL": "models/default"}
    return [sys.executable, "docs/demo/run.py"], {"cwd": root, "env": environment, "text": True}


def test_every_message_of_the_demo_has_an_expected_verdict(root):
    """Each message of the demo has an expected verdict in this test."""
    assert {path.stem for path in (root / "docs/demo").glob("*.eml")} == set(VERDICTS)


@pytest.mark.parametrize("name", VERDICTS)
def test_the_verdict_and_its_reason(root, name):
    """Each demo message gets the verdict that a person would give, for the reason that applies to it."""
    from spamlstm.model.classifier import Classifier

    judgement = Classifier.open(root / "models/default").classify((root / "docs/demo" / f"{name}.eml").read_bytes())

    assert (judgement.verdict.value, judgement.reason) == (VERDICTS[name], REASONS.get(name, "score"))


def test_make_run_shows_what_happens(demo, tmp_path):
    """The demo ends by itself, shows verdict, actions and folder of each message, loses none, and leaves no file."""
    command, options = demo
    done = subprocess.run(command, capture_output=True, check=False, **options)

    assert done.returncode == 0, done.stderr
    shown = {name: tuple(rest) for name, *rest in _ROW.findall(done.stdout)}
    assert shown == {name: (verdict, *DONE[verdict]) for name, verdict in VERDICTS.items()}
    cycle = list(VERDICTS.values())
    folders = Counter(DONE[cycle[number % len(cycle)]][1] for number in range(100))
    assert ", ".join(f"{count} in {folder}" for folder, count in sorted(folders.items())) in done.stdout
    assert "lost" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_demo_cleans_up_after_an_interruption(demo, tmp_path):
    """Ctrl-C, which the terminal sends to all processes of the demo, leaves no Maildir, no daemon and no traceback."""
    command, options = demo
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, **options
    ) as process:
        assert process.stdout.readline().startswith("A Maildir for the demo")
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert process.returncode == 130
    assert list(tmp_path.iterdir()) == []
