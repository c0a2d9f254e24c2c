"""The values of a configuration and their defaults, as frozen dataclasses that check their fields.

The verdict on a message is ham, unsure or spam. A label is what the user says about a message: ham or spam.
"""

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from spamlstm.verdict import Verdict

AUTO = "auto"
"""The value of `junk` that selects the Maildir's folder with one of the usual names."""


class Action(StrEnum):
    """An action on a message with a given verdict.

    A setting without actions is `()`, written as `[]` or `["none"]` in the file.
    """

    TAG = "tag"
    """Set headers that other tools can read."""

    KEYWORD = "keyword"
    """Set the junk keyword (an IMAP flag) of the folder, if the folder already has a junk keyword."""

    FILE = "file"
    """Move the message to the junk folder."""


class CatchUp(StrEnum):
    """The choice of mail that is classified when a Maildir is watched for the first time."""

    NEW = "new"
    """Only mail that is delivered later, even if the daemon is stopped at that time."""

    UNSEEN = "unseen"
    """New mail and unread mail in the inbox."""

    ALL = "all"
    """New mail and all mail in the inbox."""


class LabelScope(StrEnum):
    """The choice of labels that apply to the mail of a Maildir."""

    SHARED = "shared"
    """All labels apply to the mail of all Maildirs, for one person or for people who trust each other."""

    PER_MAILDIR = "per-maildir"
    """The labels given in a Maildir apply only to the mail of that Maildir."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The thresholds between the verdicts, as probabilities of spam.

    A probability p <= `ham` means ham, p >= `spam` means spam, and a probability between the thresholds means unsure.
    Raises ValueError if 0 <= ham <= spam <= 1 does not hold.
    """

    ham: float
    spam: float

    def __post_init__(self) -> None:
        """Raise ValueError if the thresholds contradict each other."""
        if not 0.0 <= self.ham <= self.spam <= 1.0:
            raise ValueError(f"the thresholds must satisfy 0 <= ham <= spam <= 1, not ham={self.ham}, spam={self.spam}")

    def verdict(self, probability: float) -> Verdict:
        """Return the verdict for a calibrated probability of spam."""
        if probability <= self.ham:
            return Verdict.HAM
        return Verdict.SPAM if probability >= self.spam else Verdict.UNSURE


@dataclass(frozen=True, slots=True)
class Costs:
    """The costs of ham classified as spam, of spam classified as ham, and of an unsure verdict, in any unit.

    Raises ValueError if a cost is infinite, if the first two costs are not above 0, or if `unsure` is below 0.
    """

    false_positive: float = 10.0
    false_negative: float = 1.0
    unsure: float = 0.2

    def __post_init__(self) -> None:
        """Raise ValueError if thresholds cannot be computed from the costs."""
        wrong = self.false_positive <= 0 or self.false_negative <= 0 or self.unsure < 0
        if wrong or not all(map(math.isfinite, (self.false_positive, self.false_negative, self.unsure))):
            raise ValueError("the costs must be finite, false_positive and false_negative above 0, unsure not below 0")


@dataclass(frozen=True, slots=True)
class PolicyConfig:
    """The `[policy]` table. None means that the value of the model is used."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    thresholds: Thresholds | None = None
    costs: Costs | None = None


@dataclass(frozen=True, slots=True)
class MaildirConfig:
    """One `[[maildir]]` section: the Maildirs and the actions for each verdict.

    `path` is as the user wrote it, with ~ and wildcards (`maildirs.expand_maildirs` resolves `path`). The actions are
    in the order of `Action` and occur once each. If `dry_run` is None, the value of `[daemon]` is used.
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
    """The `[learning]` table: the sources of labels and the Maildirs to which labels apply."""

    learn_from_moves: bool = True
    """Whether the daemon infers labels from messages that the user moves or answers."""

    labels: LabelScope = LabelScope.SHARED
    max_false_positive_rate: float = 0.001
    """The share of ham that may be filed as spam. `spamlstm adopt` chooses thresholds that keep this limit."""

    ignore_folders: tuple[str, ...] = ()
    """Folders whose mail is not labelled, besides Trash, Sent and Drafts."""

    user_maildir: str | None = None
    """The path of the Maildir whose labels apply to a user whom a client names.

    `{user}` stands for the name, `{local}` and `{domain}` for its parts before and after the @.
    """


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    """The `[metrics]` table: the outputs of metrics for Prometheus. An output that is None is off."""

    textfile: str | None = None
    """The path of a file for node_exporter's textfile collector, as the user wrote the path, with ~."""

    listen: str | None = None
    """The loopback address and port to listen on, such as `127.0.0.1:9469` or `[::1]:9469`."""

    def address(self) -> tuple[str, int] | None:
        """Return `listen` as host and port for a socket, or None if `listen` is not set."""
        host, _, port = (self.listen or "").rpartition(":")
        return (host.strip("[]"), int(port)) if self.listen else None


@dataclass(frozen=True, slots=True)
class ListenerConfig:
    """The settings that the tables of all listeners have. A listener is a socket on which the daemon classifies mail.

    `listen` is `unix:` with an absolute path, or a host and a port. If `listen` is None, the listener is off.
    """

    listen: str | None = None
    group: str | None = None
    """The group whose members can connect to a Unix socket, besides this user and root."""

    allow_remote: bool = False
    """Whether `listen` may be an address that other machines can reach."""


@dataclass(frozen=True, slots=True)
class FilterConfig(ListenerConfig):
    """The `[filter]` table: a further socket for `spamlstm filter`, for clients of other users."""


@dataclass(frozen=True, slots=True)
class HttpConfig(ListenerConfig):
    """The `[http]` table: a listener for rspamc and other clients of rspamd."""

    password_file: str | None = None
    """The path of a file with the password for labelling, as the user wrote it. Without it, nobody can label."""


@dataclass(frozen=True, slots=True)
class MilterConfig(ListenerConfig):
    """The `[milter]` table: a listener for Postfix and Sendmail.

    Points are those in `X-Spam-Status`. If a limit is None, no message is quarantined or rejected.
    """

    quarantine_above: float | None = None
    """Mail with more points is kept in the quarantine of the mail server."""

    reject_above: float | None = None
    """Mail with more points is rejected while the mail server receives it."""


@dataclass(frozen=True, slots=True)
class SpamdConfig(ListenerConfig):
    """The `[spamd]` table: a listener for spamc and other clients of SpamAssassin's spamd."""

    allow_tell: bool = False
    """Whether clients may label messages. Any client can then label messages for any user."""


AnyListener: TypeAlias = FilterConfig | HttpConfig | MilterConfig | SpamdConfig
"""The settings of one of the listeners."""


class TlsMode(StrEnum):
    """The encryption of the connection to an IMAP server."""

    TLS = "tls"
    """The connection begins with TLS."""

    STARTTLS = "starttls"
    """The client switches to TLS before it logs in."""

    NONE = "none"
    """No encryption, for a server on this machine."""


class AuthMethod(StrEnum):
    """How the daemon logs in to an IMAP server."""

    PLAIN = "plain"
    """With a password."""

    XOAUTH2 = "xoauth2"
    """With an OAuth 2.0 access token, by the mechanism of Gmail and Outlook."""

    OAUTHBEARER = "oauthbearer"
    """With an OAuth 2.0 access token, by the standard mechanism."""


@dataclass(frozen=True, slots=True)
class ImapConfig:
    """One `[[imap]]` section: an account on an IMAP server and the actions for each verdict.

    The actions are as in `MaildirConfig`, except that headers cannot be set. If `dry_run` is None, the value of
    `[daemon]` is used.
    """

    host: str
    user: str
    name: str | None = None
    port: int | None = None
    tls: TlsMode = TlsMode.TLS
    auth: AuthMethod = AuthMethod.PLAIN
    password_command: tuple[str, ...] | None = None
    """The command that prints the password, with its arguments."""
    token_command: tuple[str, ...] | None = None
    """The command that prints an access token, with its arguments."""
    folders: tuple[str, ...] = ("INBOX",)
    """The folders whose new mail is classified."""
    junk: str = AUTO
    sent: str = AUTO
    """The folder with the mail that the user sent."""
    check_seconds: float | None = None
    """The seconds between two questions for new mail in the first of `folders`.

    If it is None, the server is asked only if it has no IDLE, each minute.
    """
    spam: tuple[Action, ...] = (Action.KEYWORD, Action.FILE)
    unsure: tuple[Action, ...] = ()
    ham: tuple[Action, ...] = ()
    dry_run: bool | None = None

    @property
    def label(self) -> str:
        """Return the name of the account in reports: `name`, or the host."""
        return self.name or self.host

    @property
    def key(self) -> str:
        """Return the text that identifies the account in the state folder."""
        return f"imap://{self.user}@{self.host}:{self.tcp_port}"

    @property
    def tcp_port(self) -> int:
        """Return the configured port, or the usual port for the encryption."""
        return self.port or (993 if self.tls is TlsMode.TLS else 143)


@dataclass(frozen=True, slots=True)
class Config:
    """A complete configuration. The first section of `maildirs` that matches the path of a Maildir applies to it."""

    policy: PolicyConfig = field(default_factory=PolicyConfig)
    maildirs: tuple[MaildirConfig, ...] = ()
    daemon: DaemonConfig = field(default_factory=DaemonConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)
    learning: LearningConfig = field(default_factory=LearningConfig)
    filter: FilterConfig = field(default_factory=FilterConfig)
    http: HttpConfig = field(default_factory=HttpConfig)
    milter: MilterConfig = field(default_factory=MilterConfig)
    spamd: SpamdConfig = field(default_factory=SpamdConfig)
    accounts: tuple[ImapConfig, ...] = ()

    def listeners(self) -> dict[str, AnyListener]:
        """Return the configured listeners by the names of their tables."""
        tables: dict[str, AnyListener] = {
            "filter": self.filter,
            "http": self.http,
            "milter": self.milter,
            "spamd": self.spamd,
        }
        return {name: one for name, one in tables.items() if one.listen is not None}

    def is_dry(self, maildir: MaildirConfig | ImapConfig) -> bool:
        """Return whether actions in the Maildirs or the account of a section are only reported.

        The section's `dry_run` is used, or that of `[daemon]` if the section has none.
        """
        return self.daemon.dry_run if maildir.dry_run is None else maildir.dry_run
