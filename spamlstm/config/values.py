"""The values of a configuration and their defaults: frozen, and right by themselves."""

import math
from dataclasses import dataclass, field
from enum import StrEnum

from spamlstm.verdict import Verdict

AUTO = "auto"
"""The junk folder is the one that the Maildir already has, under whichever of the usual names."""


class Action(StrEnum):
    """What is done to a message for its verdict. None of them is `()`, written `[]` or `["none"]`."""

    TAG = "tag"
    """The headers that other tools read are set."""

    KEYWORD = "keyword"
    """The folder's own junk keyword is set, only where the folder already maps it."""

    FILE = "file"
    """The message is moved to the junk folder."""


class CatchUp(StrEnum):
    """Which mail of a Maildir that is watched for the first time is judged."""

    NEW = "new"
    """What is delivered from then on; also what comes while the daemon is stopped later."""

    UNSEEN = "unseen"
    """That, and what lies in the inbox unread."""

    ALL = "all"
    """That, and everything else in the inbox."""


class LabelScope(StrEnum):
    """Whose labels judge the mail of a Maildir."""

    SHARED = "shared"
    """All labels judge the mail of all Maildirs: they belong to one person, or to people who trust each other."""

    PER_MAILDIR = "per-maildir"
    """The labels given in a Maildir judge the mail of that Maildir only."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The bars between the verdicts, as probabilities of spam: p <= ham is ham, p >= spam is spam, between is unsure.

    Raises ValueError with a sentence unless 0 <= ham <= spam <= 1.
    """

    ham: float
    spam: float

    def __post_init__(self) -> None:
        """Refuse bars that would contradict each other."""
        if not 0.0 <= self.ham <= self.spam <= 1.0:
            raise ValueError(f"the thresholds must satisfy 0 <= ham <= spam <= 1, not ham={self.ham}, spam={self.spam}")

    def verdict(self, probability: float) -> Verdict:
        """Hold a calibrated probability of spam against the bars."""
        if probability <= self.ham:
            return Verdict.HAM
        return Verdict.SPAM if probability >= self.spam else Verdict.UNSURE


@dataclass(frozen=True, slots=True)
class Costs:
    """What each mistake costs, in any unit: ham judged spam, spam judged ham, and a message left unsure.

    Raises ValueError with a sentence unless all are finite, and the first two above zero.
    """

    false_positive: float = 10.0
    false_negative: float = 1.0
    unsure: float = 0.2

    def __post_init__(self) -> None:
        """Refuse costs that no threshold follows from."""
        wrong = self.false_positive <= 0 or self.false_negative <= 0 or self.unsure < 0
        if wrong or not all(map(math.isfinite, (self.false_positive, self.false_negative, self.unsure))):
            raise ValueError("the costs must be finite, false_positive and false_negative above 0, unsure not below 0")


@dataclass(frozen=True, slots=True)
class PolicyConfig:
    """The `[policy]` table. None means: as the model's bundle says."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    thresholds: Thresholds | None = None
    costs: Costs | None = None


@dataclass(frozen=True, slots=True)
class MaildirConfig:
    """One `[[maildir]]`: which Maildirs, and what is done there for each verdict.

    `path` is as the user wrote it, with ~ and with *, ? and [] (`maildirs.expand` resolves it). The actions are
    in the order of `Action`, each once. `dry_run` None means: as `[daemon]` says.
    """

    path: str
    junk: str = AUTO
    spam: tuple[Action, ...] = (Action.TAG, Action.FILE)
    unsure: tuple[Action, ...] = (Action.TAG,)
    ham: tuple[Action, ...] = ()
    dry_run: bool | None = None


@dataclass(frozen=True, slots=True)
class DaemonConfig:
    """The `[daemon]` table: how `spamlstm run` works, the same for all Maildirs."""

    scan_seconds: float = 45.0
    catch_up: CatchUp = CatchUp.NEW
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class LearningConfig:
    """The `[learning]` table: what is learned from, and for whom."""

    learn_from_moves: bool = True
    """Whether the daemon takes what users move into and out of folders, and answer, for what they say of it."""

    labels: LabelScope = LabelScope.SHARED
    max_false_positive_rate: float = 0.001
    """The share of ham that may be filed as spam, by which `spamlstm adopt` sets the bars."""

    ignore_folders: tuple[str, ...] = ()
    """Further folders that say nothing of the mail in them, as Trash, Sent and Drafts say nothing."""


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    """The `[metrics]` table: where the numbers go for Prometheus. None is nowhere."""

    textfile: str | None = None
    """A file for node_exporter's textfile collector, as the user wrote it, with ~."""

    listen: str | None = None
    """Address and port on this machine, `127.0.0.1:9469` or `[::1]:9469`."""

    def address(self) -> tuple[str, int] | None:
        """`listen` as a socket wants it."""
        host, _, port = (self.listen or "").rpartition(":")
        return (host.strip("[]"), int(port)) if self.listen else None


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a configuration file can say. Of the Maildirs, the first that matches a path holds for it."""

    policy: PolicyConfig = field(default_factory=PolicyConfig)
    maildirs: tuple[MaildirConfig, ...] = ()
    daemon: DaemonConfig = field(default_factory=DaemonConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    learning: LearningConfig = field(default_factory=LearningConfig)

    def is_dry(self, maildir: MaildirConfig) -> bool:
        """Whether mail there is only reported on: the Maildir's own word, else the daemon's."""
        return self.daemon.dry_run if maildir.dry_run is None else maildir.dry_run
