"""The policy: derives a verdict and its reason from the probability of spam and the evidence.

Evidence is what the policy considers besides the probability, such as the sender.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Self

from spamlstm.config import Costs, PolicyConfig, Thresholds, sender_list
from spamlstm.errors import ConfigError
from spamlstm.verdict import Verdict


class Reason(StrEnum):
    """The reason for a verdict. If several reasons apply, the first in this list is used."""

    UNREADABLE = "unreadable"
    """The message could not be read or scored. The verdict is unsure, and the message is not moved."""

    ALLOW = "allow"
    """The sender or the mailing list is on the user's allow list. The verdict is ham."""

    DENY = "deny"
    """The sender or the mailing list is on the user's deny list. The verdict is spam."""

    GTUBE = "gtube"
    """The text contains the test string that every filter must classify as spam."""

    NOT_MAIL = "not-mail"
    """The bytes are another kind of file. The verdict is unsure."""

    NO_TEXT = "no-text"
    """The body has no words, because it is empty or cannot be read. The verdict is unsure.

    With a few words beside pictures or other content that cannot be read, the verdict is unsure instead of ham.
    """

    UNKNOWN_TEXT = "unknown-text"
    """Most of the text is in a script or language that did not occur in training. The verdict is unsure.

    If the text is unknown because its letters are decorated, the verdict is unsure instead of ham.
    """

    SCORE = "score"
    """No earlier reason applies. The verdict follows from the probability and the thresholds."""

    LABELS = "labels"
    """As `SCORE`, but the verdict would be different without the user's labels."""

    KNOWN_SENDER = "known-sender"
    """As `LABELS`, but the verdict would be different without what this sender sent before."""


class ThresholdOrigin(StrEnum):
    """The source of the thresholds in force."""

    CONFIGURATION = "configuration"
    """The thresholds that the configuration sets."""

    COSTS = "costs"
    """Computed from the costs that the configuration sets."""

    MODEL = "model"
    """The thresholds in the manifest of the model."""


class Evidence(NamedTuple):
    """The properties of a message that the policy considers besides the probability."""

    senders: tuple[str, ...] = ()
    """The addresses in the From header."""
    list_id: str = ""
    gtube: bool = False
    not_mail: bool = False
    no_text: bool = False
    little_text: bool = False
    """There are a few words beside content that cannot be read, so that good headers do not make the message ham."""
    unknown_text: bool = False
    decorated: bool = False
    """The letters have marks as in no language, so an unknown text is not an unknown language."""
    further_senders: tuple[tuple[str, ...], ...] = ()
    """The addresses in each further From header, which no ordinary message has."""

    @property
    def from_headers(self) -> tuple[tuple[str, ...], ...]:
        """The addresses in each From header."""
        return (self.senders, *self.further_senders)


NO_EVIDENCE = Evidence()


@dataclass(frozen=True, slots=True)
class Calibration:
    """Platt scaling: score = scale·logit + shift.

    The score is a log-odds in nats. Its logistic is the probability of spam.
    """

    scale: float
    shift: float

    def score(self, logit: float) -> float:
        """Return the calibrated log-odds of spam for `logit`."""
        return self.scale * logit + self.shift


def thresholds_from_costs(costs: Costs) -> Thresholds:
    """Return the thresholds with the lowest expected cost, given a calibrated probability p of spam.

    The expected costs are fp·(1-p) for the verdict spam, fn·p for ham, and u for unsure. Ham costs less than unsure if
    p <= u/fn. Spam costs less than unsure if p >= 1 - u/fp. Ham and spam cost the same at p = fp/(fp+fn). If unsure is
    never the cheapest verdict, the first two bounds cross and both thresholds are fp/(fp+fn). The costs 10 : 1 : 0.2
    give ham up to 0.2 and spam from 0.98.
    """
    even = costs.false_positive / (costs.false_positive + costs.false_negative)
    return Thresholds(
        ham=min(costs.unsure / costs.false_negative, even), spam=max(1.0 - costs.unsure / costs.false_positive, even)
    )


@dataclass(frozen=True, slots=True)
class SenderList:
    """The user's allow list or deny list.

    `sender_list.parse_sender` has the forms of the entries. Case is ignored, and both spellings of an international
    domain are equal. Addresses are compared with each address in the From header, which a sender can forge.

    Each field maps names in comparable form to the entry as the configuration has it.
    """

    addresses: Mapping[str, str] = field(default_factory=dict)
    domains: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: tuple[str, ...]) -> Self:
        """Return the list with these entries. Raises ConfigError if an entry does not have a known form."""
        named: dict[sender_list.SenderKind, dict[str, str]] = {kind: {} for kind in sender_list.SenderKind}
        for entry in entries:
            try:
                kind, name = sender_list.parse_sender(entry)
            except ValueError as error:
                raise ConfigError(str(error)) from error
            named[kind].setdefault(name, entry)
        return cls(*(named[kind] for kind in sender_list.SenderKind))

    def find(self, *, senders: tuple[str, ...], list_id: str) -> str | None:
        """Return the entry for the mailing list or for one of the addresses, or None if none is on this list."""
        if list_id and self.lists and (entry := self.lists.get(sender_list.comparable_list(list_id))):
            return entry
        if not (self.addresses or self.domains):
            return None
        return next(filter(None, map(self._find_address, senders)), None)

    def _find_address(self, sender: str) -> str | None:
        sender = sender_list.comparable_address(sender)
        if sender in self.addresses:
            return self.addresses[sender]
        labels = sender.rpartition("@")[2].split(".") if self.domains else []
        domains = [".".join(labels[start:]) for start in range(len(labels))]
        names = (*domains, *(f"*.{one}" for one in domains[1:]))
        return next((self.domains[name] for name in names if name in self.domains), None)


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules for a verdict. `decide` is pure: equal probability and evidence give an equal verdict."""

    thresholds: Thresholds
    allow: SenderList = field(default_factory=SenderList)
    deny: SenderList = field(default_factory=SenderList)
    origin: ThresholdOrigin = ThresholdOrigin.MODEL

    @classmethod
    def of(cls, config: PolicyConfig, *, thresholds: Thresholds) -> Self:
        """Return the configured policy.

        The thresholds are those of the configuration, otherwise those computed from the configured costs, otherwise
        `thresholds` (from the bundle). Raises ConfigError if an entry of the allow list or deny list is invalid.
        """
        origin = ThresholdOrigin.MODEL
        if config.thresholds is not None:
            thresholds, origin = config.thresholds, ThresholdOrigin.CONFIGURATION
        elif config.costs is not None:
            thresholds, origin = thresholds_from_costs(config.costs), ThresholdOrigin.COSTS
        return cls(thresholds, SenderList.of(config.allow), SenderList.of(config.deny), origin)

    @property
    def chosen(self) -> bool:
        """Whether the configuration sets thresholds or costs. `max_false_positive_rate` is then ignored."""
        return self.origin in (ThresholdOrigin.CONFIGURATION, ThresholdOrigin.COSTS)

    def thresholds_json(self) -> dict[str, float | str]:
        """Return the thresholds in force and their origin as a JSON-serializable dict."""
        return {"ham": self.thresholds.ham, "spam": self.thresholds.spam, "origin": str(self.origin)}

    def allow_entries(self, evidence: Evidence) -> tuple[str, ...]:
        """Return the entries of the allow list that make a message ham. Empty if the message is not allowed."""
        # Of several From headers, a mail program may show any, so each needs an entry.
        entries = [self.allow.find(senders=one, list_id=evidence.list_id) for one in evidence.from_headers]
        return () if None in entries else tuple(dict.fromkeys(filter(None, entries)))

    def deny_entries(self, evidence: Evidence) -> tuple[str, ...]:
        """Return the entries of the deny list that make a message spam. Empty if the message is not denied."""
        entries = [self.deny.find(senders=one, list_id=evidence.list_id) for one in evidence.from_headers]
        return tuple(dict.fromkeys(filter(None, entries)))

    def decide(self, probability: float | None, evidence: Evidence) -> tuple[Verdict, Reason]:
        """Return the verdict and its reason.

        If no other rule applies and the probability is None or not finite, the verdict is unsure with the reason
        NO_TEXT.
        """
        cases = (
            (self.allow_entries(evidence), Verdict.HAM, Reason.ALLOW),
            (self.deny_entries(evidence), Verdict.SPAM, Reason.DENY),
            (evidence.gtube, Verdict.SPAM, Reason.GTUBE),
            (evidence.not_mail, Verdict.UNSURE, Reason.NOT_MAIL),
            (evidence.no_text, Verdict.UNSURE, Reason.NO_TEXT),
            (evidence.unknown_text and not evidence.decorated, Verdict.UNSURE, Reason.UNKNOWN_TEXT),
        )
        for applies, verdict, reason in cases:
            if applies:
                return verdict, reason
        if probability is None or not math.isfinite(probability):
            return Verdict.UNSURE, Reason.NO_TEXT
        verdict = self.thresholds.verdict(probability)
        if evidence.little_text and verdict is Verdict.HAM:
            return Verdict.UNSURE, Reason.NO_TEXT
        if evidence.unknown_text and verdict is Verdict.HAM:
            return Verdict.UNSURE, Reason.UNKNOWN_TEXT
        return verdict, Reason.SCORE
