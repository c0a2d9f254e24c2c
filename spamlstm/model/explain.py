"""Which words and facts pulled a verdict which way, by leaving each out and asking the network again.

Occlusion: the pull of a word is the score of the message less the score of the same message without that word,
everywhere it stands. It is exact for the network that ships, in the unit of the score (log-odds), with a sign, and
takes no second model. Attention weights were not used: they show where the pooling looked, but neither which way
nor how much it moved the answer, and each position of a BiLSTM already holds its neighbours (Jain and Wallace 2019,
'Attention is not explanation'). What occlusion cannot show: of two words that each suffice, each alone pulls nothing.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from spamlstm.model.classifier import Classifier
from spamlstm.model.network import message_logit

if TYPE_CHECKING:
    from spamlstm.model.personal_layer import PersonalLayer

# Longer mail is explained by what its most spam-like window holds; 400 re-scorings take about half a second.
MOST_CANDIDATES = 400

# Marks that only say where a section begins carry no evidence of their own; facts have a colon.
_FACT = re.compile(r"⟦[^⟦⟧:]+:[^⟦⟧]*⟧")
# A mark as a whole, which is no word; a word; or a run of signs.
_WORD = re.compile(r"⟦[^⟦⟧]*⟧|\b[^\W_](?:[\w'’.-]*\w)?|[^\w\s⟦⟧]{2,}")


class CauseKind(StrEnum):
    """What was left out."""

    WORD = "word"
    FACT = "fact"
    LABELS = "labels"
    """Nothing of the message, but all that was learned from the user's own labels."""


@dataclass(frozen=True, slots=True)
class Cause:
    """How much one word or fact moved the score: above zero towards spam, below towards ham, in log-odds."""

    kind: CauseKind
    text: str
    pull: float


def explain(
    classifier: Classifier,
    raw: bytes,
    *,
    layer: "PersonalLayer | None" = None,
    most: int = 12,
    name: Callable[[int], str] = "label {}".format,
) -> list[Cause]:
    """The part of the user's own labels, if there is any, and the `most` strongest pulls on what the base says.

    The strongest come first; there are none where the model was not asked. Where the message is much like a labelled
    one, that label is named by its number, from 1 on in the order of learning.
    """
    reading = classifier.reader.read(raw)
    pulls = _pulls(classifier, reading.windows)[:most] if reading.windows else []
    own = None if layer is None else _own(classifier, raw, layer, name)
    return pulls if own is None else [own, *pulls]


def _own(classifier: Classifier, raw: bytes, layer: "PersonalLayer", name: Callable[[int], str]) -> Cause | None:
    assessed = classifier.assess(raw)
    score = classifier.judged_score(assessed, layer)
    if assessed.personal_features is None or score is None or score == assessed.prior:
        return None
    near = layer.near(assessed.personal_features)
    like = f", above all {name(near.label)}: {near.share:.0%} is the same" if near.pull else ""
    return Cause(CauseKind.LABELS, f"what you labelled{like}", round(score - (assessed.prior or 0.0), 3))


def _pulls(classifier: Classifier, windows: Sequence[str]) -> list[Cause]:
    logits = _logits(classifier, windows)
    base = message_logit(logits)
    # The most spam-like window weighs most in the score, so what is in it comes first where not all can be tried.
    order = sorted(range(len(windows)), key=lambda index: -logits[index])
    candidates = _candidates([windows[index] for index in order])
    variants = [_without(windows, logits, candidate) for candidate in candidates]
    rescored = iter(_logits(classifier, [window for changed, _ in variants for window in changed]))
    scale = classifier.bundle.calibration.scale
    pulls = []
    for (kind, text), (changed, untouched) in zip(candidates, variants, strict=True):
        left = message_logit([next(rescored) for _ in changed] + untouched)
        pulls.append(Cause(kind, text, round(scale * (base - left), 3)))
    return sorted((pull for pull in pulls if pull.pull), key=lambda pull: -abs(pull.pull))


def _candidates(windows: Sequence[str]) -> list[tuple[CauseKind, str]]:
    """What can be left out, each once, in order of appearance."""
    found: dict[tuple[CauseKind, str], None] = {}
    for window in windows:
        found.update(((CauseKind.FACT, match[0]), None) for match in _FACT.finditer(window))
    for window in windows:
        words = (match[0] for match in _WORD.finditer(window))
        found.update(((CauseKind.WORD, word), None) for word in words if not word.startswith("⟦"))
    return list(found)[:MOST_CANDIDATES]


def _without(
    windows: Sequence[str], logits: Sequence[float], candidate: tuple[CauseKind, str]
) -> tuple[list[str], list[float]]:
    """The windows that change when a candidate is left out, changed; and the logits of those that do not."""
    kind, text = candidate
    pattern = _FACT if kind is CauseKind.FACT else _WORD
    changed, untouched = [], []
    for window, logit in zip(windows, logits, strict=True):
        less = pattern.sub(lambda match: "" if match[0] == text else match[0], window) if text in window else window
        if less == window:
            untouched.append(logit)
        else:
            changed.append(less)
    return changed, untouched


def _logits(classifier: Classifier, windows: Sequence[str]) -> list[float]:
    logits: list[float] = classifier.scorer.logits(classifier.encoder.encode(windows)).tolist()
    return logits
