"""Fine-tuning: a bundle is trained further on labels and becomes a new bundle."""

import contextlib
import inspect
import json
import os
import shutil
import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest
import small_corpus
import torch
from safetensors.torch import load_file, save_file
from tiny_bundle import make

from spamlstm.corpus.paths import FileMessage
from spamlstm.errors import DataError
from spamlstm.learning import snapshot
from spamlstm.learning.label import Label
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Trainer
from spamlstm.model import bundle as bundles
from spamlstm.model.classifier import Classifier
from spamlstm.model.network import Network
from training import finetune, fit, weights
from training.__main__ import finetune as command
from training.finetune import Task

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def base(three, recipe, limits, tmp_path_factory):
    """A bundle trained on the letters of `small_corpus`."""
    out = tmp_path_factory.mktemp("base") / "base"
    job = fit.Job(recipe, limits, out, "small", "1", "cpu", ("three",), folds=(), say=lambda _: None)
    fit.fit(three, job)
    return out


def separation(bundle, mail):
    """Return how much higher the mean score of the spam is than that of the ham."""
    classifier = Classifier.open(bundle)
    scores = {"ham": [], "spam": []}
    for label, raw in mail:
        scores[label].append(classifier.classify(raw).score)
    return np.mean(scores["spam"]) - np.mean(scores["ham"])


def turned(count, *, seed):
    """Letters with opposite labels: what the base knows as spam is ham."""
    for label, raw in small_corpus.letters(seed=seed, count=count):
        yield ("ham" if label == "spam" else "spam"), raw


@pytest.fixture
def task(base, tmp_path):
    """Train the base on the opposite of what it knows, with 40 labels and 40 soft targets."""
    (tmp_path / "mail").mkdir()
    mail, targets = [], {}
    for number, (label, raw) in enumerate(turned(80, seed=7)):
        path = tmp_path / "mail" / f"{number}.eml"
        path.write_bytes(raw)
        mail.append((FileMessage(str(number), str(path)), label if number < 40 else ""))
        if number >= 40:
            targets[str(number)] = 4.0 if label == "spam" else -4.0
    folder = snapshot.write_training_folder(mail, targets, into=tmp_path / "work")
    return Task(base, folder, tmp_path / "made", "2", {"labels": {"ham": 20, "spam": 20}}, say=lambda _: None)


def shares_right(path, letters):
    judge = Classifier.open(path)
    found = [(label == "spam") == (judge.assess(raw).prior > 0) for label, raw in letters]
    return np.mean(found)


def test_it_learns_the_labels(task, base):
    """The new bundle judges by the labels, is complete, and names its parent."""
    assert shares_right(base, turned(60, seed=8)) < 0.1
    finetune.finetune(replace(task, rate=1e-2, wide_rate=1.0))  # the letters are short: few steps
    made = bundles.load_bundle(task.out)
    bundles.verify(made)
    Network(made).self_test()
    assert shares_right(task.out, turned(60, seed=8)) > 0.3
    assert made.label == "retrained-2"
    assert made.manifest["retrained"] == {"parent": "small-1", "labels": {"ham": 20, "spam": 20}}
    assert made.manifest["corpora"] == bundles.load_bundle(base).manifest["corpora"]
    assert sorted(path.name for path in task.out.parent.iterdir()) == ["made", "mail", "work"]


def test_it_starts_from_the_weights_of_the_parent(task, base):
    """With learning rates of 0 the scores stay the same."""
    finetune.finetune(replace(task, rate=0.0, wide_rate=0.0))
    raw = next(turned(1, seed=9))[1]
    found = [Classifier.open(path).assess(raw).prior for path in (base, task.out)]
    assert found[0] == pytest.approx(found[1], abs=1e-6)


def test_labels_of_one_class_are_refused(task):
    """Labels without ham raise DataError."""
    index = task.mail / "index.tsv"
    index.write_text(index.read_text().replace("\tspam\tlabel", "\tham\tlabel"))
    with pytest.raises(DataError, match="both ham and spam"):
        finetune.finetune(task)


def test_the_command_has_the_defaults_of_a_task():
    """`python -m training finetune`, which `spamlstm retrain` starts, uses the rates and the seed of `Task`."""
    options = inspect.signature(command).parameters
    defaults = {field.name: field.default for field in fields(Task)}
    assert all(options[name].default == defaults[name] for name in ("rate", "wide_rate", "seed"))


def test_a_foreign_network_is_refused(task, tmp_path):
    """A network of another layout raises DataError, and nothing is written."""
    with pytest.raises(DataError, match="cannot be trained further"):
        finetune.finetune(replace(task, parent=make(tmp_path / "tiny")))
    assert not task.out.exists()


def test_a_slim_bundle_can_be_trained_further(base, tmp_path):
    """The weights of a slim bundle are the exact weights; those of the int8 embedding are equal up to rounding."""
    exact = weights.load(bundles.load_bundle(base))
    (base / "weights.safetensors").rename(tmp_path / "weights")
    try:
        shipped = weights.load(bundles.load_bundle(base))
    finally:
        (tmp_path / "weights").rename(base / "weights.safetensors")
    for name, value in exact.state_dict().items():
        step = value.abs().max() / 127 + 1e-6
        assert torch.allclose(shipped.state_dict()[name], value, atol=float(step)), name


def test_the_tables_of_an_older_bundle_are_its_exact_ones(base, tmp_path):
    """Older bundles have the exact table and its evidence in `weights.safetensors`; these count, not the int8 table."""
    older = tmp_path / "older"
    shutil.copytree(base, older)
    state = weights.load(bundles.load_bundle(base)).state_dict()
    for name in weights.TABLES:
        state[name] = state[name] + 0.001
    save_file({name: value.contiguous() for name, value in state.items()}, older / bundles.WEIGHTS)
    bundles.seal(older, {key: value for key, value in bundles.load_bundle(base).manifest.items() if key != "files"})

    loaded = weights.load(bundles.load_bundle(older)).state_dict()
    assert all(torch.equal(loaded[name], state[name]) for name in state)
    assert set(load_file(base / bundles.WEIGHTS)).isdisjoint(weights.TABLES)


FORBIDDEN = """
import ctypes, os, sys
PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
if ctypes.CDLL(None).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0):
    sys.exit(77)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def test_it_generates_no_code_at_run_time(task, root):
    """Fine-tuning runs under the limits of MemoryDenyWriteExecute= in the unit (Linux 6.3 and later)."""
    command = [sys.executable, "-c", FORBIDDEN, "-m", "training", "finetune", "--from", str(task.parent)]
    command += ["--mail", str(task.mail), "--out", str(task.out), "--version", "2", "--threads", "1"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("this kernel cannot forbid it")
    assert done.returncode == 0, done.stderr
    assert task.out.exists()


# The small base knows nothing of the reference mail, so its verdicts there are random.
RETRAIN = """
import sys
from spamlstm.cli.translate import run
from spamlstm.learning import retrain
from spamlstm.learning.label import Label
from spamlstm.verdict import Verdict

retrain.judge_reference_mail = lambda *_: {label: dict.fromkeys(Verdict, 0) for label in Label}
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.timeout(300)
def test_the_command_from_labels_to_a_model_in_use(base, tmp_path, root):
    """`spamlstm retrain` with the real trainer adopts labels that are the opposite of what the base knows."""
    environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path / "data"), "PYTHONPATH": str(root)}
    # A second thread waits for a core that another process of the tests uses.
    environment["OMP_NUM_THREADS"] = "1"
    classifier = Classifier.open(base, personal_features=True)
    with contextlib.closing(LabelStore.open(tmp_path / "state")) as labels:
        trainer = Trainer(labels)
        for label, raw in turned(240, seed=11):
            base_score = classifier.assess(raw)
            trainer.add_label(
                raw, Label(label), prior=base_score.prior, tokens=base_score.tokens, model=classifier.bundle.label
            )
    command = [sys.executable, "-c", RETRAIN, "retrain", "--json", "--model", str(base)]
    done = subprocess.run(
        [*command, "--state", str(tmp_path / "state")], env=environment, capture_output=True, text=True, check=False
    )
    report = json.loads(done.stdout)
    assert report["promoted"], report
    assert report["labels"] == {"ham": 120, "spam": 120}
    assert "training the candidate" in done.stderr
    made = tmp_path / "data/spamlstm/models" / report["model"]
    assert (tmp_path / "data/spamlstm/models/current").resolve() == made
    assert separation(made, turned(60, seed=12)) > separation(base, turned(60, seed=12)) + 0.2
