"""From what the model says to what is done about it: a verdict with a named reason."""

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Self

from spamlstm.config import Costs, PolicyConfig, Thresholds, sender_list
from spamlstm.errors import ConfigError
from spamlstm.verdict import Verdict


class Reason(StrEnum):
    """Why a verdict is what it is; the first that applies, in this order."""

    UNREADABLE = "unreadable"
    """The message could not be read or scored at all, so no policy was asked: unsure (and left where it is)."""

    ALLOW = "allow"
    """The sender or the mailing list is on the user's allow list: ham, whatever else is true."""

    DENY = "deny"
    """The sender or the mailing list is on the user's deny list: spam."""

    GTUBE = "gtube"
    """The text holds the test string that every filter must call spam."""

    NOT_MAIL = "not-mail"
    """The bytes are some other kind of file: unsure."""

    NO_TEXT = "no-text"
    """There are no words to judge (empty, or only pictures): unsure."""

    UNKNOWN_TEXT = "unknown-text"
    """Most of the text is in letters or words that the model never learned: unsure."""

    SCORE = "score"
    """The model's probability, held against the thresholds."""

    LABELS = "labels"
    """The same, but without what the user has labelled the verdict would have been another."""


class Evidence(NamedTuple):
    """What the policy looks at besides the probability."""

    sender: str = ""
    list_id: str = ""
    gtube: bool = False
    not_mail: bool = False
    no_text: bool = False
    unknown_text: bool = False


NO_EVIDENCE = Evidence()


def thresholds_from_costs(costs: Costs) -> Thresholds:
    """The bars that make the expected cost of each verdict least, given a calibrated probability p of spam.

    The expected costs are: spam fp·(1-p), ham fn·p, unsure u. Ham beats unsure where p <= u/fn, spam beats unsure
    where p >= 1 - u/fp, and ham and spam are even at p = fp/(fp+fn). Where unsure costs so much that it never is the
    cheapest, the first two cross and both bars are the third. 10 : 1 : 0.2 gives ham up to 0.2, spam from 0.98.
    """
    even = costs.false_positive / (costs.false_positive + costs.false_negative)
    return Thresholds(
        ham=min(costs.unsure / costs.false_negative, even),
        spam=max(1.0 - costs.unsure / costs.false_positive, even),
    )


@dataclass(frozen=True, slots=True)
class SenderList:
    """A list of senders in the user's words, made ready to be asked.

    `friend@x.org` is that address, `@x.org` any address at x.org or below it, `list:announce.x.org` the mailing list
    of that List-Id. Case does not matter. Addresses are the message's own claim (its From), not proven.
    """

    addresses: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()

    @classmethod
    def of(cls, entries: tuple[str, ...]) -> Self:
        """Sort the entries by kind; a ConfigError tells what is wrong with one that is of none."""
        named: dict[sender_list.SenderKind, set[str]] = {kind: set() for kind in sender_list.SenderKind}
        for entry in entries:
            try:
                kind, name = sender_list.parse_sender(entry)
            except ValueError as error:
                raise ConfigError(str(error)) from error
            named[kind].add(name)
        return cls(*(frozenset(named[kind]) for kind in sender_list.SenderKind))

    def covers(self, *, sender: str, list_id: str) -> bool:
        """Whether the address or the mailing list is on this list."""
        sender, list_id = sender.lower(), list_id.lower()
        if (sender and sender in self.addresses) or (list_id and list_id in self.lists):
            return True
        labels = sender.rpartition("@")[2].split(".") if self.domains else []
        return any(".".join(labels[start:]) in self.domains for start in range(len(labels)))


@dataclass(frozen=True, slots=True)
class Policy:
    """What is decided when. `decide` is pure: the same probability and evidence give the same verdict."""

    thresholds: Thresholds
    allow: SenderList = field(default_factory=SenderList)
    deny: SenderList = field(default_factory=SenderList)
    chosen: bool = False
    """Whether the user's configuration speaks of the thresholds, so that no others take their place."""

    @classmethod
    def of(cls, config: PolicyConfig, *, thresholds: Thresholds) -> Self:
        """The user's policy: thresholds as configured, else from the costs configured, else these of the bundle."""
        chosen_thresholds = config.thresholds
        if chosen_thresholds is None:
            chosen_thresholds = thresholds if config.costs is None else thresholds_from_costs(config.costs)
        chosen = config.thresholds is not None or config.costs is not None
        return cls(chosen_thresholds, SenderList.of(config.allow), SenderList.of(config.deny), chosen)

    def decide(self, probability: float | None, evidence: Evidence) -> tuple[Verdict, Reason]:
        """The verdict and the first reason that applies; without a finite probability it is never a guess."""
        verdict, reason = self._by_evidence(evidence)
        if reason is not Reason.SCORE:
            return verdict, reason
        if probability is None or not math.isfinite(probability):
            return Verdict.UNSURE, Reason.NO_TEXT
        return self.thresholds.verdict(probability), reason

    def _by_evidence(self, evidence: Evidence) -> tuple[Verdict, Reason]:
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
        return Verdict.UNSURE, Reason.SCORE
