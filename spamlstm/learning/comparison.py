"""Comparison of a candidate model with the model in use on the same mail, and the conditions for a promotion.

A candidate is a retrained model, and promoting it means putting it in use. Both models classify mail as the filter
does, with ONNX Runtime and the configured policy. They are compared with and without a personal layer, which corrects
the score of a model by the user's labels. The personal layers of both models learned only the labels that the candidate
was trained on.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spamlstm.config import Config, Costs
from spamlstm.corpus.paths import FileMessage
from spamlstm.evaluation import metrics
from spamlstm.learning.reference_mail import FEW, ReferenceVerdicts, judge_reference_mail
from spamlstm.learning.snapshot import LabelledMail
from spamlstm.model import registry
from spamlstm.model.classifier import Assessed, Classifier
from spamlstm.model.personal_layer import PersonalLayer
from spamlstm.verdict import Verdict

# The largest percentage of unlabelled ham (as classified by the model in use) that may become spam. One message is
# always allowed.
MOST_TURNED_PCT = 0.5


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one filter on held-out mail. `cost` is the total cost of mistakes and unsure verdicts."""

    ham: int
    spam: int
    lost: int
    """The number of ham messages classified as spam."""
    missed: int
    """The number of spam messages classified as ham."""
    unsure: int
    cost: float
    one_minus_roca_pct: float | None


@dataclass(frozen=True, slots=True)
class Sides:
    """The figures of the model in use and of the candidate on the same mail."""

    running: Figures
    candidate: Figures


@dataclass(frozen=True, slots=True)
class ShippedLosses:
    """How many reference messages get a worse verdict from each model than from the shipped model, without labels."""

    running: int
    candidate: int

    @property
    def are_many(self) -> bool:
        """Return whether the candidate loses more than FEW messages, and more than the model in use."""
        return self.candidate > max(FEW, self.running)


@dataclass(frozen=True, slots=True)
class Comparison:
    """All figures on which the decision about a promotion depends.

    `unlabelled` is the number of unlabelled messages. `judged_ham` is the number of unlabelled messages that the model
    in use classifies as ham. `turned` is the number of changed verdicts on unlabelled messages, by kind of change, such
    as 'ham→spam'. `reference` has the verdicts on the reference mail, which is unlike the user's mail, with personal
    layers of all labels. `shipped` compares with the shipped model, so that small losses of many retrainings do not add
    up. It is without personal layers, so that the shipped model need not read the labels.
    """

    filters: Sides
    """The figures with the personal layers."""
    networks: Sides
    """The figures without the personal layers."""
    unlabelled: int = 0
    judged_ham: int = 0
    turned: dict[str, int] = field(default_factory=dict)
    reference: ReferenceVerdicts | None = None
    shipped: ShippedLosses | None = None


def objections(comparison: Comparison) -> list[str]:
    """Return the reasons against a promotion. The list is empty if the candidate may be promoted."""
    found = []
    for what, sides in (("with your labels", comparison.filters), ("without your labels", comparison.networks)):
        current, new = sides.running, sides.candidate
        if new.lost > current.lost:
            found.append(
                f"{what}, it classifies {new.lost} of {new.ham} held-out ham messages as spam;"
                f" the model in use classifies {current.lost} as spam"
            )
        if new.cost > current.cost + 1e-9:
            found.append(
                f"{what}, its mistakes on held-out labels cost {new.cost:.1f};"
                f" those of the model in use cost {current.cost:.1f}"
            )
    held = comparison.networks.running
    for kind, count in (("ham", held.ham), ("spam", held.spam)):
        if not count:
            found.append(f"no held-out label is {kind}, because the newest {kind} repeats earlier {kind}")
    turned = comparison.turned.get("ham→spam", 0)
    if turned > max(1, MOST_TURNED_PCT / 100 * comparison.judged_ham):
        found.append(f"{turned} of {comparison.judged_ham} unlabelled messages that are ham now would become spam")
    if comparison.reference is not None and comparison.reference.is_worse:
        found.append(
            f"{comparison.reference.worse} reference messages, which are unlike your mail, would get a worse verdict"
        )
    if comparison.shipped is not None and comparison.shipped.are_many:
        found.append(
            f"without your labels, {comparison.shipped.candidate} reference messages would get a worse verdict than"
            " with the shipped model"
        )
    if not found and not _is_better(comparison.networks):
        found.append("it is not better than the model in use on held-out labels")
    return found


def shipped_losses(running: Classifier, candidate: Classifier, config: Config) -> ShippedLosses | None:
    """Judge the reference mail with the shipped model and both others. Return None if there is no shipped model."""
    path = registry.folder(registry.DEFAULT)
    if not path.is_dir():
        return None
    current, new = (judge_reference_mail(one, None) for one in (running, candidate))
    # Before the first retraining that succeeds, the model in use is the shipped model.
    is_shipped = os.path.realpath(running.bundle.path) == os.path.realpath(path)
    shipped = current if is_shipped else judge_reference_mail(Classifier.open(path, config=config), None)
    return ShippedLosses(*(ReferenceVerdicts(shipped, one).worse for one in (current, new)))


def comparison_table(comparison: Comparison) -> list[str]:
    """Return the lines of a Markdown table of the figures, and a line about changed verdicts."""
    rows = [
        "| held-out labels | ham lost | spam missed | unsure | cost | (1-ROCA)% |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for what, sides in (("filter", comparison.filters), ("network", comparison.networks)):
        for which, one in (("in use", sides.running), ("new", sides.candidate)):
            area = "–" if one.one_minus_roca_pct is None else f"{one.one_minus_roca_pct:.3f}"
            rows.append(
                f"| {what}, {which} | {one.lost} of {one.ham} | {one.missed} of {one.spam} | {one.unsure} "
                f"| {one.cost:.1f} | {area} |"
            )
    changes = ", ".join(f"{count} {change}" for change, count in comparison.turned.items()) or "none"
    rows += ["", f"Changed verdicts on {comparison.unlabelled:,} unlabelled messages: {changes}."]
    if comparison.reference is not None:
        rows += [f"Worse verdicts on reference mail, which is unlike your mail: {comparison.reference.worse}."]
    if comparison.shipped is not None:
        rows += [f"Worse than those of the shipped model, without labels: {comparison.shipped.candidate}."]
    return rows


def _is_better(networks: Sides) -> bool:
    current, new = networks.running, networks.candidate
    ranks_better = (new.one_minus_roca_pct or 0.0) < (current.one_minus_roca_pct or 0.0)
    return new.cost < current.cost or (new.cost == current.cost and ranks_better)


def figures(verdicts: Sequence[Verdict], scores: Sequence[float], spam: Sequence[bool], costs: Costs) -> Figures:
    """Return the figures for the given verdicts and scores. `spam` tells which messages are spam."""
    pairs = Counter(zip(spam, verdicts, strict=True))
    lost, missed = pairs[False, Verdict.SPAM], pairs[True, Verdict.HAM]
    unsure = pairs[False, Verdict.UNSURE] + pairs[True, Verdict.UNSURE]
    cost = costs.false_positive * lost + costs.false_negative * missed + costs.unsure * unsure
    truth = np.array(spam, np.bool_)
    area = metrics.one_minus_roca_pct(truth, np.array(scores, np.float64))
    return Figures(len(spam) - sum(spam), sum(spam), lost, missed, unsure, cost, area.value if area else None)


def judged(
    classifier: Classifier, assessed: Iterable[Assessed[Any]], layer: PersonalLayer | None
) -> tuple[list[Verdict], list[float]]:
    """Return the verdicts and the scores of messages. If `layer` is None, no personal layer is used.

    A message that cannot be classified gets the verdict unsure. A message without a score gets the score 0 (even odds).
    """
    verdicts, scores = [], []
    for one in assessed:
        judgement = classifier.judge(one, layer).judgement
        verdicts.append(judgement.verdict if judgement else Verdict.UNSURE)
        scores.append((judgement.score if judgement else None) or 0.0)
    return verdicts, scores


def turned(before: Sequence[Verdict], after: Sequence[Verdict]) -> dict[str, int]:
    """Return the number of changed verdicts by kind of change, such as 'ham→spam'."""
    changes = Counter(f"{was}→{now}" for was, now in zip(before, after, strict=True) if was is not now)
    return dict(sorted(changes.items()))


def learned(assessed: Sequence[Assessed[str]], labelled: Sequence[LabelledMail]) -> PersonalLayer:
    """Return a personal layer that learned the given labels in order.

    `assessed` has the base scores (scores before personal labels) and features of at least these messages.
    """
    by_content = {one.key: one for one in assessed}
    layer = PersonalLayer()
    for one in sorted(labelled, key=lambda labelled: labelled.row):
        base = by_content[one.content]
        if base.personal_features is not None:
            layer.learn(
                base.personal_features,
                prior=base.prior,
                spam=one.spam,
                history=one.origin.is_history,
                sender=base.sender,
                answered=one.answered,
            )
    return layer


def assess(classifier: Classifier, mail: Iterable[FileMessage]) -> Iterator[Assessed[str]]:
    """Yield the base scores and features of messages, with the message name as key.

    To limit the use of memory, messages are read in this process and not in reader processes.
    """
    return classifier.assess_many(((one.name, one) for one in mail), readers=0)
