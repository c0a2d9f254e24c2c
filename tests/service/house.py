"""A Maildir, its journal and a pipeline over them, with a judge that goes by one word of the message."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import on_disk

from spamlstm.config import Config, DaemonConfig, MaildirConfig, Thresholds
from spamlstm.mail import maildir
from spamlstm.model.classifier import Judged
from spamlstm.model.policy import Policy
from spamlstm.service.counters import Counters
from spamlstm.service.journal import Journal
from spamlstm.service.pipeline import Pipeline
from spamlstm.verdict import Judgement, Verdict

# A little later than the clock of the tests begins.
DATE = 2_000_000_010
# All journals that tests opened; a fixture closes them, as Python 3.13 complains of connections that are left open.
OPENED: list[Journal] = []


def judgement(verdict, reason="score"):
    probability = {Verdict.SPAM: 0.999, Verdict.UNSURE: 0.5, Verdict.HAM: 0.01}[verdict]
    return Judgement(verdict, probability, 1.0, reason, "words 1")


class WordJudge:
    """Spam says 'spam', unsure says 'unsure', and 'broken' cannot be judged; the rest is ham."""

    policy = Policy(Thresholds(ham=0.2, spam=0.98))
    bundle = SimpleNamespace(label="words 1")

    def __init__(self):
        self.asked = 0

    def judge_many(self, mails, *, readers=None, beat=lambda: None):
        for key, raw in mails:
            self.asked += 1
            if b"broken" in raw:
                yield Judged(key, None, "it could not be read")
            else:
                words = [verdict for verdict in (Verdict.SPAM, Verdict.UNSURE) if verdict.encode() in raw]
                yield Judged(key, judgement(words[0] if words else Verdict.HAM), ms=1.0)


@dataclass
class Clock:
    """Time stands still until a test moves it."""

    now: float = 2_000_000_000.0

    def __call__(self):
        return self.now


def raw(body, number=0):
    """A message of plain text; the number makes it another one."""
    return f"Received: by mx id {number}\nFrom: ann@x.org\nSubject: x\n\n{body}\n".encode()


def make(path):
    """A Maildir without mail."""
    for part in ("", *maildir.PARTS):
        (Path(path) / part).mkdir(mode=0o700)
    return str(path)


@dataclass
class House:
    """One Maildir with all that watches it. `again` is a restart."""

    root: str
    state: Path
    section: dict = field(default_factory=dict)
    daemon: dict = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    monotonic: Clock | None = None
    """What waiting goes by, if that is not the same clock."""
    judge: WordJudge = field(default_factory=WordJudge)

    def __post_init__(self):
        self.count = 0
        self.open()

    def open(self):
        """Start, as the daemon starts."""
        self.open_quietly()
        self.pipeline.recover()

    def open_quietly(self):
        """Start without bringing to an end what was cut short."""
        section = MaildirConfig(self.root, **self.section)
        config = Config(maildirs=(section,), daemon=DaemonConfig(**self.daemon))
        self.journal = Journal.open(self.state)
        OPENED.append(self.journal)
        self.counters = Counters()
        self.pipeline = Pipeline(
            config=config,
            classifier=self.judge,
            journal=self.journal,
            counters=self.counters,
            clock=self.clock,
            monotonic=self.monotonic or self.clock,
        )

    def again(self):
        self.journal.close()
        self.open()

    def watch(self):
        """The first scan: from here on mail is new."""
        self.run()
        return self

    def deliver(self, body="spam", *, part="new", name=None, content=None):
        self.count += 1
        path = os.path.join(self.root, part, name or f"{self.count}.host")  # noqa: PTH118
        Path(path).write_bytes(content or raw(body, self.count))
        os.chmod(path, 0o640)  # noqa: PTH101
        os.utime(path, (DATE, DATE))
        return path

    def run(self, **how):
        """One pass."""
        return self.pipeline.process(self.pipeline.scan(self.root, **how))

    @property
    def junk(self):
        return os.path.join(self.root, ".Junk")  # noqa: PTH118

    def names(self, folder=None):
        """Part and name of each message."""
        folder = folder or self.root
        return (
            sorted((entry.part, entry.name) for entry in on_disk.messages(folder)) if maildir.is_maildir(folder) else []
        )

    def contents(self, folder=None):
        folder = folder or self.root
        if not maildir.is_maildir(folder):
            return []
        return sorted(on_disk.content(entry.path) for entry in on_disk.messages(folder))
