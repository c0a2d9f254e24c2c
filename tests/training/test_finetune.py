"""Fine-tuning: a bundle is trained further on labels and becomes a new bundle."""

import contextlib
import copy
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
from spamlstm.verdict import logistic
from training import finetune, fit, judging, learn, weights
from training.__main__ import finetune as command
from training.finetune import Task
from training.network import evidence_factor
from training.synthetic.modern import own_mail

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def base(three, recipe, limits, tmp_path_factory):
    """A bundle trained on the letters of `small_corpus`."""
    out = tmp_path_factory.mktemp("base") / "base"
    job = fit.Job(recipe, limits, out, "small", "1", "cpu", ("three",), folds=(), say=lambda _: None)
    fit.fit(three, job)
    return out


@pytest.fixture(autouse=True)
def _few_generated(monkeypatch):
    """Few generated messages are enough for these tests, and take less time."""
    monkeypatch.setattr(finetune, "GENERATED", 20)


def separation(bundle, mail):
    """Return how much higher the mean score of the spam is than that of the ham."""
    classifier = Classifier.open(bundle)
    scores = {"ham": [], "spam": []}
    for label, raw in mail:
        scores[label].append(classifier.classify(raw).score)
    return np.mean(scores["spam"]) - np.mean(scores["ham"])


def unknown(count, *, seed):
    """Letters whose class shows in words from which the base learned nothing."""
    nouns = small_corpus.SHARED[30:50]
    yield from small_corpus.letters(seed=seed, count=count, telling=0.5, hammy=nouns[::2], spammy=nouns[1::2])


@pytest.fixture
def task(base, tmp_path):
    """Train the base on letters that it does not know, with 40 labels and 40 soft targets."""
    (tmp_path / "mail").mkdir()
    mail, targets = [], {}
    for number, (label, raw) in enumerate(unknown(80, seed=7)):
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
    assert shares_right(base, unknown(60, seed=8)) < 0.7
    finetune.finetune(replace(task, rate=1e-2, wide_rate=1.0))  # the letters are short: few steps
    made = bundles.load_bundle(task.out)
    bundles.verify(made)
    Network(made).self_test()
    assert shares_right(task.out, unknown(60, seed=8)) > 0.9
    assert made.label == "retrained-2"
    assert made.manifest["retrained"] == {"parent": "small-1", "labels": {"ham": 20, "spam": 20}}
    assert made.manifest["corpora"] == bundles.load_bundle(base).manifest["corpora"]
    assert sorted(path.name for path in task.out.parent.iterdir()) == ["made", "mail", "work"]


def test_it_starts_from_the_weights_of_the_parent(task, base):
    """With learning rates of 0 the scores stay the same."""
    finetune.finetune(replace(task, rate=0.0, wide_rate=0.0))
    raw = next(unknown(1, seed=9))[1]
    found = [Classifier.open(path).assess(raw).prior for path in (base, task.out)]
    assert found[0] == pytest.approx(found[1], abs=1e-6)


def test_generated_mail_has_the_scores_of_the_parent_as_targets(task, base, monkeypatch):
    """Besides the user's mail, a share of generated mail of both kinds is trained on, with the parent's own scores."""
    seen = []

    def record(recipe, network, mail, _run):
        seen.append((recipe, mail))
        return network

    monkeypatch.setattr(finetune.learn, "train_further", record)
    finetune.finetune(task)
    ((recipe, mail),) = seen
    generated, probability = mail.examples[-40:], mail.probability[-40:]
    logits = judging.logits(weights.load(bundles.load_bundle(base)), generated, windows=6)
    assert [one.spam for one in generated] == pytest.approx([logistic(logit) for logit in logits])
    assert len(mail.examples) == 80 + 40
    assert probability.sum() == pytest.approx(finetune.REHEARSED)
    assert mail.probability[:40].sum() == pytest.approx(0.4 * (1 - finetune.REHEARSED))
    assert recipe.epochs * recipe.per_epoch == pytest.approx(finetune.FEWEST / (1 - finetune.REHEARSED), rel=0.01)


def test_generated_mail_is_the_same_each_time():
    """The texts of this project are dressed without other files, and the same seed gives the same mail."""
    first, second = (list(own_mail(seed=3, count=40)) for _ in range(2))
    assert first == second
    assert {one.label for one in first} == {"ham", "spam"}
    assert all(one.source.startswith("own:") for one in first)
    assert first != list(own_mail(seed=4, count=40))


def test_the_result_is_halfway(base):
    """The weights of the result are the means of both networks, and so is the evidence that the deep part reads."""
    start = weights.load(bundles.load_bundle(base))
    trained = copy.deepcopy(start)
    with torch.no_grad():
        for value in trained.parameters():
            value.add_(1.0)
    found = learn.between(start, trained, 0.5)
    for value, before in zip(found.parameters(), start.parameters(), strict=True):
        assert torch.allclose(value, before + 0.5, atol=1e-5)
    table = found.wide.table.weight.detach()[:, 0]
    assert torch.allclose(found.deep.evidence, table * evidence_factor(table))


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


# The small base knows nothing of the reference mail or the labels, so its verdicts there are random.
RETRAIN = """
import sys
from spamlstm.cli.translate import run
from spamlstm.learning import comparison, opposed_labels, retrain
from spamlstm.learning.label import Label
from spamlstm.verdict import Verdict

opposed_labels.MOST_AGAINST_PCT = 100
for module in (comparison, retrain):
    module.judge_reference_mail = lambda *_: {label: dict.fromkeys(Verdict, 0) for label in Label}
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.timeout(300)
def test_the_command_from_labels_to_a_model_in_use(base, tmp_path, root):
    """`spamlstm retrain` with the real trainer adopts labels of which the base knows nothing."""
    environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path / "data"), "PYTHONPATH": str(root)}
    # A second thread waits for a core that another process of the tests uses.
    environment["OMP_NUM_THREADS"] = "1"
    classifier = Classifier.open(base, personal_features=True)
    with contextlib.closing(LabelStore.open(tmp_path / "state")) as labels:
        trainer = Trainer(labels)
        for label, raw in unknown(240, seed=11):
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
    assert separation(made, unknown(60, seed=12)) > separation(base, unknown(60, seed=12)) + 0.2
