"""A daemon that is killed by each message that says 'kill': it works until it is idle, and ends.

python deadly.py STATE MODEL MAILDIR...
"""

import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

from house import WordJudge

from spamlstm.config import CatchUp, Config, DaemonConfig, MaildirConfig
from spamlstm.service.counters import Counters
from spamlstm.service.daemon import Daemon
from spamlstm.service.hints import Hints
from spamlstm.service.journal import Journal
from spamlstm.service.notify import Notifier
from spamlstm.service.pipeline import Pipeline
from spamlstm.service.status import DaemonStatus
from spamlstm.service.wake import Wake
from spamlstm.service.watch import Watcher


class DeadlyJudge(WordJudge):
    """Judges as its parent, but what says 'kill' ends the process before any clean-up can run."""

    def __init__(self, model):
        super().__init__()
        self.bundle = SimpleNamespace(label=model)

    def judge_many(self, mails, **how):
        def live(mails):
            for key, raw in mails:
                if b"kill" in raw:
                    os.kill(os.getpid(), signal.SIGKILL)
                yield key, raw

        return super().judge_many(live(mails), **how)


def main(state, model, *maildirs):
    sections = tuple(MaildirConfig(path) for path in maildirs)
    config = Config(maildirs=sections, daemon=DaemonConfig(catch_up=CatchUp.ALL))
    journal = Journal.open(Path(state))
    pipeline = Pipeline(config=config, classifier=DeadlyJudge(model), journal=journal, counters=Counters())
    with Wake() as wake:
        hints = Hints(wake.ring)
        with Watcher(hints) as watcher:
            status = DaemonStatus(pipeline.counters)
            daemon = Daemon(pipeline, watcher, hints, wake, Notifier({}), status, load=lambda: None)
            wake.wait = lambda _seconds: daemon.stop()
            daemon.run()
    journal.close()
    sys.stdout.write(f"{ {str(kind): count for kind, count in status.counters.failed.items()} }\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
