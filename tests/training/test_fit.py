"""Training a bundle from mail: the bundle is complete, or there is none."""

import json
import lzma
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import small_corpus
from safetensors.numpy import load_file

from spamlstm.errors import DataError, NoInputError, UserError
from spamlstm.model import bundle as bundles
from spamlstm.model.classifier import Classifier
from spamlstm.model.network import Network
from spamlstm.verdict import Verdict
from training import __main__ as command
from training import bundle, dataset, fit
from training.leave_out import leave_out
from training.sampling import split

pytestmark = pytest.mark.train
TINY = ["--vocabulary", "700", "--epochs", "2", "--per-epoch", "300", "--synthetic", "0"]


class InterruptAt:
    """Interrupts, as Ctrl-C does, at the first message that starts with `line`."""

    def __init__(self, line):
        self.line = line

    def __call__(self, line):
        if line.startswith(self.line):
            raise KeyboardInterrupt


@pytest.fixture
def job(recipe, limits, tmp_path):
    """A training on three sources: b is left out for calibration, c altogether."""
    return fit.Job(
        recipe=recipe,
        limits=limits,
        out=tmp_path / "made",
        name="small",
        version="3",
        device="cpu",
        corpora=("three",),
        folds=(("b",),),
        without=("c",),
        say=lambda _: None,
    )


def test_the_vocabulary_learns_other_letters_from_texts_of_this_project():
    """Generated mail is left out, except texts of this project in other letters, unless there is no other mail."""
    mail = (("a", "latin"), ("a", "cjk"), ("synthetic", "cjk"), ("app:x", "cjk"), ("own:x", "latin"), ("own:y", "cjk"))

    def chosen(*places: int) -> list[int]:
        return sorted(fit.vocabulary_sample(data, np.array(places), seed=1).tolist())

    rows = [
        dataset.Row(str(at), source, "", at, spam=False, windows=(f"⟦letters:{letters}⟧",))
        for at, (source, letters) in enumerate(mail)
    ]
    data = dataset.Dataset(rows, np.arange(6), np.zeros(6, bool), np.array([row.source for row in rows]))
    assert chosen(0, 1, 2, 3, 4, 5) == [0, 1, 5]
    assert chosen(2, 4, 5) == [2, 4, 5]


def test_fit_makes_a_bundle_that_judges(three, job):
    """The bundle loads, passes its self-test, names its corpora, and judges new letters right."""
    made = fit.fit(three, job)
    loaded = bundles.load_bundle(job.out)
    bundles.verify(loaded)
    Network(loaded).self_test()

    assert made.path == job.out
    assert loaded.label == "small-3"
    assert [source["name"] for source in loaded.manifest["corpora"]] == ["a", "b"]
    assert list(loaded.manifest["metrics"]["left_out"]) == ["b"]
    assert loaded.manifest["without"] == ["c"]
    assert loaded.manifest["parity"]["messages"] == 520
    assert loaded.manifest["parity"]["logit_gap"]["float32"]["max"] < 1e-4
    assert 0 <= loaded.manifest["metrics"]["left_out"]["b"]["calibration_error"] <= 1
    assert "| a |" in loaded.card()
    assert "calibration error" in loaded.card()
    assert "Left out of training on purpose: c" in loaded.card()
    assert sorted(entry.name for entry in job.out.parent.iterdir()) == ["made"]
    _judges(job.out)


def test_the_names_of_placeholder_hosts_are_not_learned(three, job):
    """Each message of the corpus has hosts below .example, and neither vocabulary nor network sees that word."""
    part = split(three, left=three.source != "a")
    short = replace(job, recipe=replace(job.recipe, epochs=1, per_epoch=20, wide_parts=1))
    trained = fit.train(three, part, short, job.out.with_suffix(".pt"))
    with_hosts = fit.train_vocabulary(three, part, job.recipe, path=job.out.with_suffix(".hosts"))
    assert len(with_hosts.ids(" example")) == 1 < len(trained.vocabulary.ids(" example"))
    kept = dataset.without_placeholders(three)
    assert all(
        "example" in one.windows[0] and "example" not in other.windows[0]
        for one, other in zip(three.rows, kept.rows, strict=True)
    )
    assert three.rows[0].windows[0].replace("example", "") == kept.rows[0].windows[0]


def _judges(path):
    judge = Classifier.open(path)
    found = [(label, judge.classify(raw).verdict) for label, raw in small_corpus.letters(seed=99, count=60)]
    right = [verdict == label for label, verdict in found if verdict is not Verdict.UNSURE]
    assert len(right) > 30
    assert np.mean(right) > 0.9


def test_an_interrupted_run_continues_to_the_same_bundle(three, job, tmp_path):
    """Ctrl-C after an epoch leaves nothing at OUT; the same command then gives the bundle of an uninterrupted run."""
    job = replace(job, folds=())
    with pytest.raises(KeyboardInterrupt):
        fit.fit(three, replace(job, say=InterruptAt("wide part 1: epoch 1/")))
    assert not job.out.exists()
    lines = []
    fit.fit(three, replace(job, say=lines.append))
    uninterrupted = replace(job, out=tmp_path / "uninterrupted")
    fit.fit(three, uninterrupted)

    assert "wide part 1: continuing after epoch 1/3" in lines
    one, other = (load_file(path / "weights.safetensors") for path in (job.out, uninterrupted.out))
    assert one.keys() == other.keys()
    assert all((one[name] == other[name]).all() for name in one)
    for name in ("model.onnx", "tokenizer.json"):
        assert (job.out / name).read_bytes() == (uninterrupted.out / name).read_bytes()


def test_several_processes_make_the_same_bundle(three, job, tmp_path):
    """Networks that are trained at the same time are those of a run that trains them one after the other."""
    lines = []
    together = replace(job, out=tmp_path / "together", processes=2, say=lines.append)
    made = [fit.fit(three, one) for one in (job, together)]

    assert "all mail: deep part: epoch 3/3" in " ".join(lines)
    assert made[0].metrics == made[1].metrics
    one, other = ((each.path / "model.onnx").read_bytes() for each in made)
    assert one == other


def test_rendered_mail_is_kept_for_further_runs(tmp_path, limits):
    """The second run with the same options reads no mail; other options read it again."""
    corpus = small_corpus.folder(tmp_path / "mail", count=20)
    options = {"limits": limits, "first": None, "synthetic": 0, "seed": 1, "modern": None}
    read = []

    def load(**changes):
        return dataset.load_kept(tmp_path / "kept", [corpus], **{**options, **changes}, tick=read.append)

    first, again = load(), load()
    assert sum(read) == 20
    assert again.fingerprint() == first.fingerprint()
    assert len(load(first=5)) == 5
    assert sum(read) == 25


def test_files_of_another_run_are_not_used(three, job):
    """Other mail or another recipe starts from scratch, with a new vocabulary."""
    job = replace(job, folds=())
    with pytest.raises(KeyboardInterrupt):
        fit.fit(three, replace(job, say=InterruptAt("wide part 1: epoch 1/")))
    lines = []
    fit.fit(three, replace(job, without=("b",), recipe=replace(job.recipe, epochs=1), say=lines.append))

    assert not any("continuing" in line for line in lines)


def test_a_bundle_is_replaced_and_other_files_are_not(three, job):
    """An earlier bundle at OUT is replaced; other files there are an error before training, and stay."""
    job.out.mkdir()
    (job.out / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="already"):
        fit.fit(three, job)
    assert (job.out / "thesis.txt").read_text() == "years of work"

    (job.out / "thesis.txt").rename(job.out / bundles.MANIFEST)
    fit.fit(three, replace(job, folds=(), slim=True, recipe=replace(job.recipe, epochs=1)))
    assert not (job.out / "weights.safetensors").exists()
    assert bundles.load_bundle(job.out).name == "small"


def test_disagreement_leaves_nothing(three, job, monkeypatch):
    """If ONNX and PyTorch differ by more than the bound, DataError is raised and there is no bundle."""
    monkeypatch.setattr(bundle, "MOST_FLOAT_GAP", -1.0)
    with pytest.raises(DataError, match="differ"):
        fit.fit(three, replace(job, folds=(), recipe=replace(job.recipe, epochs=1)))

    assert not job.out.exists()


def test_one_class_is_refused(tmp_path, load, job):
    """Mail of one class only raises DataError."""
    data = load(small_corpus.folder(tmp_path / "mail", labels=("ham",)))
    with pytest.raises(DataError, match="both ham and spam"):
        fit.fit(data, replace(job, without=()))

    assert not job.out.exists()


def test_an_unknown_source_is_an_error_that_lists_the_known_ones(three, job):
    """A mistyped --without does not train for an hour on the mail that was to be left out."""
    with pytest.raises(UserError, match="the sources are a, b, c"):
        fit.fit(three, replace(job, without=("trec07",)))


def test_a_source_can_be_left_out_from_a_year_on(three):
    """NAME@YEAR selects mail of that year or later."""
    marked = fit.left_out(three, ["a@2022"])
    years = {row.date[:4] for row, left in zip(three.rows, marked, strict=True) if left}

    assert years == {"2022", "2023"}
    assert set(three.source[marked]) == {"a"}


# --- the command ----------------------------------------------------------------------------------------------------


def _run(*arguments):
    return command.run([str(argument) for argument in arguments])


def test_the_command_makes_a_bundle(tmp_path, capsys):
    """`python -m training fit` on a folder with ham/ and spam/ writes a bundle and shows progress."""
    corpus = small_corpus.folder(tmp_path / "mail")
    status = _run("fit", "--corpus", corpus, "--out", tmp_path / "made", *TINY)

    assert status == 0
    Network(bundles.load_bundle(tmp_path / "made")).self_test()
    assert "epoch 2/2" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "continues"), [("fit", True), ("finetune", False)])
def test_ctrl_c_promises_only_what_is_kept(monkeypatch, capsys, name, continues):
    """After Ctrl-C, the same command continues, except `finetune`, which keeps nothing and does not promise it."""

    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "app", interrupted)
    assert _run(name) == 130
    assert ("the same command continues" in capsys.readouterr().err) is continues


def test_a_wrong_corpus_path_is_an_error(tmp_path, capsys):
    """The status is 66, and the message has the path."""
    assert _run("fit", "--corpus", tmp_path / "nowhere", "--out", tmp_path / "made", *TINY) == NoInputError.exit_status
    assert "nowhere" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_truncated_archive_is_an_error(tmp_path, capsys):
    """The status is 65, and no bundle is written."""
    small_corpus.indexed(tmp_path / "whole", {"a": 100})
    with tarfile.open(tmp_path / "whole.tar.xz", "w:xz") as archive:
        archive.add(tmp_path / "whole", "whole")
    raw = (tmp_path / "whole.tar.xz").read_bytes()
    (tmp_path / "cut.tar.xz").write_bytes(raw[: len(raw) * 2 // 3])

    assert len(lzma.decompress(raw)) > len(raw)
    assert _run("fit", "--corpus", tmp_path / "cut.tar.xz", "--out", tmp_path / "made", *TINY) == DataError.exit_status
    assert "damaged or truncated" in capsys.readouterr().err
    assert not (tmp_path / "made").exists()


def test_an_out_that_may_not_be_replaced_is_an_early_error(tmp_path, capsys):
    """The error comes before the corpus is read, which takes minutes."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").touch()

    assert _run("fit", "--corpus", tmp_path / "nowhere", "--out", tmp_path / "mine", *TINY) == UserError.exit_status
    assert "another --out" in capsys.readouterr().err


def test_a_wrong_option_is_a_usage_error(tmp_path, capsys):
    """The status is 64, as for every command of spamlstm."""
    assert _run("fit", "--corpse", tmp_path) == 64
    capsys.readouterr()


@pytest.mark.parametrize(
    "useless",
    [
        ["--evaded-share", "0.1"],
        ["--synthetic", "0", "--synthetic-share", "0.1"],
        ["--no-folds", "--fold", "a"],
    ],
)
def test_an_option_without_effect_is_an_early_error(tmp_path, capsys, useless):
    """An option that other options make useless is refused before the corpus is read."""
    assert _run("fit", "--corpus", tmp_path / "nowhere", "--out", tmp_path / "made", *useless) == 64
    assert "has no effect" in capsys.readouterr().err


def test_an_unknown_fold_is_an_error(tmp_path, capsys):
    """A mistyped --fold does not calibrate on the training mail; the error lists the sources."""
    corpus = small_corpus.indexed(tmp_path / "corpus", {"a": 30})
    assert _run("fit", "--corpus", corpus, "--out", tmp_path / "made", "--fold", "a,b", *TINY) == 64
    assert "--fold b: no such mail; the sources are a" in capsys.readouterr().err


def test_a_network_that_cannot_be_reused_is_an_early_error(three, job, tmp_path):
    """The error comes before the networks of the folds are trained, which takes hours."""
    lines = []
    with pytest.raises(NoInputError):
        fit.fit(three, replace(job, network=tmp_path / "none", say=lines.append))
    assert lines == []


def test_an_origin_that_is_no_object(tmp_path, capsys):
    """The JSON about the labels is checked before the training, and the error is one sentence."""
    for origin in ("{", "[]"):
        options = {"--from": tmp_path, "--mail": tmp_path, "--out": tmp_path / "made", "--version": "1"}
        assert _run("finetune", "--origin", origin, *(word for pair in options.items() for word in pair)) == 64
        assert capsys.readouterr().err == "training: --origin takes a JSON object\n"


def test_a_library_that_cannot_be_loaded_is_one_sentence(tmp_path, monkeypatch, capsys):
    """A damaged PyTorch is an installation error (69) without a traceback."""
    monkeypatch.setitem(sys.modules, "torch", None)
    assert _run("fit", "--corpus", tmp_path, "--out", tmp_path / "made") == 69
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_folder_of_archives_stands_for_each_of_them(tmp_path, load):
    """`--corpus FOLDER` reads the archives in it by name, at most `first` messages of each."""
    for name in ("one", "two"):
        small_corpus.indexed(tmp_path / name, {name: 30})
        (tmp_path / "all").mkdir(exist_ok=True)
        with tarfile.open(tmp_path / "all" / f"{name}.tar.gz", "w:gz") as archive:
            archive.add(tmp_path / name, name)
    data = load(tmp_path / "all", first=20)

    assert data.source.tolist() == ["one"] * 20 + ["two"] * 20


def test_many_messages_are_read_by_all_cores_in_order(tmp_path, load, monkeypatch):
    """Several processes render a large corpus; the rows keep its order."""
    from training import dataset

    monkeypatch.setattr(dataset, "_ALONE", 1)
    monkeypatch.setattr(dataset, "_CHUNK", 16)
    monkeypatch.setattr(dataset, "_AHEAD", 2)
    monkeypatch.setattr(dataset, "ProcessPoolExecutor", ThreadPoolExecutor)
    path = small_corpus.indexed(tmp_path / "corpus", {"a": 100})

    assert [row.place for row in load(path).rows] == list(range(100))


def test_the_manifest_says_how_the_text_is_read(three, job):
    """The manifest has the lengths of the training, so that the filter reads the same rows."""
    fit.fit(three, replace(job, folds=(), recipe=replace(job.recipe, epochs=1)))
    manifest = json.loads((job.out / bundles.MANIFEST).read_text())

    limits = job.limits
    expected = {
        "pad_id": 0,
        "header_tokens": limits.header,
        "window_tokens": limits.window,
        "window_bytes": limits.window_bytes,
        "max_windows": limits.windows,
        "piece_tokens": limits.piece,
        "vocab_size": manifest["network"]["vocabulary"],
    }
    assert expected.items() <= manifest["input"].items()


def test_leave_out_shows_the_figures_of_each_part(three, job):
    """`leave-out` judges left-out mail by the network and by its wide part, and writes the table that it prints."""
    table = leave_out(three, job, ["b"])
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]

    assert [row[:4] for row in rows] == [
        [judge, source, "100", "100"] for judge in ("network", "wide") for source in ("b", "together")
    ]
    assert all(float(row[4]) < 20 for row in rows)
    assert job.out.read_text() == table
