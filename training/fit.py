"""From corpora to a bundle: calibrate on sources that a network was not trained on, train on all, export."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spamlstm.config import Costs
from spamlstm.errors import DataError, UserError
from spamlstm.evaluation.metrics import one_minus_roca_pct, sm_at_hm
from spamlstm.files import replacement
from spamlstm.model import bundle as bundles
from spamlstm.model.bundle import MANIFEST
from spamlstm.model.encoder import Vocabulary, bundle_tokenizer
from spamlstm.model.manifest import is_plain

from . import bundle, calibrate, judging, learn, processes, run_folder, vocabulary, weights
from .batches import Example
from .dataset import Dataset, Limits, without_placeholders
from .generated import is_generated, is_own
from .label_errors import mislabelled
from .learn import Recipe
from .network import Judge, Network
from .progress import silent
from .sampling import Split, evenly, probabilities, split

# Each fold is left out once, before the model is trained on all mail. The last two stand for modern mail. They are two
# folds, because a network trained without both has seen no modern consumer ham, unlike the network that is shipped.
FOLDS: tuple[tuple[str, ...], ...] = (
    ("trec07p",),
    ("spamassassin", "csdmc2010"),
    ("lists",),
    ("newsletters2019", "phishing_pot@2024"),
    ("ham-notices", "authored-04", "authored-05"),
)
_OTHER_LETTERS = re.compile("⟦letters:(?:cyrillic|cjk|arabic|other)⟧")
VOCABULARY_SAMPLE = 8_000
"""The vocabulary is trained on one message of each of at most this many groups per source."""
MOST_JUDGED = 25_000
"""At most this many left-out messages of a fold are judged, at equal distances: enough for three digits."""


@dataclass(frozen=True, slots=True)
class Job:
    """The arguments of `fit`."""

    recipe: Recipe
    limits: Limits
    out: Path
    name: str
    version: str
    device: str
    corpora: tuple[str, ...]
    folds: tuple[tuple[str, ...], ...] = FOLDS
    without: tuple[str, ...] = ()
    costs: Costs = field(default_factory=Costs)
    slim: bool = False
    network: Path | None = None  # reuse the network of this bundle: only calibrate and export
    processes: int = 1  # that train at the same time
    say: Callable[[str], None] = print
    tick: Callable[[int], None] = silent

    def run(self, checkpoint: Path) -> learn.Run:
        """Return the device, the checkpoints and the reports for the training of one network."""
        return learn.Run(checkpoint, self.device, self.say, self.tick)


def check_sources(data: Dataset, names: Sequence[str], *, option: str = "--without") -> None:
    """Raise UserError, listing the sources of `data`, if one of `names`, given with `option`, selects no message."""
    for name in names:
        if not left_out(data, [name]).any():
            known = ", ".join(map(str, np.unique(data.source)))
            raise UserError(f"{option} {name}: no such mail; the sources are {known} (or NAME@YEAR of one)")


def left_out(data: Dataset, names: Sequence[str]) -> NDArray[np.bool_]:
    """Return a mask of the messages of the named sources.

    `NAME@YEAR` is a source from that year on, and `NAME:` are all sources whose names begin so, such as `app:`.
    """
    marked = np.zeros(len(data), bool)
    dates = np.array([row.date for row in data.rows])
    for name in names:
        source, _, year = name.partition("@")
        named = np.char.startswith(data.source, source) if source.endswith(":") else data.source == source
        marked |= named & (dates >= year)
    return marked


def fit(data: Dataset, job: Job) -> bundle.WrittenBundle:
    """Train, calibrate and export. The complete bundle appears at `job.out` by one rename."""
    if not is_plain(job.name) or not is_plain(job.version):
        raise UserError(f"--name and --version take letters, digits and '._+-' only, not {job.name!r}, {job.version!r}")
    check_sources(data, job.without)
    for name, _ in job.recipe.weights:
        if name not in data.source:
            raise UserError(f"--weight {name}: the sources are {', '.join(map(str, np.unique(data.source)))}")
    identity = repr((job.recipe, job.limits, job.without, data.fingerprint()))
    folder = run_folder.open_run_folder(job.out, holds=MANIFEST, identity=identity)
    excluded = left_out(data, job.without)
    parts = split(data, left=excluded)
    # Loaded before the networks of the folds are trained, because an error must not come at the end.
    reused = _reuse(job.network, parts) if job.network else None
    if job.processes > 1 and job.folds and job.device == "cpu":
        _train_ahead(data, job, excluded, folder)
    judged = [part for fold in job.folds if (part := _judge_fold(data, job, fold, excluded, folder)) is not None]
    job.say(f"taking the network of {job.network}" if job.network else "training on all mail")
    trained = reused or train(data, parts, job, folder / "final.pt")
    how = "each source judged by a network trained without it (and half as long)"
    if not judged:
        job.say("no source was left out, so the validation part of the training mail is used for calibration")
        how = "no source was left out: validation part of each source, judged by this network; expect worse elsewhere"
        judged = [judge(data, trained.network, trained.vocabulary, trained.split.validation, job)]
    left = calibrate.join(judged)
    into = run_folder.empty_folder(folder, "bundle")
    made = bundle.write(data, trained.network, trained.vocabulary, trained.split, left, job=job, how=how, into=into)
    run_folder.publish(into, job.out, folder=folder)
    return replace(made, path=job.out)


def _train_ahead(data: Dataset, job: Job, excluded: NDArray[np.bool_], folder: Path) -> None:
    """Train all networks in several processes. `fit` finds their results in `folder`, and trains what is missing."""

    def quiet(say: Callable[[str], None]) -> Job:
        return replace(job, say=say, tick=silent)

    def work(fold: tuple[str, ...]) -> processes.Work:
        return lambda say: _judge_fold(data, quiet(say), fold, excluded, folder)

    # The longest training comes first.
    last = ("all mail", lambda say: train(data, split(data, left=excluded), quiet(say), folder / "final.pt"))
    folds = [(f"without {', '.join(fold)}", work(fold)) for fold in job.folds]
    processes.run_together([*(() if job.network else (last,)), *folds], most=job.processes, say=job.say)


@dataclass(frozen=True, slots=True)
class Trained:
    """A network, its vocabulary, and the split that it was trained on."""

    network: Network
    vocabulary: Vocabulary
    split: Split


def _reuse(path: Path, parts: Split) -> Trained:
    """Return the network of a bundle made from the same mail. DataError if it has no exact weights."""
    found = bundles.load_bundle(path)
    bundles.verify(found)
    if not found.has(bundles.WEIGHTS):
        raise DataError(f"{path} has no {bundles.WEIGHTS}, so its network cannot be reused; train without --network")
    return Trained(weights.load(found), Vocabulary(bundle_tokenizer(found)), parts)


def _judge_fold(
    data: Dataset, job: Job, names: Sequence[str], excluded: NDArray[np.bool_], folder: Path
) -> calibrate.LeftOut | None:
    """Train without the sources `names` and judge them; None if `data` has none of them or one class is missing.

    The result is kept in `folder` for a run that continues an interrupted one.
    """
    held = left_out(data, names) & ~excluded
    if not held.any() or len(set(data.spam[~held & ~excluded])) < 2:
        return None
    kept = folder / f"without-{'-'.join(names)}.npz"
    if not kept.exists():
        job.say(f"leaving out {', '.join(names)}: {np.count_nonzero(held):,} messages")
        trained = train(data, split(data, left=held | excluded), _half_as_long(job), kept.with_suffix(".pt"))
        sample = evenly(np.flatnonzero(held), MOST_JUDGED)
        part = judge(data, trained.network, trained.vocabulary, sample, job)
        with replacement(kept) as out:
            np.savez(out, **{one.name: getattr(part, one.name) for one in fields(part)})
    with np.load(kept) as saved:
        part = calibrate.LeftOut(**saved)
    figure = one_minus_roca_pct(part.spam, part.logits)
    missed = sm_at_hm(part.spam, part.logits, 1.0)
    if figure is not None and missed is not None:
        job.say(f"left out {', '.join(names)}: (1-ROCA)% {figure.value:.3f}, sm % at hm 1 % {missed:.1f}")
    return part


def _half_as_long(job: Job) -> Job:
    """Return the job with half the epochs, which is enough for calibration."""
    return replace(job, recipe=replace(job.recipe, epochs=max(1, job.recipe.epochs // 2)))


def train(data: Dataset, part: Split, job: Job, checkpoint: Path) -> Trained:
    """Train a vocabulary and a network on the training part of a split, continuing from `checkpoint` if it exists."""
    data = without_placeholders(data)
    learned = train_vocabulary(data, part, job.recipe, path=checkpoint.with_suffix(".json"))
    # On few messages BPE may find fewer tokens than asked for.
    recipe = replace(job.recipe, network=replace(job.recipe.network, vocabulary=len(learned)))
    examples = data.encode(learned, job.limits)
    network = train_network(data, part, examples, replace(job, recipe=recipe), checkpoint=checkpoint)
    return Trained(network, learned, part)


def train_vocabulary(data: Dataset, part: Split, recipe: Recipe, *, path: Path) -> Vocabulary:
    """Return the vocabulary at `path`, trained on the training part if there is none yet.

    DataError unless that part has both ham and spam.
    """
    if len(set(data.spam[part.train])) < 2:
        raise DataError("the training part needs both ham and spam; add a corpus of the missing class with --corpus")
    if not path.exists():
        chosen = vocabulary_sample(data, part.train, recipe.seed)
        texts = (text for index in chosen for text in data.rows[index].windows[:2])
        Vocabulary(vocabulary.train(texts, size=recipe.network.vocabulary)).save(path)
    return Vocabulary.load(path)


def train_network(data: Dataset, part: Split, examples: Sequence[Example], job: Job, *, checkpoint: Path) -> Network:
    """Train one network by the recipe of `job`. `examples` has an entry for every message of `data`."""
    return learn.train(job.recipe, training_mail(data, part, examples, job.recipe), job.run(checkpoint))


def training_mail(data: Dataset, part: Split, examples: Sequence[Example], recipe: Recipe) -> learn.Mail:
    """Return the training part of a split, to be sampled by the shares of `recipe`."""
    probability = probabilities(
        data,
        part.train,
        synthetic=recipe.synthetic,
        dressed=recipe.dressed,
        disguised=recipe.disguised,
        weights=dict(recipe.weights),
    )
    return learn.Mail([examples[index] for index in part.train], probability, data.group[part.train])


def vocabulary_sample(data: Dataset, train: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return the messages that train the vocabulary: one of each group, at most VOCABULARY_SAMPLE of each source.

    Generated mail is left out unless there is no other. Texts of this project in other than Latin letters are in,
    because the archives have little mail in them.
    """
    order = np.random.default_rng(seed).permutation(train)
    _, firsts = np.unique(data.group[order], return_index=True)
    singles = order[np.sort(firsts)]
    source = data.source[singles]
    real = singles[~is_generated(source)]
    others = [index for index in singles[is_own(source)] if _OTHER_LETTERS.search(data.rows[index].windows[0])]
    chosen = np.concatenate([real, np.array(others, singles.dtype)]) if len(real) else singles
    names = np.unique(data.source[chosen])
    return np.concatenate([chosen[data.source[chosen] == name][:VOCABULARY_SAMPLE] for name in names])


def judge(
    data: Dataset, network: Judge, vocabulary: Vocabulary, indices: NDArray[np.int64], job: Job
) -> calibrate.LeftOut:
    """Return the logits of some messages, as the classifier would compute them."""
    chosen = replace(data, rows=[data.rows[index] for index in indices])
    examples, limits = chosen.encode(vocabulary, job.limits), job.limits
    found = judging.logits(network, examples, windows=limits.windows, piece=limits.piece)
    wrong = mislabelled(chosen)
    return calibrate.LeftOut(data.source[indices], data.spam[indices], found, data.group[indices], wrong)
