"""A kill -9 at any moment loses no label that was reported, and leaves a store that opens."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spamlstm.learning.label import Label
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Trainer
from spamlstm.model.personal_features import runs

SCRIPT = """
import sys
from pathlib import Path
from spamlstm.learning.label import Label
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Trainer

trainer = Trainer(LabelStore.open(Path(sys.argv[1])))
for number in range(1000):
    label = Label.SPAM if number % 2 else Label.HAM
    trainer.add_label(b"Subject: number %d\\n\\nsome words\\n" % number, label, prior=0.0, model="m")
    if number % 3 == 0:
        trainer.save_layer(always=True)
    print(number, flush=True)
"""


def killed(script: str, state: Path, root: Path, *, after: int) -> list[int]:
    """Return the numbers that a script reported; it is killed after `after` of them."""
    command = [sys.executable, "-c", script, str(state)]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        answered = [int(next(process.stdout)) for _ in range(after)]
        os.kill(process.pid, signal.SIGKILL)
        return [*answered, *(int(line) for line in process.stdout if line.endswith("\n"))]


@pytest.mark.parametrize("after", [1, 4, 9])
def test_kill(tmp_path, root, after):
    """After a kill all reported labels are there, and the layer is that of these labels."""
    answered = killed(SCRIPT, tmp_path, root, after=after)
    with contextlib.closing(LabelStore.open(tmp_path)) as labels:
        stored = sorted(stored.subject for stored in labels.last())
        assert {f"number {number}" for number in answered} <= set(stored)
        found = runs(b"Subject: number 0\n\nsome words\n")
        after_kill = Trainer(labels)
        after_kill.catch_up()
        assert after_kill.layer.labels == len(stored)
    with contextlib.closing(LabelStore.open(tmp_path / "anew")) as labels:
        fresh = Trainer(labels)
        for number in range(len(stored)):
            label = Label.SPAM if number % 2 else Label.HAM
            fresh.add_label(b"Subject: number %d\n\nsome words\n" % number, label, prior=0.0, model="m")
        assert fresh.layer.score(found, 0.0) == after_kill.layer.score(found, 0.0)


FOLDERS = """
import sys
from pathlib import Path
from spamlstm.learning.label import Label
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Trainer
from spamlstm.model.classifier import Assessed
from spamlstm.model.policy import NO_EVIDENCE
from spamlstm.model.personal_features import runs

trainer = Trainer(LabelStore.open(Path(sys.argv[1])))
for folder in range(1000):
    raws = [b"Subject: number %d\\n\\nsome words\\n" % number for number in range(30 * folder, 30 * folder + 30)]
    assessed = [Assessed(raw, 0.0, NO_EVIDENCE, runs(raw), ()) for raw in raws]
    label = Label.SPAM if folder % 2 else Label.HAM
    assert all(trainer.add_labels(assessed, label, model="m"))
    print(folder, flush=True)
"""


@pytest.mark.parametrize("after", [1, 2, 5])
def test_kill_while_folders_are_interleaved(tmp_path, root, after):
    """Each reported folder is complete, and the saved layer is what the rows, in their order, give."""
    answered = killed(FOLDERS, tmp_path, root, after=after)
    with contextlib.closing(LabelStore.open(tmp_path)) as labels:
        stored = {int(one.subject.split()[1]): one.label for one in labels.last()}
        for number in range(30 * (answered[-1] + 1)):
            assert stored[number] is (Label.SPAM if number // 30 % 2 else Label.HAM)
        kept, fresh = Trainer(labels), Trainer(labels)
        kept.catch_up()
        assert len(list(fresh.relearn())) == len(stored)
        assert kept.layer.dump() == fresh.layer.dump()
