"""From corpora to a bundle: leave archives out to learn what to believe, calibrate on them, train on all, export."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import safetensors.torch
from numpy.typing import NDArray

from spamlstm.config import Costs
from spamlstm.errors import DataError, UserError
from spamlstm.evaluation.metrics import one_minus_roca_pct, sm_at_hm
from spamlstm.files import replacement
from spamlstm.model import bundle as bundles
from spamlstm.model import tokenizer
from spamlstm.model.bundle import MANIFEST
from spamlstm.model.bundle_files import is_plain
from spamlstm.model.vocabulary import Vocabulary

from . import bundle, calibrate, learn, vocabulary, workplace
from .batches import Example
from .dataset import SYNTHETIC, Dataset, Limits
from .learn import Recipe
from .network import Judge, Network, NetworkConfig
from .progress import silent
from .sampling import Split, split, weights

# Each is left out once, before the shipped model is trained on all. The last is the proxy for modern mail: ham that
# consumers get and the year's phishing, neither of which the rest of the corpora has.
FOLDS: tuple[tuple[str, ...], ...] = (
    ("trec07p",),
    ("spamassassin", "csdmc2010"),
    ("lists",),
    ("newsletters2019", "ham-notices", "phishing_pot@2024"),
)
# A text sample of this many groups from each source trains the vocabulary.
VOCABULARY_SAMPLE = 8_000
# So many of the messages left out are judged, at equal distances: enough for three digits.
MOST_JUDGED = 25_000


@dataclass(frozen=True, slots=True)
class Job:
    """What one call of `fit` is asked to make."""

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
    network: Path | None = None  # a bundle whose network is taken as it is: only calibrate and export
    say: Callable[[str], None] = print
    tick: Callable[[int], None] = silent


def check_sources(data: Dataset, names: Sequence[str]) -> None:
    """A UserError that lists the sources there are, if one of `names` is none of them or has no message."""
    for name in names:
        if not left_out(data, [name]).any():
            there = ", ".join(map(str, np.unique(data.source)))
            raise UserError(f"--without {name}: there is no such mail; the sources are {there} (or NAME@YEAR of one)")


def left_out(data: Dataset, names: Sequence[str]) -> NDArray[np.bool_]:
    """Which messages belong to the named sources; `NAME@YEAR` is a source from that year on."""
    marked = np.zeros(len(data), bool)
    dates = np.array([row.date for row in data.rows])
    for name in names:
        source, _, year = name.partition("@")
        marked |= (data.source == source) & (dates >= year)
    return marked


def fit(data: Dataset, job: Job) -> bundle.Made:
    """Train, calibrate, export; the bundle appears at `job.out` by one rename, whole or not at all."""
    if not is_plain(job.name) or not is_plain(job.version):
        raise UserError(f"a model's name and version are words of letters, digits and '._+-', not {job.name!r}")
    check_sources(data, job.without)
    identity = repr((job.recipe, job.limits, job.without, data.fingerprint()))
    beside = workplace.begin(job.out, holds=MANIFEST, identity=identity)
    excluded = left_out(data, job.without)
    judged = [part for fold in job.folds if (part := _fold(data, job, fold, excluded, beside)) is not None]
    job.say(f"taking the network of {job.network}" if job.network else "training on all of it")
    sides = split(data, left=excluded)
    trained = _taken(job.network, sides) if job.network else train(data, sides, job, beside / "final.pt")
    how = "each source judged by a network trained without it (and half as long)"
    if not judged:
        job.say("no source was left out, so the calibration rests on the validation part of the training mail")
        how = "no source was left out: the validation part of each, judged by this very network; expect worse elsewhere"
        judged = [judge(data, trained.network, trained.vocabulary, trained.split.validation, job)]
    left = calibrate.join(judged)
    into = workplace.fresh(beside, "bundle")
    made = bundle.write(data, trained.network, trained.vocabulary, trained.split, left, job=job, how=how, into=into)
    workplace.finish(into, job.out, beside=beside)
    return replace(made, path=job.out)


@dataclass(frozen=True, slots=True)
class Trained:
    """A network, the vocabulary it reads by, and what it was trained on."""

    network: Network
    vocabulary: Vocabulary
    split: Split


def _taken(path: Path, part: Split) -> Trained:
    """The network of a bundle that was made of the same mail; DataError if it has no weights."""
    found = bundles.load_bundle(path)
    bundles.verify(found)
    if not found.has(bundles.WEIGHTS):
        raise DataError(f"{path} has no {bundles.WEIGHTS}, so its network cannot be taken; train it again")
    network = Network(NetworkConfig(**found.manifest["network"]))
    network.load_state_dict(safetensors.torch.load(found.read(bundles.WEIGHTS)))
    return Trained(network.eval(), Vocabulary(tokenizer.of(found)), part)


def _fold(
    data: Dataset, job: Job, names: Sequence[str], excluded: NDArray[np.bool_], beside: Path
) -> calibrate.LeftOut | None:
    """Train without `names` and judge them; None if none of them is there. Kept on disk, for a run broken off."""
    held = left_out(data, names) & ~excluded
    if not held.any() or len(set(data.spam[~held & ~excluded])) < 2:  # both classes must remain
        return None
    kept = beside / f"without-{'-'.join(names)}.npz"
    if not kept.exists():
        job.say(f"leaving out {', '.join(names)}: {np.count_nonzero(held):,} messages")
        trained = train(data, split(data, left=held | excluded), _shorter(job), kept.with_suffix(".pt"))
        which = evenly(np.flatnonzero(held), MOST_JUDGED)
        part = judge(data, trained.network, trained.vocabulary, which, job)
        with replacement(kept) as out:
            np.savez(out, source=part.source, spam=part.spam, logits=part.logits)
    with np.load(kept) as saved:
        part = calibrate.LeftOut(saved["source"], saved["spam"], saved["logits"])
    figure = one_minus_roca_pct(part.spam, part.logits)
    missed = sm_at_hm(part.spam, part.logits, 1.0)
    if figure is not None and missed is not None:
        job.say(f"left out {', '.join(names)}: (1-ROCA)% {figure.value:.3f}, sm % at hm 1 % {missed:.1f}")
    return part


def evenly(which: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most `most` of `which`, at equal distances."""
    return which[np.linspace(0, len(which) - 1, min(most, len(which))).astype(int)]


def _shorter(job: Job) -> Job:
    """Leave-out trainings tell what to believe at half the cost."""
    return replace(job, recipe=replace(job.recipe, epochs=max(1, job.recipe.epochs // 2)))


def train(data: Dataset, part: Split, job: Job, checkpoint: Path) -> Trained:
    """A vocabulary and a network from the training part of a split; a run broken off goes on from `checkpoint`."""
    known = words(data, part, job.recipe, path=checkpoint.with_suffix(".json"))
    # Of few messages BPE may find fewer words than it was asked for.
    recipe = replace(job.recipe, network=replace(job.recipe.network, vocabulary=len(known)))
    examples = data.encode(known, job.limits)
    network = train_network(data, part, examples, replace(job, recipe=recipe), checkpoint=checkpoint)
    return Trained(network, known, part)


def words(data: Dataset, part: Split, recipe: Recipe, *, path: Path) -> Vocabulary:
    """The vocabulary of the training part, kept at `path`. DataError unless that part has both ham and spam."""
    if len(set(data.spam[part.train])) < 2:
        raise DataError("the training part needs both ham and spam; add a corpus that has what is missing")
    if not path.exists():
        chosen = vocabulary_sample(data, part.train, recipe.seed)
        texts = (text for index in chosen for text in data.rows[index].windows[:2])
        Vocabulary(vocabulary.train(texts, size=recipe.network.vocabulary)).save(path)
    return Vocabulary.load(path)


def train_network(data: Dataset, part: Split, examples: Sequence[Example], job: Job, *, checkpoint: Path) -> Network:
    """One network by the recipe of `job`; `examples` are those of the whole of `data`."""
    return learn.train(
        job.recipe,
        [examples[index] for index in part.train],
        weights(data, part.train, synthetic=job.recipe.synthetic),
        [examples[index] for index in part.validation],
        checkpoint=checkpoint,
        device=job.device,
        say=job.say,
        tick=job.tick,
    )


def vocabulary_sample(data: Dataset, train: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """One message of a group, of each source at most VOCABULARY_SAMPLE; what we wrote ourselves teaches no words."""
    order = np.random.default_rng(seed).permutation(train)
    _, firsts = np.unique(data.group[order], return_index=True)
    singles = order[np.sort(firsts)]
    real = [name for name in np.unique(data.source[singles]) if name != SYNTHETIC] or [SYNTHETIC]
    return np.concatenate([singles[data.source[singles] == name][:VOCABULARY_SAMPLE] for name in real])


def judge(data: Dataset, judge: Judge, vocabulary: Vocabulary, which: NDArray[np.int64], job: Job) -> calibrate.LeftOut:
    """The logits of some messages, as the classifier would find them."""
    chosen = replace(data, rows=[data.rows[index] for index in which])
    found = learn.logits(judge, chosen.encode(vocabulary, job.limits), windows=job.limits.windows)
    return calibrate.LeftOut(data.source[which], data.spam[which], found)
