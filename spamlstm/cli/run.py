"""`spamlstm run`: builds the daemon and runs it."""

import contextlib
import logging
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from spamlstm import __version__
from spamlstm.cli.selection import choose
from spamlstm.config import Config
from spamlstm.config.locations import config_files, find_config_file, state_dir
from spamlstm.daemon import logs
from spamlstm.daemon.hints import Hints, Wakeup
from spamlstm.daemon.loop import Daemon, ModelReload
from spamlstm.daemon.maildir_locks import MaildirLocks
from spamlstm.daemon.sd_notify import Notifier
from spamlstm.daemon.server import answering
from spamlstm.daemon.state_folder import StateFolder, hold
from spamlstm.daemon.status import DaemonStatus
from spamlstm.daemon.watch import Watcher
from spamlstm.errors import ConfigError
from spamlstm.filtering.failures import emit
from spamlstm.filtering.journal import Journal
from spamlstm.filtering.outcome import Counters
from spamlstm.filtering.pipeline import Pipeline
from spamlstm.model.classifier import Classifier
from spamlstm.model.registry import stamp
from spamlstm.tracking.label_stores import LabelStores
from spamlstm.tracking.mailbox_state import MailboxState
from spamlstm.tracking.rounds import LearningRounds
from spamlstm.tracking.tracker import Tracker

_WARM_UP = b"From: a@example.org\nContent-Type: text/html\n\n<p>Three words of http://example.org text</p>\n"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of the command line."""

    maildirs: list[Path]
    dry_run: bool
    model: Path | None
    config: Path | None

    def configuration(self) -> Config:
        """Return the configuration of this run. A UserError says what is wrong with it."""
        config = choose(self.config, self.maildirs, dry_run=self.dry_run)
        if not config.maildirs:
            where = self.config or find_config_file() or ", ".join(map(str, config_files()))
            raise ConfigError(f"there is nothing to watch: name a Maildir, or write a [[maildir]] section into {where}")
        return config

    def open(self, config: Config) -> Classifier:
        """Load and check the model in use. A UserError says what is wrong with it."""
        classifier = Classifier.open(self.model, config=config, personal_features=True)
        # Load now what the first message would load (30 ms).
        classifier.classify(_WARM_UP)
        return classifier


def run_daemon(options: RunOptions, *, state: Path | None) -> None:
    """Watch and filter until SIGTERM or SIGINT."""
    logs.set_up(sys.stderr)
    reload_requests = _listen_while_starting()
    config = options.configuration()
    model = ModelReload(stamp=lambda: stamp(options.model), open=options.open)
    classifier = model.load(config)
    state = state or state_dir()
    with contextlib.ExitStack() as stack:
        stack.enter_context(hold(state))
        journal = Journal.open(state)
        stack.callback(journal.close)
        notifier = Notifier(os.environ)
        label_stores = LabelStores(state, base=classifier, scope=config.learning.labels, beat=notifier.beat)
        stack.callback(label_stores.close)
        mailbox_state = MailboxState.open(state)
        stack.callback(mailbox_state.close)
        wakeup = stack.enter_context(Wakeup())
        hints = Hints(wakeup.wake)
        watcher = stack.enter_context(Watcher(hints))
        locks = stack.enter_context(MaildirLocks())
        tracker = Tracker(
            config=config,
            mailbox_state=mailbox_state,
            journal=journal,
            label_stores=label_stores,
            watch=watcher.watch_junk,
            open_maildir=locks.opened,
        )
        pipeline = Pipeline(
            config=config,
            classifier=classifier,
            journal=journal,
            counters=Counters(),
            moved=tracker.was_moved,
            layer_of=label_stores.layer,
            open_maildir=locks.opened,
            beat=notifier.beat,
        )
        learning = LearningRounds(
            label_stores=label_stores,
            tracker=tracker,
            config=config,
            present=watcher.present,
            moved=hints.take_moved,
        )
        status = _status(pipeline, classifier.bundle.label, hints, watcher, label_stores)
        stack.enter_context(answering(state, status.snapshot))
        daemon = Daemon(
            pipeline,
            watcher,
            hints,
            wakeup,
            notifier,
            status,
            load=lambda: _load(options, model),
            learning=learning,
            model=model,
            locks=locks,
            check_state=StateFolder(state).check,
        )
        _listen_to_signals(daemon, wakeup)
        if reload_requests:
            daemon.reload()
        emit(logging.INFO, "started", version=__version__, model=status.model, state=state)
        daemon.run()


def _load(options: RunOptions, model: ModelReload) -> tuple[Config, Classifier]:
    config = options.configuration()
    return config, model.load(config)


def _status(pipeline: Pipeline, model: str, hints: Hints, watcher: Watcher, label_stores: LabelStores) -> DaemonStatus:
    return DaemonStatus(
        pipeline.counters,
        model=model,
        waiting=lambda: len(hints),
        overflows=lambda: watcher.overflows,
        restarts=lambda: watcher.restarts,
        learning=label_stores.status.snapshot,
    )


def _listen_while_starting() -> list[int]:
    """End the start with status 0 at SIGTERM and SIGINT; return a list to which each SIGHUP is appended."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    requests: list[int] = []
    signal.signal(signal.SIGHUP, lambda number, _: requests.append(number))
    return requests


def _listen_to_signals(daemon: Daemon, wakeup: Wakeup) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: daemon.stop())
    signal.signal(signal.SIGHUP, lambda *_: daemon.reload())
    wakeup.wake_on_signals()
