"""From 'there may be new mail' to 'it is judged, and what that asks for is done'.

The protocol, for whoever watches folders. All of it is called from one thread, the one that opened the journal; nobody
else acts under the same state folder (`spamlstm.service.lock`).

    journal = Journal.open(state)
    pipeline = Pipeline(config=config, classifier=classifier, journal=journal, counters=Counters())
    pipeline.recover()                                  # once, before anything else
    for maildir in expand(config.maildirs):             # at start, every scan_seconds, and after any doubt
        pipeline.process(pipeline.scan(maildir))
    pipeline.process(pipeline.scan(maildir, parts=("new",)))      # when something was delivered there
    journal.close()

- `scan` is the truth and may be called at any time, for any reason: what was judged does not come back, a folder in
  which nothing changed costs two calls of stat. The first scan of a Maildir notes since when it is watched.
- `process` takes any number of candidates and returns when each has an outcome, or soon after `stop()` is true, asked
  between groups of GROUP messages; those that it did not come to have no outcome and come with the next scan.
- Neither raises for what is wrong with a message, a folder or a disk: that is an outcome, a counter and a line in the
  log. A failed message stays where it is, and scans bring it again, at growing intervals.
- A message with the content of one that was judged before in the same Maildir is KNOWN and left alone, as that is what
  a user's move or copy looks like. Tests that deliver one message twice have to give it two Received lines, as mail
  servers do.
"""

import os
from collections.abc import Callable, Sequence

from spamlstm.config import Config
from spamlstm.mail.maildir import Part
from spamlstm.model.classifier import Classifier
from spamlstm.service.counters import Counters
from spamlstm.service.journal import Journal
from spamlstm.service.outcome import Candidate, Outcome

# Messages that share a transaction and an fsync. More gain little; this many are done in a tenth of a second.
GROUP = 64


class Pipeline:
    """Judges what lies in inboxes and does what the configuration asks for."""

    def __init__(
        self,
        *,
        config: Config,
        classifier: Classifier,
        journal: Journal,
        counters: Counters,
        readers: int | None = None,
    ) -> None:
        self.config = config
        self.classifier = classifier
        self.journal = journal
        self.counters = counters
        self.readers = readers

    def reconfigure(self, *, config: Config, classifier: Classifier) -> None:
        """Go on with another configuration or model; not called while `process` runs."""
        raise NotImplementedError

    def recover(self) -> None:
        """Bring every act that was cut short to its end: the message is as it was, or all is done."""
        raise NotImplementedError

    def scan(self, maildir: str | os.PathLike[str], *, parts: Sequence[Part] = ("new", "cur")) -> list[Candidate]:
        """What lies in the inbox of `maildir` and is to be judged. Empty where the Maildir cannot be looked at."""
        raise NotImplementedError

    def process(self, candidates: Sequence[Candidate], *, stop: Callable[[], bool] = lambda: False) -> list[Outcome]:
        """Judge the candidates and act; the outcomes stand in the order of the candidates."""
        raise NotImplementedError
