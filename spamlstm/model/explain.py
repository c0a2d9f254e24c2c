"""Explanations of a verdict: how much each word and each fact of a message contributes to its score.

A fact is a ⟦name:value⟧ mark in the rendered text. A candidate is a word or fact whose contribution is measured.

The method is occlusion: the contribution of a word is the score of the message minus the score without all occurrences
of that word. A contribution is exact for the network in use, has a sign and the unit of the score (log-odds), and does
not need a second model. Attention weights are not used. They show which positions the pooling weighted, but not in
which direction or how far a position changed the score, and each position of a BiLSTM already includes its neighbours
(Jain and Wallace 2019, 'Attention is not explanation'). Occlusion has a limit: if either of two words is sufficient,
the contribution of each word is zero.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from spamlstm.features.sender_identity import SenderIdentity
from spamlstm.model.classifier import Classifier
from spamlstm.model.close_reading import message_logits
from spamlstm.model.encoder import Ids
from spamlstm.model.fact_sentences import fact_sentence
from spamlstm.model.policy import Evidence, Policy, Reason

if TYPE_CHECKING:
    from spamlstm.model.correspondents import KnownSender
    from spamlstm.model.personal_layer import PersonalLayer

MOST_CANDIDATES = 400
"""The maximum number of candidates, which take about 0.5 s.

Candidates of the first window and of the most spam-like one come first.
"""

MOST_SHOWN = 12
"""The largest number of words and facts that are reported."""
LEAST_SHOWN = 0.005
"""The smallest effect of the labels that is reported, in log-odds. A smaller effect would be printed as +0.00."""

FINGERPRINT = "the order and form of the headers, which depend on the sending program"

# Facts contain a colon. Marks without a colon only begin a section and are not evidence.
_FACT = re.compile(r"⟦([^⟦⟧:]+:[^⟦⟧]*)⟧")
# A whole mark (which is not a word), a word, or a run of punctuation.
_WORD = re.compile(r"⟦[^⟦⟧]*⟧|\b[^\W_](?:[\w'’.-]*\w)?|[^\w\s⟦⟧]{2,}")
# The section with the fingerprint of the headers. Its letters are not words.
_TRACE = re.compile(r"(?<=⟦trace⟧)[^⟦]*")
# The section with the hosts to which links lead.


class CauseKind(StrEnum):
    """The kinds of causes of a score."""

    WORD = "word"
    HOST = "host"
    """A host to which a link leads, as the model reads it: most often without the names below the organisation."""
    FACT = "fact"
    LABELS = "labels"
    """All labels of the user together."""
    SENDER = "sender"
    """The earlier messages of the sender. The contribution of the labels does not include it."""
    RULE = "rule"
    """A rule that decided instead of the score: an entry of the allow or deny list, or the GTUBE test string."""


@dataclass(frozen=True, slots=True)
class Cause:
    """The contribution of one word, host or fact, or of all labels, to the score, in log-odds, or a rule.

    A contribution above zero moves the score towards spam, a contribution below zero towards ham. A rule has none.
    """

    kind: CauseKind
    text: str
    """The word or host itself, or a phrase about the fact, the labels or the rule."""
    contribution: float | None
    code: str | None = None
    """The name and value of a fact as the model reads them (`reply:other`), or None for other causes."""


_Candidate = tuple[CauseKind, str]
"""The kind and text of a candidate: a word, a host, the code of a fact, or "" for the fingerprint of the headers."""


def explain(
    classifier: Classifier,
    raw: bytes,
    *,
    layer: "PersonalLayer | None" = None,
    name: Callable[[int], str] = "label {}".format,
) -> list[Cause]:
    """Return the causes of the verdict: rules, the sender, the user's labels, then the strongest words and facts.

    The rules are missing if the score decided. The sender is missing if it is not known. The labels are missing if they
    change the score by less than LEAST_SHOWN and none is on a similar text.

    The words and facts are at most MOST_SHOWN, the strongest first. They are missing if the model was not used. If the
    message is nearly identical to a labelled message, `name` converts the number of that label (from 1, in the order of
    learning) to its displayed name.
    """
    reading = classifier.reader.read(raw)
    personal = () if layer is None else _personal(classifier, raw, layer, name)
    causes = _causes(classifier, reading.windows)[:MOST_SHOWN] if reading.windows else []
    return [*_rules(classifier.policy, reading.evidence), *personal, *causes]


def _rules(policy: Policy, evidence: Evidence) -> Iterator[Cause]:
    """Yield the rules that decided."""
    _, reason = policy.decide(None, evidence)
    if reason is Reason.ALLOW:
        phrases = [f'allow entry "{entry}"' for entry in policy.allow_entries(evidence)]
    elif reason is Reason.DENY:
        phrases = [f'deny entry "{entry}"' for entry in policy.deny_entries(evidence)]
    else:
        phrases = ["the text contains the GTUBE test string"] * (reason is Reason.GTUBE)
    yield from (Cause(CauseKind.RULE, phrase, None) for phrase in phrases)


def _personal(
    classifier: Classifier, raw: bytes, layer: "PersonalLayer", name: Callable[[int], str]
) -> Iterator[Cause]:
    """Yield the contributions of the sender and of the labels."""
    assessed = classifier.assess(raw)
    score = classifier.judged_score(assessed, layer)
    unknown = classifier.judged_score(assessed._replace(sender=None), layer)
    if assessed.personal_features is None or score is None or unknown is None:
        return
    known = layer.correspondents.evidence(assessed.sender)
    if assessed.sender is not None and known is not None and score != unknown:
        yield Cause(CauseKind.SENDER, sender_sentence(assessed.sender, known), round(score - unknown, 3))
    if unknown != assessed.prior:
        near = layer.near(assessed.personal_features)
        is_near = near.pull or near.text_pull
        most = f", most of all {name(near.label)}: {near.share:.0%} of the text is the same" if is_near else ""
        effect = round(unknown - (assessed.prior or 0.0), 3)
        if is_near or abs(effect) >= LEAST_SHOWN:
            yield Cause(CauseKind.LABELS, f"your labels{most}", effect)


def sender_sentence(sender: SenderIdentity, known: "KnownSender") -> str:
    """Return a phrase about what a sender sent before, such as 'shop.example sent 12 ham before, you answered 3'."""
    name = sender.name.removeprefix("list:")
    name = name if name == sender.name else f"the mailing list {name}"
    sent = " and ".join(f"{number:,} {label}" for number, label in ((known.ham, "ham"), (known.spam, "spam")) if number)
    parts = [f"{name} sent {sent} before" if sent else name]
    parts += [f"you answered {known.answered:,}"] * (known.answered > 0) + ["you wrote to this sender"] * known.written
    return ", ".join(parts)


def _causes(classifier: Classifier, windows: Sequence[str]) -> list[Cause]:
    logits = _logits(classifier, [[window] for window in windows])
    # Candidates of the first window and of the most spam-like one come first, because these two make up the score, and
    # the number of candidates is limited.
    order = [0, *sorted(range(1, len(windows)), key=lambda index: -logits[index])]
    candidates = _candidates([windows[index] for index in order])
    variants = [[_removed(window, candidate) for window in windows] for candidate in candidates]
    base, *without = _logits(classifier, [windows, *variants])
    scale = classifier.bundle.calibration.scale
    causes = [
        _cause(candidate, round(scale * (base - logit), 3))
        for candidate, logit in zip(candidates, without, strict=True)
    ]
    return sorted((cause for cause in causes if cause.contribution), key=lambda cause: -abs(cause.contribution or 0.0))


def _cause(candidate: _Candidate, contribution: float) -> Cause:
    kind, text = candidate
    if kind in (CauseKind.WORD, CauseKind.HOST):
        return Cause(kind, text, contribution)
    return Cause(kind, fact_sentence(text) if text else FINGERPRINT, contribution, text or "trace")


def _candidates(windows: Sequence[str]) -> list[_Candidate]:
    """Return the distinct candidates: facts, the fingerprint of the headers, then words and hosts as in the text."""
    found: dict[_Candidate, None] = {}
    hosts = {word for window in windows for word in _words(_hosts(window))}
    for window in windows:
        found.update(((CauseKind.FACT, match[1]), None) for match in _FACT.finditer(window))
        if trace := _TRACE.search(window):
            found.update({(CauseKind.FACT, ""): None} if trace[0].strip() else {})
    for window in windows:
        for word in _words(_TRACE.sub("", window)):
            found[CauseKind.HOST if word in hosts else CauseKind.WORD, word] = None
    return list(found)[:MOST_CANDIDATES]


def _hosts(window: str) -> str:
    """Return the section of the hosts, which ends at the section of the files."""
    before, mark, _ = window.partition("⟦files⟧")
    return before.partition("⟦hosts⟧")[2] if mark else ""


def _words(text: str) -> Iterator[str]:
    return (match[0] for match in _WORD.finditer(text) if not match[0].startswith("⟦"))


def _removed(window: str, candidate: _Candidate) -> str:
    kind, text = candidate
    if not text:
        return _TRACE.sub(" ", window)
    if text not in window:
        return window
    if kind is CauseKind.FACT:
        return window.replace(f"⟦{text}⟧", "")
    trace = _TRACE.search(window)
    start, end = trace.span() if trace else (0, 0)
    return _word_removed(window[:start], text) + window[start:end] + _word_removed(window[end:], text)


def _word_removed(text: str, word: str) -> str:
    return _WORD.sub(lambda match: "" if match[0] == word else match[0], text)


def _logits(classifier: Classifier, messages: Sequence[Sequence[str]]) -> list[float]:
    """Return the logit of each message from its windows. Equal windows and equal pieces are scored once."""
    windows = list(dict.fromkeys(window for message in messages for window in message))
    ids = dict(zip(windows, classifier.encoder.encode(windows), strict=True))

    def logits(rows: list[Ids]) -> list[float]:
        single = {row.tobytes(): row for row in rows}
        found = dict(zip(single, classifier.scorer.logits(list(single.values())).tolist(), strict=True))
        return [found[row.tobytes()] for row in rows]

    of_messages = [[ids[window] for window in message] for message in messages]
    return message_logits(of_messages, logits=logits, pieces=classifier.encoder.pieces)
