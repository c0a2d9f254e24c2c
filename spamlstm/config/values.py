"""The values of a configuration and their defaults, as frozen dataclasses that check themselves."""

import math
from dataclasses import dataclass, field
from enum import StrEnum

from spamlstm.verdict import Verdict

AUTO = "auto"
"""The junk folder is the folder of the Maildir that has one of the usual names."""


class Action(StrEnum):
    """An action on a message, chosen by its verdict. No action is `()`, written `[]` or `["none"]`."""

    TAG = "tag"
    """Set the headers that other tools read."""

    KEYWORD = "keyword"
    """Set the junk keyword of the folder, if the folder already has one."""

    FILE = "file"
    """Move the message to the junk folder."""


class CatchUp(StrEnum):
    """The mail to judge in a Maildir that is watched for the first time."""

    NEW = "new"
    """Mail delivered from then on, also while the daemon is stopped later."""

    UNSEEN = "unseen"
    """New mail, and unread mail in the inbox."""

    ALL = "all"
    """New mail, and all mail in the inbox."""


class LabelScope(StrEnum):
    """The labels that count for the mail of a Maildir."""

    SHARED = "shared"
    """All labels count for the mail of all Maildirs: these belong to one person, or to people who trust each other."""

    PER_MAILDIR = "per-maildir"
    """The labels given in a Maildir count for the mail of that Maildir only."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Thresholds between the verdicts, as probabilities of spam: p <= ham is ham, p >= spam is spam, else unsure.

    Raises ValueError with a sentence unless 0 <= ham <= spam <= 1.
    """

    ham: float
    spam: float

    def __post_init__(self) -> None:
        """Refuse thresholds that contradict each other."""
        if not 0.0 <= self.ham <= self.spam <= 1.0:
            raise ValueError(f"the thresholds must satisfy 0 <= ham <= spam <= 1, not ham={self.ham}, spam={self.spam}")

    def verdict(self, probability: float) -> Verdict:
        """Return the verdict for a calibrated probability of spam."""
        if probability <= self.ham:
            return Verdict.HAM
        return Verdict.SPAM if probability >= self.spam else Verdict.UNSURE


@dataclass(frozen=True, slots=True)
class Costs:
    """The costs of mistakes, in any unit: ham judged spam, spam judged ham, and a message left unsure.

    Raises ValueError with a sentence unless all are finite, and the first two above zero.
    """

    false_positive: float = 10.0
    false_negative: float = 1.0
    unsure: float = 0.2

    def __post_init__(self) -> None:
        """Refuse costs that determine no threshold."""
        wrong = self.false_positive <= 0 or self.false_negative <= 0 or self.unsure < 0
        if wrong or not all(map(math.isfinite, (self.false_positive, self.false_negative, self.unsure))):
            raise ValueError("the costs must be finite, false_positive and false_negative above 0, unsure not below 0")


@dataclass(frozen=True, slots=True)
class PolicyConfig:
    """The `[policy]` table. None means the value of the model's bundle."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    thresholds: Thresholds | None = None
    costs: Costs | None = None


@dataclass(frozen=True, slots=True)
class MaildirConfig:
    """One `[[maildir]]` section: the Maildirs, and the actions there for each verdict.

    `path` is as the user wrote it, with ~ and wildcards (`maildirs.expand_maildirs` resolves it). The actions are in
    the order of `Action`, each once. `dry_run` None means the value of `[daemon]`.
    """

    path: str
    junk: str = AUTO
    spam: tuple[Action, ...] = (Action.TAG, Action.FILE)
    unsure: tuple[Action, ...] = (Action.TAG,)
    ham: tuple[Action, ...] = ()
    dry_run: bool | None = None


@dataclass(frozen=True, slots=True)
class DaemonConfig:
    """The `[daemon]` table: settings of `spamlstm run` for all Maildirs."""

    scan_seconds: float = 45.0
    catch_up: CatchUp = CatchUp.NEW
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class LearningConfig:
    """The `[learning]` table: the sources of labels, and the Maildirs that share them."""

    learn_from_moves: bool = True
    """True if the daemon infers labels from messages that users move or answer."""

    labels: LabelScope = LabelScope.SHARED
    max_false_positive_rate: float = 0.001
    """The share of ham that may be filed as spam; `spamlstm adopt` sets the thresholds by it."""

    ignore_folders: tuple[str, ...] = ()
    """Folders that imply no label, besides Trash, Sent and Drafts."""


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    """The `[metrics]` table: a file and an address for Prometheus metrics; None if there are none."""

    textfile: str | None = None
    """A file for node_exporter's textfile collector, as the user wrote it, with ~."""

    listen: str | None = None
    """Address and port on this machine, `127.0.0.1:9469` or `[::1]:9469`."""

    def address(self) -> tuple[str, int] | None:
        """Return `listen` as the address of a socket, or None."""
        host, _, port = (self.listen or "").rpartition(":")
        return (host.strip("[]"), int(port)) if self.listen else None


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration. The first section of `maildirs` that matches a path applies to it."""

    policy: PolicyConfig = field(default_factory=PolicyConfig)
    maildirs: tuple[MaildirConfig, ...] = ()
    daemon: DaemonConfig = field(default_factory=DaemonConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    learning: LearningConfig = field(default_factory=LearningConfig)

    def is_dry(self, maildir: MaildirConfig) -> bool:
        """Return whether the mail of a section is only reported on: its own value, else that of `[daemon]`."""
        return self.daemon.dry_run if maildir.dry_run is None else maildir.dry_run
