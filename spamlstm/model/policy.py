"""The policy: from a score to a probability, and with the evidence to a verdict with a named reason."""

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Self

from spamlstm.config import Costs, PolicyConfig, Thresholds, sender_list
from spamlstm.errors import ConfigError
from spamlstm.verdict import Verdict


class Reason(StrEnum):
    """The reason of a verdict: the first of these that applies."""

    UNREADABLE = "unreadable"
    """The message could not be read or scored: unsure, and the message stays where it is."""

    ALLOW = "allow"
    """The sender or the mailing list is on the user's allow list: always ham."""

    DENY = "deny"
    """The sender or the mailing list is on the user's deny list: spam."""

    GTUBE = "gtube"
    """The text contains the test string that every filter must call spam."""

    NOT_MAIL = "not-mail"
    """The bytes are another kind of file: unsure."""

    NO_TEXT = "no-text"
    """There are no words to judge (the message is empty or has only pictures): unsure."""

    UNKNOWN_TEXT = "unknown-text"
    """Most of the text is in a script or a language that the model never learned: unsure."""

    SCORE = "score"
    """The probability by the model, compared with the thresholds."""

    LABELS = "labels"
    """The probability, and without the user's labels the verdict would be different."""


class Evidence(NamedTuple):
    """The facts that the policy considers besides the probability."""

    sender: str = ""
    list_id: str = ""
    gtube: bool = False
    not_mail: bool = False
    no_text: bool = False
    unknown_text: bool = False


NO_EVIDENCE = Evidence()


@dataclass(frozen=True, slots=True)
class Calibration:
    """Platt scaling: score = scale·logit + shift, a log-odds in nats; its logistic is the probability of spam."""

    scale: float
    shift: float

    def score(self, logit: float) -> float:
        """Return the calibrated log-odds of spam."""
        return self.scale * logit + self.shift


def thresholds_from_costs(costs: Costs) -> Thresholds:
    """Return the thresholds with the least expected cost, given a calibrated probability p of spam.

    The expected costs are fp·(1-p) for spam, fn·p for ham, u for unsure. Ham is cheaper than unsure if p <= u/fn, spam
    if p >= 1 - u/fp, and ham costs as much as spam at p = fp/(fp+fn). If unsure is never the cheapest, the first two
    cross and both thresholds are the third. 10 : 1 : 0.2 gives ham up to 0.2 and spam from 0.98.
    """
    even = costs.false_positive / (costs.false_positive + costs.false_negative)
    return Thresholds(
        ham=min(costs.unsure / costs.false_negative, even), spam=max(1.0 - costs.unsure / costs.false_positive, even)
    )


@dataclass(frozen=True, slots=True)
class SenderList:
    """The user's allow or deny list.

    `friend@x.org` is that address, `@x.org` any address at x.org or a subdomain, `list:announce.x.org` the mailing list
    with that List-Id. Case does not matter. Addresses are compared with From, which a sender can forge.
    """

    addresses: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()

    @classmethod
    def of(cls, entries: tuple[str, ...]) -> Self:
        """Return the list with these entries. ConfigError for an entry of no known form."""
        named: dict[sender_list.SenderKind, set[str]] = {kind: set() for kind in sender_list.SenderKind}
        for entry in entries:
            try:
                kind, name = sender_list.parse_sender(entry)
            except ValueError as error:
                raise ConfigError(str(error)) from error
            named[kind].add(name)
        return cls(*(frozenset(named[kind]) for kind in sender_list.SenderKind))

    def covers(self, *, sender: str, list_id: str) -> bool:
        """Return whether the address or the mailing list is on this list."""
        sender, list_id = sender.lower(), list_id.lower()
        if (sender and sender in self.addresses) or (list_id and list_id in self.lists):
            return True
        labels = sender.rpartition("@")[2].split(".") if self.domains else []
        return any(".".join(labels[start:]) in self.domains for start in range(len(labels)))


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules for a verdict. `decide` is pure: the same probability and evidence give the same verdict."""

    thresholds: Thresholds
    allow: SenderList = field(default_factory=SenderList)
    deny: SenderList = field(default_factory=SenderList)
    chosen: bool = False
    """Whether the configuration sets thresholds or costs, so that thresholds found by `adopt` are not used."""

    @classmethod
    def of(cls, config: PolicyConfig, *, thresholds: Thresholds) -> Self:
        """Return the configured policy: its thresholds, else those from its costs, else `thresholds` of the bundle."""
        if config.thresholds is not None:
            thresholds = config.thresholds
        elif config.costs is not None:
            thresholds = thresholds_from_costs(config.costs)
        chosen = config.thresholds is not None or config.costs is not None
        return cls(thresholds, SenderList.of(config.allow), SenderList.of(config.deny), chosen)

    def decide(self, probability: float | None, evidence: Evidence) -> tuple[Verdict, Reason]:
        """Return the verdict and its reason; without a finite probability the verdict is unsure."""
        cases = (
            (self.allow.covers(sender=evidence.sender, list_id=evidence.list_id), Verdict.HAM, Reason.ALLOW),
            (self.deny.covers(sender=evidence.sender, list_id=evidence.list_id), Verdict.SPAM, Reason.DENY),
            (evidence.gtube, Verdict.SPAM, Reason.GTUBE),
            (evidence.not_mail, Verdict.UNSURE, Reason.NOT_MAIL),
            (evidence.no_text, Verdict.UNSURE, Reason.NO_TEXT),
            (evidence.unknown_text, Verdict.UNSURE, Reason.UNKNOWN_TEXT),
        )
        for applies, verdict, reason in cases:
            if applies:
                return verdict, reason
        if probability is None or not math.isfinite(probability):
            return Verdict.UNSURE, Reason.NO_TEXT
        return self.thresholds.verdict(probability), Reason.SCORE
