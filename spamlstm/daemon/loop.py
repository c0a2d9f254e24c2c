"""The daemon's main loop: takes hints, scans Maildirs, runs the pipeline, and reloads configuration and model.

Terms:
- A hint is a note by the watching thread that a Maildir may have new mail (`daemon.hints`).
- A scan lists the inbox of a Maildir and returns its candidates, the messages that are not classified yet.
- A full scan is a scan of all Maildirs; it finds mail for which there was no hint (`daemon.full_scans`).
- A suspect is a message that was in progress when the process crashed.
- A personal layer adapts the model to the labels of one user.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from spamlstm.config import CatchUp, Config
from spamlstm.daemon.full_scans import FullScans
from spamlstm.daemon.hints import Hints, Wakeup
from spamlstm.daemon.imap.accounts import Accounts
from spamlstm.daemon.listeners.judging import Judging
from spamlstm.daemon.listeners.server import Listeners
from spamlstm.daemon.maildir_locks import MaildirLocks
from spamlstm.daemon.model_reload import ModelReload
from spamlstm.daemon.prometheus import Metrics
from spamlstm.daemon.sd_notify import Notifier
from spamlstm.daemon.status import DaemonStatus
from spamlstm.daemon.watch import Watcher
from spamlstm.errors import UserError
from spamlstm.filtering.event_log import emit, log_unexpected
from spamlstm.filtering.failures import sentence
from spamlstm.filtering.outcome import Candidate, Status
from spamlstm.filtering.pipeline import Pipeline
from spamlstm.maildir.folder_walk import linked_folders
from spamlstm.maildir.names import DELIVERED, Part
from spamlstm.maildir.opened import OpenMaildir
from spamlstm.model.classifier import Classifier
from spamlstm.tracking.rounds import LearningRounds

# While other Maildirs wait, the pipeline processes one Maildir for at most this time.
TURN_SECONDS = 0.4
# If clients of the listeners wait, the pipeline processes one Maildir for at most this time.
TURN_BESIDE_CLIENTS = 0.02
# A warning names at most this number of linked folders. Further folders are only counted.
MOST_LINKS_NAMED = 5


@dataclass
class Daemon:
    """The daemon, whose method `run` filters mail until `stop` is called.

    `load` reads configuration and model again. If `load` fails, the current configuration and model stay in use.
    Without `learning`, the daemon does not learn from moved messages. Without `model_reload`, a changed model is
    loaded only after a call of `reload`. Without `locks`, the Maildirs are not locked, so other programs may work on
    them too. Without `listeners`, clients cannot classify mail. An error that ended the thread of the listeners ends
    the daemon. Without `accounts`, IMAP accounts are not served. `requests` is the queue of the listeners and the
    accounts. `check_state` is called before each reload and each full scan. If `check_state` raises an error, the
    daemon ends.

    Only the thread that opened the pipeline's journal may call the methods, except `stop` and `reload`.
    """

    pipeline: Pipeline
    watcher: Watcher
    hints: Hints
    wakeup: Wakeup
    notifier: Notifier
    status: DaemonStatus
    load: Callable[[], tuple[Config, Classifier]]
    learning: LearningRounds | None = None
    model_reload: ModelReload | None = None
    locks: MaildirLocks | None = None
    listeners: Listeners | None = None
    requests: Judging | None = None
    accounts: Accounts | None = None
    check_state: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.monotonic
    _stopping: bool = False
    _reload_wanted: bool = False
    _scanned: set[str] = field(default_factory=set)  # Maildirs that were scanned at least once
    _suspected: dict[str, None] = field(default_factory=dict)  # Maildirs with suspects, as an ordered set

    def __post_init__(self) -> None:
        self._full_scans = FullScans(
            watcher=self.watcher,
            hints=self.hints,
            status=self.status,
            locks=self.locks,
            notifier=self.notifier,
            clock=lambda: self.clock(),  # noqa: PLW0108  the clock may be replaced before `run`
        )

    def stop(self) -> None:
        """Make `run` return after the current message. Safe to call from a signal handler."""
        self._stopping = True
        self.wakeup.wake()

    def reload(self) -> None:
        """Make `run` reload configuration and model after the current message. Safe to call from a signal handler."""
        self._reload_wanted = True
        self.wakeup.wake()

    def run(self) -> None:
        """Watch Maildirs and filter mail until `stop` is called.

        Acts (changes of messages) that a crash interrupted are first completed or undone.
        """
        with contextlib.closing(Metrics(self.status.snapshot)) as self._metrics:
            try:
                self.pipeline.recover()
                self._begin()
                while not self._stopping:
                    self._turn()
                self.notifier.stopping()
            finally:
                # Also after an error, because an account counts a message without an answer as one that ended the
                # program, and after some of these leaves it unclassified.
                if self.requests is not None:
                    self.requests.close()
        emit(logging.INFO, "stopped", status=self.status.line())

    def _begin(self) -> None:
        """Begin to use the current configuration. Watch its Maildirs and scan each Maildir once.

        Every message that is delivered after this scan is treated as new.
        """
        self._metrics.serve(self.pipeline.config.metrics)
        self._start_full_scan()
        for maildir in self.watcher.present():
            if self._stopping:
                return
            self.notifier.beat()
            if self.listeners is not None:
                self.listeners.check()
            self._answer_requests()
            with self._logging_bugs():
                self._warn_of_links(maildir)
                # The first scan of a Maildir records the existing messages; the next scan returns the candidates.
                self.pipeline.scan(maildir)
                self._scanned.add(maildir)
        emit(logging.INFO, "ready", status=self.status.line(), model=self.status.model)
        self.notifier.ready(self.status.line())

    def _warn_of_links(self, maildir: str) -> None:
        open_maildir = OpenMaildir.open if self.locks is None else self.locks.opened
        names: list[str] = []
        with contextlib.suppress(OSError, UserError), open_maildir(maildir) as mailbox:
            names = linked_folders(mailbox)
        if names:
            some = ", ".join(names[:MOST_LINKS_NAMED])
            why = "symbolic links are not followed, so no mail is learned from these folders or filed into them"
            emit(logging.WARNING, "linked-folders", maildir=maildir, count=len(names), folders=some, why=why)

    def _turn(self) -> None:
        self.notifier.beat()
        if self.listeners is not None:
            self.listeners.check()
        is_reload = self._reload_wanted  # a signal may come after the check; the next turn then reloads
        if is_reload or self._full_scans.is_due():
            self.check_state()
        self._answer_requests()
        with self._logging_bugs():
            if is_reload:
                self._reload()
            if self._full_scans.is_due():
                self._load_changed_model()
                self._start_full_scan()
            self._full_scans.poll()
        # This is a separate block because the loop must sleep even after a bug in the block above.
        with self._logging_bugs():
            if not self._work():
                self._full_scans.end()
                self._load_changed_model()
                # Learning from moves is done only when no new mail waits.
                if (self.learning is None or not self.learning.work()) and not self.requests:
                    self.wakeup.wait(self._sleep_seconds())

    def _answer_requests(self) -> None:
        """Answer the requests of the listeners that wait, at most as many as one turn allows."""
        if self.requests:
            with self._logging_bugs():
                self.requests.work()

    def _work(self) -> bool:
        """Scan the next queued Maildir and process its mail. Return whether there was anything to do.

        If no Maildir is queued, the suspects of one Maildir are processed.
        """
        taken = self.hints.take()
        if taken is None:
            return self._work_on_suspects()
        maildir, parts = taken
        candidates = self._scan(maildir, parts)
        urgent = self.pipeline.urgent(candidates)
        if len(urgent) < len(candidates):
            self._suspected[maildir] = None
        self._process(maildir, urgent, stop=self._is_turn_over)
        return True

    def _work_on_suspects(self) -> bool:
        """Process the suspects of one Maildir. Return False if no Maildir has suspects.

        Suspects may crash this process again, so they are processed only when no other mail waits.
        """
        if not self._suspected:
            return False
        maildir = next(iter(self._suspected))
        del self._suspected[maildir]
        candidates = self._scan(maildir, DELIVERED)
        self._process(maildir, candidates, stop=lambda began: self._is_turn_over(began) or bool(self.hints))
        return True

    def _process(self, maildir: str, candidates: list[Candidate], *, stop: Callable[[float], bool]) -> None:
        if not candidates:
            return
        began = self.clock()
        try:
            outcomes = self.pipeline.process(candidates, stop=lambda: stop(began))
        except Exception as error:
            # The pipeline handles expected errors, so this error is a bug. The personal layer may have caused it.
            # Until the store is tried again, the mail of this Maildir is classified without its layer.
            if self.learning is not None:
                self.learning.label_stores.suspend(maildir, error)
            raise
        for outcome in outcomes:
            self.status.count(outcome)
        if any(outcome.folder for outcome in outcomes) and self.watcher.lacks_junk(maildir):
            # The message may be the first in a new junk folder. The visit of the learning finds and watches the folder,
            # so that a message that the user moves out of it is learned at once.
            self.hints.moved(maildir)
        if len(outcomes) < len(candidates) or any(outcome.status is Status.GONE for outcome in outcomes):
            # A rescan finds the remaining messages, so they need not be kept in memory. It also finds messages that a
            # mail program has moved from new to cur in the meantime.
            self.hints.rescan(maildir)

    def _scan(self, maildir: str, parts: tuple[Part, ...]) -> list[Candidate]:
        measured = self._full_scans.measured() if parts == DELIVERED else contextlib.nullcontext()
        with measured:
            return self.pipeline.scan(maildir, parts=parts, catch_up=self._catch_up(maildir))

    def _catch_up(self, maildir: str) -> CatchUp | None:
        """Return which mail is classified after the first scan of a Maildir, or None to use the configured value.

        Many mail servers create a Maildir when its first message arrives. Therefore, if a Maildir appears while the
        daemon runs, all of its unread mail is treated as new.
        """
        if maildir in self._scanned or self.pipeline.config.daemon.catch_up is not CatchUp.NEW:
            return None
        self._scanned.add(maildir)
        return CatchUp.UNSEEN

    def _is_turn_over(self, began: float) -> bool:
        """Return whether the pipeline should stop now and leave the remaining messages for a later scan.

        `began` is the time at which the processing of this Maildir began. The pipeline calls this method between
        messages. The method also reports to the watchdog that the loop is alive.
        """
        self.notifier.beat()
        if self._stopping or self._reload_wanted:
            return True
        if self.requests and self.clock() - began > TURN_BESIDE_CLIENTS:
            return True
        return self.clock() - began > TURN_SECONDS and (bool(self.hints) or self._full_scans.is_due())

    def _start_full_scan(self) -> None:
        config = self.pipeline.config
        self._full_scans.start(config)
        self._metrics.write(config.metrics)

    def _sleep_seconds(self) -> float:
        """Return the longest time in seconds that the loop may sleep without an event."""
        until = self._full_scans.next_time
        until = until if self.learning is None else min(until, self.learning.due())
        until = until if self.model_reload is None else min(until, self.model_reload.due)
        seconds = until - self.clock()
        return seconds if self.notifier.interval is None else min(seconds, self.notifier.interval)

    @contextlib.contextmanager
    def _logging_bugs(self) -> Iterator[None]:
        """Log and suppress an unexpected error in the `with` block, so that one bug does not stop the daemon.

        Messages that were not processed because of the error are left unchanged until the next scan.
        """
        try:
            yield
        except Exception as error:  # noqa: BLE001  the error is logged
            self.status.errors += 1
            log_unexpected(error, "the mail stays where it is until the next scan")

    def _reload(self) -> None:
        self._reload_wanted = False
        self.notifier.reloading()
        try:
            config, classifier = self.load()
        except Exception as error:  # noqa: BLE001  after any error, the current configuration and model stay in use
            why = _sentence(error)
            emit(logging.ERROR, "reload-failed", error=why, in_use="the previous configuration and model")
            self.status.load_errors["reload"] = why
            self.notifier.ready(f"reload failed: {why.splitlines()[0]}")
            return
        self.status.load_errors.clear()
        self._use(config, classifier)
        self._listen(config)
        if self.accounts is not None:
            self.accounts.reconfigure(config)
        self.hints.clear()
        self._begin()

    def _listen(self, config: Config) -> None:
        """Serve the listeners of a changed configuration. Errors are logged, and the other listeners run."""
        if self.listeners is None:
            return
        try:
            self.listeners.reconfigure(config)
        except UserError as error:
            self.status.load_errors["listeners"] = str(error)
            emit(logging.ERROR, "listen-failed", error=str(error))

    def _load_changed_model(self) -> None:
        """Load, check and use the selected model if it differs from the loaded model."""
        if self.model_reload is None:
            return
        config = self.pipeline.config
        try:
            classifier = self.model_reload.newer(config)
        except Exception as error:  # noqa: BLE001  the loaded model stays in use
            self.status.load_errors["model"] = _sentence(error)
            emit(logging.ERROR, "model-load-failed", error=_sentence(error), in_use=self.status.model)
            return
        if classifier is not None:
            self.status.load_errors.pop("model", None)
            self._use(config, classifier)
            emit(logging.INFO, "model-loaded", model=self.status.model)

    def _use(self, config: Config, classifier: Classifier) -> None:
        self.pipeline.reconfigure(config=config, classifier=classifier)
        if self.learning is not None:
            self.learning.reconfigure(config=config, classifier=classifier)
        self.status.reloads += 1
        self.status.model = classifier.bundle.label


def _sentence(error: Exception) -> str:
    return sentence(error) if isinstance(error, UserError | MemoryError) else type(error).__name__
