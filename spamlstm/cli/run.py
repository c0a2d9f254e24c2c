"""`spamlstm run`: create the daemon from its parts and run it."""

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from spamlstm import __version__
from spamlstm.cli.selection import WORK, choose
from spamlstm.config import Config
from spamlstm.config.locations import find_config_file, state_dir
from spamlstm.daemon import logs
from spamlstm.daemon.hints import Hints, Wakeup
from spamlstm.daemon.imap.accounts import Accounts, check_imap_installed
from spamlstm.daemon.listeners.judging import Judging
from spamlstm.daemon.listeners.server import Listeners
from spamlstm.daemon.loop import Daemon
from spamlstm.daemon.maildir_locks import MaildirLocks
from spamlstm.daemon.model_reload import ModelReload
from spamlstm.daemon.passed_sockets import passed_sockets
from spamlstm.daemon.sd_notify import Notifier
from spamlstm.daemon.server import answering
from spamlstm.daemon.state_folder import StateFolder, hold
from spamlstm.daemon.status import DaemonStatus
from spamlstm.daemon.watch import Watcher
from spamlstm.errors import ConfigError
from spamlstm.filtering.counters import Counters
from spamlstm.filtering.event_log import emit
from spamlstm.filtering.journal import Journal
from spamlstm.filtering.pipeline import Pipeline
from spamlstm.model.classifier import Classifier
from spamlstm.model.registry import lost_selection, stamp
from spamlstm.tracking.label_stores import LabelStores
from spamlstm.tracking.mailbox_state import MailboxState
from spamlstm.tracking.rounds import LearningRounds
from spamlstm.tracking.tracker import Tracker

_WARM_UP = b"From: a@example.org\nContent-Type: text/html\n\n<p>Three words of http://example.org text</p>\n"


def run_daemon(
    maildirs: list[Path], *, dry_run: bool, model: Path | None, config_file: Path | None, state: Path | None
) -> None:
    """Watch the Maildirs and filter new mail until SIGTERM or SIGINT.

    Raises UserError if the configuration, the model or the state folder cannot be used.
    """
    logs.set_up(sys.stderr)
    model_reload = ModelReload(stamp=lambda: stamp(model), open=lambda config: _open(model, config))

    def load() -> tuple[Config, Classifier]:
        config = _configuration(maildirs, dry_run=dry_run, config_file=config_file)
        return config, model_reload.load(config)

    state = state or state_dir()
    with contextlib.ExitStack() as stack:
        reload_requests = stack.enter_context(_signals_while_starting())
        config, classifier = load()
        stack.enter_context(hold(state))
        daemon = _create_daemon(
            stack,
            state,
            config=config,
            classifier=classifier,
            load=load,
            model_reload=model_reload,
            model_remark=lambda: lost_selection(model),
        )
        _handle_signals(daemon)
        if reload_requests:
            daemon.reload()
        emit(logging.INFO, "started", version=__version__, model=daemon.status.model, state=state)
        daemon.run()


def _create_daemon(
    stack: contextlib.ExitStack,
    state: Path,
    *,
    config: Config,
    classifier: Classifier,
    load: Callable[[], tuple[Config, Classifier]],
    model_reload: ModelReload,
    model_remark: Callable[[], str],
) -> Daemon:
    """Create the daemon from its parts, and serve clients and accounts. `stack` closes the parts, the last one first.

    Raises UserError if a file of the state folder or an address of a listener cannot be used.
    """
    notifier = Notifier(os.environ)
    databases = _open_databases(stack, state, config=config, classifier=classifier, beat=notifier.beat)
    wakeup = stack.enter_context(Wakeup())
    hints = Hints(wakeup.wake)
    watcher = stack.enter_context(Watcher(hints))
    locks = stack.enter_context(MaildirLocks())
    pipeline, learning = _filtering_and_learning(
        databases,
        config=config,
        classifier=classifier,
        watcher=watcher,
        hints=hints,
        locks=locks,
        beat=notifier.beat,
    )
    status = DaemonStatus(
        pipeline.counters,
        model=classifier.bundle.label,
        waiting=lambda: len(hints),
        overflows=lambda: watcher.overflows,
        restarts=lambda: watcher.restarts,
        learning=databases.label_stores.status.snapshot,
        listeners=lambda: listeners.snapshot(),  # noqa: PLW0108  created below
        accounts=lambda: accounts.snapshot(),  # noqa: PLW0108  created below
        model_remark=model_remark,
        # A reload replaces the classifier.
        thresholds=lambda: pipeline.classifier.policy.thresholds_json(),  # noqa: PLW0108
    )
    requests = Judging(
        classifier=lambda: pipeline.classifier,
        config=lambda: pipeline.config,
        label_stores=databases.label_stores,
        wake=wakeup.wake,
        beat=notifier.beat,
    )
    listeners = Listeners(requests, state=state, passed=passed_sockets(os.environ), failed=wakeup.wake)
    stack.callback(listeners.close)
    listeners.start(config)
    accounts = Accounts(requests, state=state)
    stack.callback(accounts.close)
    accounts.reconfigure(config)
    stack.enter_context(answering(state, status.snapshot))
    return Daemon(
        pipeline,
        watcher,
        hints,
        wakeup,
        notifier,
        status,
        load=load,
        learning=learning,
        model_reload=model_reload,
        locks=locks,
        listeners=listeners,
        requests=requests,
        accounts=accounts,
        check_state=StateFolder(state).check,
    )


@dataclass(frozen=True, slots=True)
class _Databases:
    """The databases of the daemon in its state folder."""

    journal: Journal
    label_stores: LabelStores
    mailbox_state: MailboxState


def _open_databases(
    stack: contextlib.ExitStack, state: Path, *, config: Config, classifier: Classifier, beat: Callable[[], None]
) -> _Databases:
    journal = Journal.open(state)
    stack.callback(journal.close)
    label_stores = LabelStores(state, base=classifier, scope=config.learning.labels, beat=beat)
    stack.callback(label_stores.close)
    mailbox_state = MailboxState.open(state)
    stack.callback(mailbox_state.close)
    return _Databases(journal, label_stores, mailbox_state)


def _filtering_and_learning(
    databases: _Databases,
    *,
    config: Config,
    classifier: Classifier,
    watcher: Watcher,
    hints: Hints,
    locks: MaildirLocks,
    beat: Callable[[], None],
) -> tuple[Pipeline, LearningRounds]:
    """Return what works on the Maildirs: the filtering of new mail, and the learning from moves."""
    tracker = Tracker(
        config=config,
        mailbox_state=databases.mailbox_state,
        journal=databases.journal,
        label_stores=databases.label_stores,
        watch=watcher.watch_junk,
        open_maildir=locks.opened,
    )
    pipeline = Pipeline(
        config=config,
        classifier=classifier,
        journal=databases.journal,
        counters=Counters(),
        placed=tracker.placed,
        layer_of=databases.label_stores.layer,
        open_maildir=locks.opened,
        beat=beat,
    )
    learning = LearningRounds(
        label_stores=databases.label_stores,
        tracker=tracker,
        config=config,
        present=watcher.present,
        moved=hints.take_moved,
    )
    return pipeline, learning


def _configuration(maildirs: list[Path], *, dry_run: bool, config_file: Path | None) -> Config:
    """Return the configuration of the daemon.

    Raises ConfigError if there is nothing to do, and UnavailableError if a package for IMAP accounts is missing.
    """
    config = choose(config_file, maildirs, dry_run=dry_run)
    if config.accounts:
        check_imap_installed()
    if not config.maildirs and not config.listeners() and not config.accounts:
        file = config_file or find_config_file()
        how = f"add to {file} {WORK}" if file else "run: spamlstm config init"
        raise ConfigError(f"there is nothing to do: name a Maildir, or {how}")
    return config


def _open(path: Path | None, config: Config) -> Classifier:
    """Load and check a model. Raises UserError if it cannot be used."""
    classifier = Classifier.open(path, config=config, personal_features=True)
    if why := lost_selection(path):
        emit(logging.WARNING, "model-not-selected", error=why)
    # Modules and data that are loaded on first use (30 ms) are loaded now, so that the first message is not delayed.
    classifier.classify(_WARM_UP)
    return classifier


def _handle_signals(daemon: Daemon) -> None:
    """Let SIGTERM and SIGINT stop the daemon, and SIGHUP reload its configuration and model."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: daemon.stop())
    signal.signal(signal.SIGHUP, lambda *_: daemon.reload())
    daemon.wakeup.wake_on_signals()


@contextlib.contextmanager
def _signals_while_starting() -> Iterator[list[int]]:
    """Exit with status 0 at SIGTERM and SIGINT. Yields a list to which each SIGHUP is appended.

    If the block raises an error, the handlers from before the block are restored.
    """
    # An exception would not end the process if it came during an import, which may replace it by an error of its own.
    requests: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    signal.signal(signal.SIGHUP, lambda number, _: requests.append(number))
    try:
        yield requests
    except Exception:
        for number, handler in before.items():
            signal.signal(number, handler)
        raise
