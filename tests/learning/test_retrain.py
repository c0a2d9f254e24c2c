"""Retraining: a better model is promoted, one that loses ham is not, and a kill at any moment does no harm.

The training is replaced by fixtures/fake_trainer.py here; tests/training has the real one.
"""

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
from hostile_folder import HostileFolder
from tiny_bundle import make
from unlike_letters import letter

from spamlstm.config.locations import models_dir
from spamlstm.errors import OutputError, TemporaryError, UnavailableError
from spamlstm.learning import comparison, retrain, retrain_files
from spamlstm.learning.label import Label
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.retrain import RetrainSettings, training_command
from spamlstm.learning.trainer import Trainer, rescore_labels
from spamlstm.model import bundle as bundles
from spamlstm.model import registry
from spamlstm.model.classifier import Classifier
from spamlstm.verdict import Verdict

TRAINER = Path(__file__).resolve().parents[1] / "fixtures" / "fake_trainer.py"


@pytest.fixture(scope="module")
def trainer(tmp_path_factory):
    """Return the command of a fake trainer, which makes a model of some weight."""
    made = tmp_path_factory.mktemp("made")

    def command(weight, *more):
        bundle = made / str(weight)
        if not bundle.exists():
            make(bundle, weight=weight, version=f"with-{weight}")
        return (sys.executable, str(TRAINER), str(bundle), *map(str, more))

    return command


@pytest.fixture
def options(labelled, maildir, trainer):
    """Retrain with the fake trainer, which makes a good model."""
    return RetrainSettings(labelled, maildirs=(maildir,), command=trainer(6), say=lambda _: None)


def test_what_is_better_is_promoted(options, labelled):
    """The new model is in use, has its origin and figures, and one command rolls it back."""
    report = retrain.retrain(options)
    assert report.promoted
    assert (report.parent, report.labels) == ("tiny-0", {"ham": 40, "spam": 40})
    assert registry.current() == report.model
    made = bundles.load_bundle(registry.find_bundle(None))
    bundles.verify(made)
    assert made.manifest["retrained"]["comparison"]["networks"]["candidate"]["unsure"] == 0
    assert "## Retrained" in made.card()
    assert json.loads((made.path / "report.json").read_text())["promoted"]
    assert Classifier.open().classify(letter(5000, spam=True)).verdict is Verdict.SPAM
    assert registry.rollback().label == "tiny-0"
    assert sorted(path.name for path in (labelled / "retrain").iterdir()) == ["labels.json", "report.json"]


def test_the_layer_rests_on_the_new_base(options, labelled):
    """After a promotion all base scores are by the new model."""
    retrain.retrain(options)
    label = Classifier.open().bundle.label
    with contextlib.closing(LabelStore.open(labelled)) as labels:
        assert {stored.model for stored in labels.last()} == {label}


@pytest.mark.parametrize("weight", [-6, 0.3, 0.0])
def test_what_is_no_better_is_refused(options, weight, unsure, trainer):
    """A model that loses ham, or is no better, is not installed, and the report has the reasons."""
    report = retrain.retrain(replace(options, command=trainer(weight)))
    assert not report.promoted
    assert report.why
    assert any("held-out ham messages as spam" in why for why in report.why) == (weight == -6)
    assert registry.find_bundle(None) == unsure
    assert [path.name for path in models_dir().iterdir()] == [".retrain"]


def test_what_loses_other_mail_is_refused(options, unsure, monkeypatch):
    """A model that is better on the user's mail but files other people's ham is not installed."""
    verdicts = iter(({Verdict.HAM: 40, Verdict.SPAM: 0}, {Verdict.HAM: 30, Verdict.SPAM: 3}))

    def judge(_classifier, layer):
        assert layer.labels == 80
        return {Label.HAM: next(verdicts), Label.SPAM: {Verdict.SPAM: 40}}

    monkeypatch.setattr(retrain, "judge_reference_mail", judge)
    report = retrain.retrain(options)
    assert report.why == ("3 reference messages, which are unlike your mail, would get a worse verdict",)
    assert registry.find_bundle(None) == unsure


def test_labels_that_contradict_the_model_train_nothing(tmp_path, unsure, monkeypatch, trainer):
    """If many labels are the opposite of the model's verdicts, nothing is trained, and a timer repeats nothing.

    The report has ten of these labels, those that differ most first.
    """
    monkeypatch.setattr(registry, "_SHIPPED", (make(tmp_path / "sure", weight=6, version="sure"),))
    with contextlib.closing(LabelStore.open(tmp_path / "state")) as labels:
        for number in range(80):
            label = Label.SPAM if (number % 2 == 1) is not (number < 13) else Label.HAM
            Trainer(labels).add_label(letter(number, spam=number % 2 == 1), label, prior=None, model="m")
    settings = RetrainSettings(tmp_path / "state", command=trainer(6), say=lambda _: None)
    report = retrain.retrain(settings)
    assert report.why[0].startswith("13 of 80 labels are the opposite of the verdict of the model in use")
    assert (report.model, report.labels) == (None, {"ham": 39, "spam": 41})
    assert (report.opposed, len(report.opposed_labels)) == (13, 10)
    for one in report.opposed_labels:
        assert (one.score > 0) is (one.label == "ham")
    scores = [abs(one.score) for one in report.opposed_labels]
    assert scores == sorted(scores, reverse=True)
    assert "nothing was labelled" in retrain.retrain(settings).why[0]


def test_losses_against_the_shipped_model_are_counted(options, monkeypatch):
    """A model that loses more than two reference messages of the shipped model is refused."""
    verdicts = iter((40, 37))  # of the model in use, which is the shipped one, and of the new model
    monkeypatch.setattr(
        comparison,
        "judge_reference_mail",
        lambda *_: {Label.HAM: {Verdict.SPAM: 0}, Label.SPAM: {Verdict.SPAM: next(verdicts)}},
    )
    monkeypatch.setattr(retrain, "judge_reference_mail", lambda *_: {label: {Verdict.SPAM: 0} for label in Label})
    (why,) = retrain.retrain(options).why
    assert why.startswith("without your labels, 3 reference messages would get a worse verdict than with the shipped")


def test_a_full_disk_names_the_folder(options, monkeypatch):
    """An error of a write, which names no file, names the work folder."""
    monkeypatch.setattr(Path, "write_bytes", Mock(side_effect=OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
    with pytest.raises(OutputError, match=r"\.retrain/work cannot be written: no space left"):
        retrain.retrain(options)


def test_another_error_is_not_a_full_disk(tmp_path, monkeypatch):
    """An error that has nothing to do with the work folder, such as too many processes, does not name the folder."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(BlockingIOError), retrain_files.work_folder():
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def test_nothing_new_is_nothing_to_do(options):
    """Without new labels nothing is done, unless --now is given."""
    retrain.retrain(options)
    assert retrain.retrain(options).why == (
        "nothing was labelled since the last retraining; use --now to retrain anyway",
    )
    assert retrain.retrain(replace(options, now=True)).model
    with contextlib.closing(LabelStore.open(options.state)) as labels:
        Trainer(labels).add_label(letter(100, spam=True), Label.SPAM, prior=None, model="tiny-0")
    assert retrain.retrain(options).model


def test_few_labels_are_not_enough(tmp_path, unsure):
    """Without enough labels of each kind nothing is done, and the report says so."""
    state = tmp_path / "few"
    assert "nothing was labelled" in retrain.retrain(RetrainSettings(state)).why[0]
    with contextlib.closing(LabelStore.open(state)) as labels:
        Trainer(labels).add_label(letter(0, spam=False), Label.HAM, prior=None, model="m")
    assert retrain.retrain(RetrainSettings(state, now=True)).why == (
        "there are 1 ham and 0 spam labels; retraining needs 20 of each",
    )


def test_contradictions_are_counted_and_teach_nothing(options):
    """A near-duplicate with the other label is set aside, and a changed label is counted."""
    retrain.retrain(options)
    with contextlib.closing(LabelStore.open(options.state)) as labels:
        taught = Trainer(labels)
        copy = letter(3, spam=True).replace(b"Subject: ", b"Subject: Re: ")
        taught.add_label(copy, Label.HAM, prior=None, model="tiny-0")
        taught.add_label(letter(8, spam=False), Label.SPAM, prior=None, model="tiny-0")
    report = retrain.retrain(options)
    assert report.contradictions == {"relabelled": 1, "near_duplicates": 2}
    assert report.labels == {"ham": 39, "spam": 40}
    assert "nothing was labelled" in retrain.retrain(options).why[0]


def test_contradictions_that_leave_too_few_labels(tmp_path, unsure, trainer):
    """If too few labels are left without contradictory ones, nothing is trained, and a timer has nothing to repeat."""
    with contextlib.closing(LabelStore.open(tmp_path / "state")) as labels:
        for number in range(50):
            copy = letter(3, spam=True).replace(b"Subject: ", f"Subject: {number} ".encode())
            Trainer(labels).add_label(copy, tuple(Label)[number % 2], prior=None, model="m")
    settings = RetrainSettings(tmp_path / "state", command=trainer(6), say=lambda _: None)
    report = retrain.retrain(settings)
    assert "0 ham and 0 spam agree with their near-duplicates; retraining needs 20 of each" in report.why[0]
    assert (report.model, report.contradictions["near_duplicates"]) == (None, 50)
    assert "nothing was labelled" in retrain.retrain(settings).why[0]


@pytest.mark.parametrize("content", ["[]", "1", "{", '{"a": 1}', "[" * 100_000, "\0"])
def test_a_damaged_outcome_is_no_outcome(options, labelled, content):
    """If the labels of the last retraining cannot be read, all labels are new."""
    (labelled / "retrain").mkdir()
    (labelled / "retrain" / "labels.json").write_text(content)
    assert retrain.retrain(options).promoted


def test_a_model_that_was_selected_meanwhile_stays(options, tmp_path):
    """If the user selects another model during the training, it stays in use, because nothing was compared with it."""
    make(models_dir() / "mine", version="mine")

    def say(line):
        if line == "training the candidate":
            registry.use("mine")

    with pytest.raises(TemporaryError, match="another model was selected"):
        retrain.retrain(replace(options, say=say))
    assert registry.current() == "mine"
    assert list(registry.names()) == ["default", "mine"]


def test_without_the_extra_it_says_how_to_get_it(options, monkeypatch):
    """Without torch, the error has the command that installs it."""
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UnavailableError, match=r"needs torch; to install, run: .* 'torch>=2\.6,<3'$"):
        retrain.retrain(options)


def test_a_failure_after_the_promotion_is_reported(options, labelled):
    """If the outcome cannot be saved, the model is in use, the report says what failed, and the labels are scored."""
    (labelled / "retrain").write_text("a file where the folder should be")
    report = retrain.retrain(options)
    assert registry.current() == report.model
    (failure,) = report.unfinished
    assert failure == "the outcome was not saved, so the next run trains again (file exists)"
    with contextlib.closing(LabelStore.open(labelled)) as labels:
        assert labels.priors_from(Classifier.open().bundle.label)


def test_a_training_that_fails_changes_nothing(options, unsure):
    """After a failed training the model in use stays, and the next run works."""
    with pytest.raises(TemporaryError, match="ended with status 3"):
        retrain.retrain(replace(options, command=(sys.executable, "-c", "raise SystemExit(3)")))
    assert registry.find_bundle(None) == unsure
    assert retrain.retrain(options).promoted


def test_the_training_is_bounded_and_behind_all_else(options, tmp_path):
    """The trainer has the lowest priority, two cores and bounded memory."""
    script = """
import os, resource, sys, time
end = time.monotonic() + 10
while os.nice(0) < 19 and time.monotonic() < end: time.sleep(0.01)
while resource.getrlimit(resource.RLIMIT_DATA)[0] < 0 and time.monotonic() < end: time.sleep(0.01)
while len(os.sched_getaffinity(0)) > 2 and time.monotonic() < end: time.sleep(0.01)
print(os.nice(0), len(os.sched_getaffinity(0)) <= 2, file=open(sys.argv[1], "w"))
bytearray(1600 << 20)
"""
    with pytest.raises(TemporaryError, match="ended with status 1"):
        retrain.retrain(replace(options, command=(sys.executable, "-c", script, str(tmp_path / "seen"))))
    assert (tmp_path / "seen").read_text() == "19 True\n"


def test_old_models_go(options):
    """The last three retrained models stay, and those in use and before."""
    own = models_dir()
    for number in range(4):
        shutil.copytree(registry.find_bundle(None), own / f"retrained-2026010{number}-000000")
    shutil.copytree(registry.find_bundle(None), own / "mine")
    registry.use("retrained-20260100-000000")
    report = retrain.retrain(replace(options, now=True))
    assert list(registry.names()) == [
        "default",
        "mine",
        "retrained-20260100-000000",
        "retrained-20260102-000000",
        "retrained-20260103-000000",
        report.model,
    ]


def test_a_model_that_is_named_stays(options, monkeypatch):
    """The model that the environment or the command line names is in use, and is not removed as an old model."""
    own = models_dir()
    for number in range(5):
        shutil.copytree(registry.find_bundle(None), own / f"retrained-2026010{number}-000000")
    monkeypatch.setenv(registry.ENVIRONMENT, str(own / "retrained-20260100-000000"))
    settings = replace(options, model=own / "retrained-20260101-000000", now=True)
    made = retrain.retrain(settings).model
    assert list(registry.names()) == [
        "default",
        *(f"retrained-2026010{number}-000000" for number in (0, 1, 3, 4)),
        made,
    ]


# --- kills ----------------------------------------------------------------------------------------------------------

RUN = """
import os, signal, sys
from pathlib import Path
from spamlstm.learning import retrain
from spamlstm.learning.retrain import RetrainSettings
from spamlstm.model import registry

state, shipped, maildir, left, *trainer = sys.argv[1:]
registry._SHIPPED = (Path(shipped),)
left = int(left)

def hook(event, args):
    global left
    if event in ("os.rename", "os.symlink", "subprocess.Popen"):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
settings = RetrainSettings(Path(state), maildirs=(Path(maildir),), command=trainer, now=True, say=lambda _: None)
assert retrain.retrain(settings).promoted
"""
CHANGES = 13


def start(options, shipped, root, *, left, trainer):
    command = [
        sys.executable,
        "-c",
        RUN,
        str(options.state),
        str(shipped),
        str(options.maildirs[0]),
        str(left),
        *trainer,
    ]
    return subprocess.Popen(command, cwd=root)


@pytest.mark.parametrize("step", range(1, CHANGES + 2))
def test_a_kill_anywhere(options, unsure, root, step):
    """After a kill before any change, a complete model is in use, no label is lost, and the next run does the rest.

    A run makes CHANGES changes; with one more allowed, it comes to its end.
    """
    process = start(options, unsure, root, left=step, trainer=options.command)
    assert process.wait() == (-signal.SIGKILL if step <= CHANGES else 0)
    classifier = Classifier.open(personal_features=True)
    with contextlib.closing(LabelStore.open(options.state)) as labels:
        assert labels.counts() == {Label.HAM: 40, Label.SPAM: 40}
        rescore_labels(labels, classifier)
        taught = Trainer(labels)
        taught.catch_up()
        assert taught.layer.labels == 80
    was_done = registry.current() != "default"
    # Of two equal models the second is no better.
    assert retrain.retrain(replace(options, now=True)).promoted is not was_done
    assert registry.current() != "default"
    assert [path.name for path in (models_dir() / ".retrain").iterdir()] == ["lock"]


def test_a_trainer_that_outlives_its_parent(options, unsure, root, wait, trainer):
    """No other retraining begins before it has ended, as they would use the same folders."""
    with start(options, unsure, root, left=-1, trainer=trainer(6, options.state)) as process:
        wait((options.state / "waits").exists)
        process.kill()
    try:
        with pytest.raises(TemporaryError, match="another retraining"):
            retrain.retrain(options)
    finally:
        (options.state / "go").touch()

    def ran():
        with contextlib.suppress(TemporaryError):
            return retrain.retrain(options).promoted
        return False

    wait(ran)


SLOW_TRAINER = """
import pathlib, sys, time
sys.excepthook = lambda *_: print("traceback of the training", file=sys.stderr)
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
"""
END = """
import signal, sys
from spamlstm.learning.retrain_files import work_folder
from spamlstm.learning.training_process import ended_by_signals, run_training

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
with ended_by_signals(), work_folder() as (work, lock):
    (work / "1.eml").touch()
    run_training([sys.executable, "-c", *sys.argv[1:]], lock=lock)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_training(tmp_path, root, wait, monkeypatch, number):
    """Ctrl-C, SIGTERM and SIGHUP end the trainer too, and leave no copies of mail. Ctrl-C shows no traceback of it."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    process = subprocess.Popen(
        [sys.executable, "-c", END, SLOW_TRAINER, str(tmp_path / "started")],
        cwd=root,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait((tmp_path / "started").exists)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    _, err = process.communicate()  # standard error is open until the trainer has ended too
    assert process.returncode == -number
    assert "traceback of the training" not in err
    assert [path.name for path in (models_dir() / ".retrain").iterdir()] == ["lock"]


CLEAN_UP = """
import signal, sys
from spamlstm.learning.training_process import ended_by_signals

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
first, second = map(int, sys.argv[1:])
with ended_by_signals():
    try:
        signal.raise_signal(first)
    finally:
        signal.raise_signal(second)
        print("cleaned up")
"""


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_does_not_interrupt_the_cleaning_up(root, first, second):
    """A second Ctrl-C of an impatient user leaves no copies of mail either."""
    command = [sys.executable, "-c", CLEAN_UP, str(int(first)), str(int(second))]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-first, "cleaned up\n")


RUN_TRAINER = """
import os, sys
from spamlstm.learning.retrain import run_training, training_command

with open(os.devnull, "rb") as lock:
    run_training([*training_command(), *sys.argv[1:]], lock=lock.fileno())
"""


def test_modules_in_the_current_folder_are_not_executed(tmp_path, root):
    """Retraining in another user's folder starts the trainer installed with spamlstm, and executes no file there."""
    folder = HostileFolder(tmp_path)
    done = folder.run(RUN_TRAINER, "--help", root=root)
    assert done.returncode == 0, done.stderr
    assert "--mail" in done.stdout
    assert folder.marks() == []


@pytest.mark.train
def test_torch_in_the_current_folder_is_not_executed(tmp_path, root, tiny):
    """The trainer executes no file there when it loads torch either; it needs torch to refuse this bundle."""
    folder = HostileFolder(tmp_path)
    options = {"--from": tiny, "--mail": tmp_path, "--out": tmp_path / "out", "--version": "1", "--origin": "{}"}
    done = folder.run(RUN_TRAINER, *(word for pair in options.items() for word in pair), root=root)
    assert "the training ended with status" in done.stderr
    assert "hostile" not in done.stderr.replace(str(folder.path), "")
    assert folder.marks() == []


def test_a_folder_on_the_path_is_searched(tmp_path, root):
    """The current folder counts where PYTHONPATH names it, as for a trainer in a checkout."""
    (tmp_path / "asked_for.py").write_text("print('found')\n")
    script = """
import os, sys
from spamlstm.learning.retrain import run_training

with open(os.devnull, "rb") as lock:
    run_training([sys.executable, "-P", "-m", "asked_for"], lock=lock.fileno())
"""
    for named, status in ((str(tmp_path), 0), ("", 1)):
        path = os.pathsep.join([str(root), named]) if named else str(root)
        command = [sys.executable, "-c", script]
        done = subprocess.run(
            command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done.stderr


@pytest.mark.parametrize("module", ["training", "spamlstm_training"])
def test_the_trainer_of_an_installation(tmp_path, monkeypatch, module):
    """A wheel installs the trainer beside spamlstm by another name than a checkout has."""
    (tmp_path / module).mkdir()
    monkeypatch.setattr("spamlstm.learning.train_extra.__file__", str(tmp_path / "spamlstm" / "learning" / "x.py"))
    assert training_command() == (sys.executable, "-P", "-m", module, "finetune")
