"""A candidate beside the model in use, on the same mail; and what must be so that it may take its place.

Both judge as the filter does: by the shipped ONNX path, with the policy configured and the personal layer. Of the
labels, both layers know only those that the candidate was trained on.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from spamlstm.config import Costs
from spamlstm.corpus.paths import FileMessage
from spamlstm.evaluation import metrics
from spamlstm.model.classifier import Assessed, Classifier
from spamlstm.model.personal_layer import PersonalLayer
from spamlstm.verdict import Verdict

# Of unlabelled mail that is judged ham now, at most so much may turn to spam; one message always may.
MOST_TURNED_PCT = 0.5


@dataclass(frozen=True, slots=True)
class Figures:
    """What one filter makes of the labels held back. `cost` is by what mistakes cost, summed over the messages."""

    ham: int
    spam: int
    lost: int
    """Ham judged spam."""
    missed: int
    """Spam judged ham."""
    unsure: int
    cost: float
    one_minus_roca_pct: float | None

    @property
    def hm_pct(self) -> float:
        """The share of ham that is judged spam."""
        return 100 * self.lost / max(self.ham, 1)


@dataclass(frozen=True, slots=True)
class Sides:
    """The same mail, judged by the model in use and by the candidate."""

    running: Figures
    candidate: Figures


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that the gate looks at. `turned` counts unlabelled messages by 'ham→spam' and the like."""

    filters: Sides
    networks: Sides
    """The same without the personal layer."""
    unlabelled: int = 0
    judged_ham: int = 0
    turned: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """All of it, as plain values."""
        return asdict(self)


def objections(comparison: Comparison) -> list[str]:
    """Why the candidate may not take the place of the model in use; none if it may. False positives come first."""
    filters, networks = comparison.filters, comparison.networks
    found = []
    for what, sides in (("with the labels", filters), ("by itself", networks)):
        was, now = sides.running, sides.candidate
        if now.lost > was.lost:
            found.append(f"{what} it judges {now.lost} of {now.ham} held-back ham to be spam, and {was.lost} are now")
        if now.cost > was.cost + 1e-9:
            found.append(
                f"{what} its mistakes on the labels held back cost {now.cost:.1f}, and those of now {was.cost:.1f}"
            )
    turned = comparison.turned.get("ham→spam", 0)
    if turned > max(1, MOST_TURNED_PCT / 100 * comparison.judged_ham):
        found.append(
            f"{turned} of {comparison.judged_ham} messages without a label that are judged ham now would be spam"
        )
    if not found and not _better(networks):
        found.append("on the labels held back it is no better than the model in use")
    return found


def _better(networks: Sides) -> bool:
    was, now = networks.running, networks.candidate
    ranks = (now.one_minus_roca_pct or 0.0) < (was.one_minus_roca_pct or 0.0)
    return now.cost < was.cost or (now.cost == was.cost and ranks)


def figures(verdicts: Sequence[Verdict], scores: Sequence[float], spam: Sequence[bool], costs: Costs) -> Figures:
    """The figures of what was judged so, with these scores; even odds for what has none."""
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
    """(verdicts, scores) with the labels in `layer`; what could not be judged is unsure."""
    verdicts, scores = [], []
    for one in assessed:
        judgement = classifier.judge(one, layer).judgement
        verdicts.append(judgement.verdict if judgement else Verdict.UNSURE)
        scores.append((judgement.score if judgement else None) or 0.0)
    return verdicts, scores


def turned(before: Sequence[Verdict], after: Sequence[Verdict]) -> dict[str, int]:
    """How many verdicts changed from what to what."""
    changes = Counter(f"{was}→{now}" for was, now in zip(before, after, strict=True) if was is not now)
    return dict(sorted(changes.items()))


def assess(classifier: Classifier, mail: Iterable[FileMessage]) -> Iterator[Assessed[str]]:
    """What the base says of each, by name; in this process alone, to keep the memory in bounds."""
    return classifier.assess_many(((one.name, one) for one in mail), readers=0)
