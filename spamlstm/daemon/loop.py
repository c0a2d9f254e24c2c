"""The loop: from a hint to a scan to the pipeline, and all that a long life asks for."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from spamlstm.config import CatchUp, Config
from spamlstm.config.maildirs import absolute, expand_maildirs
from spamlstm.daemon import prometheus
from spamlstm.daemon.hints import WHOLE, Hints
from spamlstm.daemon.maildir_locks import MaildirLocks
from spamlstm.daemon.model_reload import ModelReload
from spamlstm.daemon.sd_notify import Notifier
from spamlstm.daemon.status import DaemonStatus
from spamlstm.daemon.wakeup import Wakeup
from spamlstm.daemon.watch import Coverage, Watcher
from spamlstm.errors import UserError
from spamlstm.filtering.log import emit, logger
from spamlstm.filtering.outcome import Candidate, Status
from spamlstm.filtering.pipeline import Pipeline
from spamlstm.maildir.names import Part
from spamlstm.model.classifier import Classifier
from spamlstm.tracking.rounds import LearningRounds

# How often Maildirs without a watch are looked at; and the share of one core that this may take at most.
POLL_SECONDS = 5.0
POLL_SHARE = 0.001
# While others wait, no Maildir has the pipeline for longer, however many messages it got at once.
TURN_SECONDS = 0.4


Setup = Callable[[], tuple[Config, Classifier]]


@dataclass
class Daemon:
    """Turns until `stop`. `load` reads configuration and model anew; if it fails, those that are in use stay.

    Without `feedback` nothing is learned, without `model` another one is only loaded by `reload`, without `locks` other
    programs may work on the same Maildirs. What `check_state` raises, asked before each look at all Maildirs, ends it.

    All but `stop` and `reload` is for the thread that opened the pipeline's journal.
    """

    pipeline: Pipeline
    watcher: Watcher
    hints: Hints
    wakeup: Wakeup
    notifier: Notifier
    status: DaemonStatus
    load: Setup
    feedback: LearningRounds | None = None
    model: ModelReload | None = None
    locks: MaildirLocks | None = None
    check_state: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.monotonic
    _stopping: bool = False
    _reload_asked: bool = False
    _next_look: float = 0.0
    _next_poll: float = 0.0
    _look_cost: float | None = None  # of the look under way
    _begun: set[str] = field(default_factory=set)  # the Maildirs that were scanned
    _suspected: dict[str, None] = field(default_factory=dict)  # Maildirs with mail that was in progress at a crash
    _serving: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def stop(self) -> None:
        """End after the message in hand. For signals: safe at any time."""
        self._stopping = True
        self.wakeup.ring()

    def reload(self) -> None:
        """Read configuration and model anew after the message in hand. For signals: safe at any time."""
        self._reload_asked = True
        self.wakeup.ring()

    def run(self) -> None:
        """Bring what was cut short to its end, then watch and work until `stop`."""
        with self._serving:
            self.pipeline.recover()
            self._begin()
            while not self._stopping:
                self._turn()
            self.notifier.stopping()
        emit(logging.INFO, "stopped", status=self.status.line())

    def _begin(self) -> None:
        """Take up a configuration: when this is over, whatever is delivered to its Maildirs is new mail."""
        self._serve()
        self._look_at_all()
        for maildir in self.watcher.present():
            if self._stopping:
                return
            self.notifier.beat()
            with self._surviving():
                # The first scan of a Maildir notes what lies there; what is to be judged comes again with the next.
                self.pipeline.scan(maildir)
                self._begun.add(maildir)
        emit(logging.INFO, "ready", status=self.status.line(), model=self.status.model)
        self.notifier.ready(self.status.line())

    def _turn(self) -> None:
        self.notifier.beat()
        if self._is_look_due():
            self.check_state()
        with self._surviving():
            if self._reload_asked:
                self._reload()
            if self._is_look_due():
                self._renew_model()
                self._look_at_all()
            if self.watcher.polls and self.clock() >= self._next_poll:
                self._poll()
        # Apart from that, so that whatever goes wrong above the loop still sleeps.
        with self._surviving():
            if not self._work():
                self._end_look()
                self._renew_model()
                # What users did with their mail waits for mail that comes in.
                if self.feedback is None or not self.feedback.work():
                    self.wakeup.wait(self._patience())

    def _work(self) -> bool:
        """Look at the Maildir that has waited longest and do what there is to do; False if none waits."""
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
        """When no other mail waits: the mail of one Maildir that may end this process; False if there is none."""
        if not self._suspected:
            return False
        maildir = next(iter(self._suspected))
        del self._suspected[maildir]
        self._process(
            maildir, self._scan(maildir, WHOLE), stop=lambda began: self._is_turn_over(began) or bool(self.hints)
        )
        return True

    def _process(self, maildir: str, candidates: list[Candidate], *, stop: Callable[[float], bool]) -> None:
        if not candidates:
            return
        began = self.clock()
        try:
            outcomes = self.pipeline.process(candidates, stop=lambda: stop(began))
        except Exception as error:
            # The pipeline lives through all that it expects. If it was this user's layer, the base alone judges next.
            if self.feedback is not None:
                self.feedback.suspend(maildir, error)
            raise
        for outcome in outcomes:
            self.status.note(outcome)
        if len(outcomes) < len(candidates) or any(outcome.status is Status.GONE for outcome in outcomes):
            # Asked again, a scan knows better what is left than a list of ours would, and takes no memory. And
            # what is gone from new has mostly gone to cur.
            self.hints.doubt(maildir)

    def _scan(self, maildir: str, parts: tuple[Part, ...]) -> list[Candidate]:
        began = time.thread_time()
        candidates = self.pipeline.scan(maildir, parts=parts, catch_up=self._catch_up(maildir))
        if self._look_cost is not None and parts == WHOLE:
            self._look_cost += time.thread_time() - began
        return candidates

    def _catch_up(self, maildir: str) -> CatchUp | None:
        """What to begin with; None is as configured.

        Many servers make a Maildir for its first message, which is then no archive: of one that appears while we run,
        all that lies unread is new mail.
        """
        if maildir in self._begun or self.pipeline.config.daemon.catch_up is not CatchUp.NEW:
            return None
        self._begun.add(maildir)
        return CatchUp.UNSEEN

    def _is_turn_over(self, began: float) -> bool:
        """Asked by the pipeline between messages: the loop turns, if slowly."""
        self.notifier.beat()
        if self._stopping or self._reload_asked:
            return True
        return self.clock() - began > TURN_SECONDS and (bool(self.hints) or self._is_look_due())

    def _is_look_due(self) -> bool:
        return self.clock() >= self._next_look or self.hints.is_all_in_doubt() or self.watcher.has_died()

    def _look_at_all(self) -> None:
        """Find the Maildirs that the configuration means now, watch them, and put all of them in doubt."""
        config = self.pipeline.config
        self._next_look = self.clock() + config.daemon.scan_seconds
        self.status.dry_run = bool(config.maildirs) and all(map(config.is_dry, config.maildirs))
        began = time.thread_time()
        self.hints.take_all()
        maildirs = [str(path) for path in expand_maildirs(config.maildirs, beat=self.notifier.beat)]
        usable = self.locks.keep(maildirs) if self.locks is not None else maildirs
        coverage = self.watcher.cover(usable, beat=self.notifier.beat)
        if self.locks is not None:
            coverage = coverage.without(self.locks.refused)
        for maildir in self.watcher.present():
            self.hints.doubt(maildir)
        self._look_cost = time.thread_time() - began
        self._tell_coverage(coverage)
        self._publish()

    def _end_look(self) -> None:
        if self._look_cost is not None:
            self.status.scans += 1
            self.status.scan_seconds = self._look_cost
            self._look_cost = None

    def _poll(self) -> None:
        began = self.clock()
        self.watcher.poll(beat=self.notifier.beat)
        now = self.clock()
        self._next_poll = now + max(POLL_SECONDS, (now - began) / POLL_SHARE)

    def _patience(self) -> float:
        """How long nothing needs to be done unless something happens."""
        until = min(self._next_look, self._next_poll) if self.watcher.polls else self._next_look
        until = until if self.feedback is None else min(until, self.feedback.due())
        wait = until - self.clock()
        return wait if self.notifier.interval is None else min(wait, self.notifier.interval)

    @contextlib.contextmanager
    def _surviving(self) -> Iterator[None]:
        """A bug of ours leaves the mail where it is, is told, and does not stop the next message."""
        try:
            yield
        except Exception:  # noqa: BLE001  whatever it is, the next message is not to blame
            self.status.errors += 1
            logger.exception("bug: the mail stays where it is until the next scan")

    def _reload(self) -> None:
        self._reload_asked = False
        self.notifier.reloading()
        try:
            config, classifier = self.load()
        except Exception as error:  # noqa: BLE001  whatever is wrong with what is new, what is in use is not
            why = str(error) if isinstance(error, UserError) else type(error).__name__
            emit(logging.ERROR, "not-reloaded", error=why, in_use="the old configuration and model")
            self.notifier.ready(f"not reloaded: {why.splitlines()[0]}")
            return
        self._go_on_with(config, classifier)
        self.hints.clear()
        self._begin()

    def _renew_model(self) -> None:
        """Between two messages: if another model has come to be in use, it is loaded, checked, and takes over."""
        if self.model is None:
            return
        config = self.pipeline.config
        try:
            classifier = self.model.newer(config)
        except Exception as error:  # noqa: BLE001  as with a reload
            why = str(error) if isinstance(error, UserError) else type(error).__name__
            emit(logging.ERROR, "model-not-loaded", error=why, in_use=self.status.model)
            return
        if classifier is not None:
            self._go_on_with(config, classifier)
            emit(logging.INFO, "model-loaded", model=self.status.model)

    def _go_on_with(self, config: Config, classifier: Classifier) -> None:
        self.pipeline.reconfigure(config=config, classifier=classifier)
        if self.feedback is not None:
            self.feedback.reconfigure(config=config, classifier=classifier)
        self.status.reloads += 1
        self.status.model = classifier.bundle.label

    def _serve(self) -> None:
        """Open the address of the metrics, in place of one that was open."""
        self._serving.close()
        address = self.pipeline.config.metrics.address()
        if address is None:
            return
        try:
            self._serving.enter_context(prometheus.served(address, lambda: prometheus.to_text(self.status.snapshot())))
        except OSError as error:
            listen = self.pipeline.config.metrics.listen
            emit(logging.WARNING, "metrics-failed", listen=listen, error=error.strerror)

    def _publish(self) -> None:
        self.notifier.status(self.status.line())
        target = self.pipeline.config.metrics.textfile
        if target is None:
            return
        try:
            prometheus.write_textfile(Path(absolute(target)), prometheus.to_text(self.status.snapshot()))
        except OSError as error:
            emit(logging.WARNING, "metrics-failed", textfile=target, error=error.strerror)

    def _tell_coverage(self, coverage: Coverage) -> None:
        if coverage == self.status.coverage:
            return
        for remark in coverage.remarks:
            if remark not in self.status.coverage.remarks:
                emit(logging.WARNING, "not-watched", why=remark)
        counts = {"watched": coverage.watched, "polled": coverage.polled, "missing": coverage.missing}
        if coverage.refused:
            counts["refused"] = coverage.refused
        emit(logging.INFO, "maildirs", **counts)
        self.status.coverage = coverage
