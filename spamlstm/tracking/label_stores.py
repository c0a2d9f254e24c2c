"""The personal layers of the Maildirs, kept in step with what users say by moves and by commands.

Whatever is wrong with a label store, filtering goes on with what was learned before, or with the base alone. The store
is paused: that is logged once a try, counted, shown by `spamlstm status`, and tried again later.
"""

import contextlib
import logging
import os
import sqlite3
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spamlstm.config import LabelScope
from spamlstm.config.locations import LABELS, labels_dir
from spamlstm.errors import UserError
from spamlstm.filtering.failures import sentence
from spamlstm.filtering.log import emit, logger
from spamlstm.learning.label import Label, Origin
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Base, Trainer, rescore_labels
from spamlstm.maildir.headers import untag
from spamlstm.model.personal_layer import PersonalLayer

# A layer is 14 MB, and is there again in a tenth of a second.
MOST_LAYERS = 24
# Seconds until a store that failed is asked again, twice as many each time: a lock may cost five seconds of waiting.
FIRST_DELAY = 10.0
LONGEST_DELAY = 900.0


class StoreUnavailableError(Exception):
    """The label store cannot be used now; that has been told."""


@dataclass(frozen=True, slots=True)
class Pause:
    """A label store that could not be used and is left alone for a while."""

    maildir: str
    """Whose it is; empty if all Maildirs share it."""
    state: str
    """The folder that it lies in."""
    why: str
    delay: float
    """Seconds from the last try to the next."""
    until: float
    """When it is tried again, by the monotonic clock."""

    def snapshot(self) -> dict[str, Any]:
        """What is told of it."""
        return {"maildir": self.maildir or None, "state": self.state, "why": self.why, "delay": self.delay}


@dataclass(slots=True)
class LearningStatus:
    """What was learned, for `spamlstm status`. One thread writes; a look from another may be a label late."""

    labels: dict[str, int] = field(default_factory=dict)
    """In the shared store, by label; empty where each Maildir has its own."""
    moved: Counter[str] = field(default_factory=Counter)
    """Since the start, by what users did with mail; by label."""
    failed: int = 0
    """Times that a store could not be used."""
    paused: tuple[Pause, ...] = ()
    """The stores that cannot be used now."""
    last: float | None = None
    """When the last label was said, in seconds since 1970."""
    rounds: int = 0
    """Looks at the folders of all Maildirs."""
    round_seconds: float = 0.0
    """Processor time of the last one."""

    def snapshot(self) -> dict[str, Any]:
        """All of it, as JSON can hold it."""
        return {
            "labels": dict(self.labels),
            "moved": dict(self.moved),
            "failed": self.failed,
            "paused": [pause.snapshot() for pause in self.paused],
            "paused_stores": len(self.paused),
            "last": self.last,
            "rounds": self.rounds,
            "round_seconds": self.round_seconds,
        }


@dataclass(slots=True)
class _Open:
    """A store that is open: its learner, and which file it is."""

    trainer: Trainer
    which: tuple[int, int]
    model: str = ""
    """The base whose scores it rests on, as far as that was looked at."""


class LabelStores:
    """The learners of one state folder: one for all Maildirs, or one for each, by `layer`. For one thread."""

    def __init__(
        self,
        state: Path,
        *,
        base: Base,
        layer: LabelScope,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        most: int = MOST_LAYERS,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """What is learned rests on the scores of `base`; `beat` is called now and then where something takes long."""
        self.status = LearningStatus()
        self._state = state
        self._base = base
        self._layer = layer
        self._clock = clock
        self._monotonic = monotonic
        self._most = most
        self._beat = beat
        self._stores: OrderedDict[Path, _Open] = OrderedDict()
        self._pauses: dict[Path, Pause] = {}
        self._counted = (-1, -1)

    def close(self) -> None:
        """Let go of the stores."""
        while self._stores:
            _, store = self._stores.popitem()
            _let_go(store.trainer)

    def reconfigure(self, *, layer: LabelScope, base: Base) -> None:
        """Go on with layers of this kind, upon this base: each store is brought in step with it when it is used.

        That is a millisecond for each label that another base has scored.
        """
        if layer is not self._layer:
            self.close()
            self._layer = layer
            self._pauses.clear()
            self.status.paused = ()
        self._base = base

    @property
    def model(self) -> str:
        """The label of the model whose scores the learned rests on."""
        return self._base.bundle.label

    def layer(self, maildir: str) -> PersonalLayer | None:
        """Return what was learned from the labels that judge this Maildir, up to now; None if there are none."""
        folder = self._folder(maildir)
        trainer = None
        with contextlib.suppress(StoreUnavailableError), self._failing_open(maildir):
            trainer = self._trainer(folder)
            if trainer is not None:
                trainer.catch_up()
        if trainer is None and folder in self._stores:
            trainer = self._stores[folder].trainer
        return trainer.layer if trainer else None

    def suspend(self, maildir: str, error: Exception) -> None:
        """Judge mail of this Maildir by the base alone for a while: with its layer an unexpected error came up."""
        store = self._stores.pop(self._folder(maildir), None)
        if store is not None:
            store.trainer.labels.close()
        self._pause(maildir, error)

    def label(self, maildir: str, content: str) -> Label | None:
        """What was last said of a message. NotNowError if that cannot be known now."""
        with self._failing_open(maildir):
            trainer = self._trainer(self._folder(maildir))
            return trainer.labels.label(content) if trainer else None

    def add_label(self, maildir: str, raw: bytes, label: Label) -> bool:
        """Note what its user says of a message by what he did with it, and learn it; False if it was said before.

        It is on disk when this returns. NotNowError if that is impossible now.
        """
        with self._failing_open(maildir):
            trainer = self._trainer(self._folder(maildir), create=True)
            assert trainer is not None  # noqa: S101  it was to be created
            mail, model = untag(raw), self._base.bundle.label
            base = self._base.assess(mail)
            new = trainer.add_label(mail, label, prior=base.prior, tokens=base.tokens, model=model, origin=Origin.MOVED)
            if trainer.is_worth_keeping:
                trainer.prune()
                trainer.catch_up()
                trainer.keep()
        if new:
            self.status.moved[label] += 1
            self.status.last = self._clock()
        return new

    def tally(self) -> None:
        """Count the labels of the shared store, if there are others than when they were last counted."""
        if self._layer is not LabelScope.SHARED:
            self.status.labels = {}
            return
        self.layer("")
        store = self._stores.get(self._state)
        if store is None or self._state in self._pauses:
            return
        with contextlib.suppress(StoreUnavailableError), self._failing_open(""):
            labels = store.trainer.labels
            now = store.trainer.layer.labels, labels.epoch
            if now != self._counted:
                self.status.labels = {str(label): count for label, count in labels.counts().items()}
                self.status.last = max((said.time for said in labels.last(1)), default=None)
                self._counted = now

    def _folder(self, maildir: str) -> Path:
        return labels_dir(self._state, self._layer, maildir)

    def _trainer(self, folder: Path, *, create: bool = False) -> Trainer | None:
        """The learner of a folder, if anything was said there or it is to be created."""
        store = self._stores.get(folder)
        which = _which(folder / LABELS)
        if store is not None and which == store.which:
            self._stores.move_to_end(folder)
            self._keep_in_step(store)
            return store.trainer
        if which is None and not create:
            if store is not None:
                # Somebody has removed the file: nothing was ever said.
                self._stores.pop(folder).trainer.labels.close()
            return None
        labels = LabelStore.open(folder)
        try:
            opened = _Open(Trainer(labels, tell=_tell), _which(folder / LABELS) or (0, 0))
            self._keep_in_step(opened)
            opened.trainer.catch_up()
        except BaseException:
            labels.close()
            raise
        if store is not None:
            store.trainer.labels.close()
        self._stores[folder] = opened
        self._stores.move_to_end(folder)
        while len(self._stores) > self._most:
            _, oldest = self._stores.popitem(last=False)
            _let_go(oldest.trainer)
        return opened.trainer

    def _keep_in_step(self, store: _Open) -> None:
        if store.model != self._base.bundle.label:
            rescore_labels(store.trainer.labels, self._base, tell=lambda _done: self._beat())
            store.model = self._base.bundle.label

    @contextlib.contextmanager
    def _failing_open(self, maildir: str) -> Iterator[None]:
        """What goes wrong with a store is a NotNowError, and so is each question until it is asked again."""
        folder = self._folder(maildir)
        pause = self._pauses.get(folder)
        if pause is not None and self._monotonic() < pause.until:
            raise StoreUnavailableError
        try:
            yield
        except Exception as error:
            # Whatever it is, even a bug of ours: the mail of others, and of this user, goes on.
            self._pause(maildir, error)
            raise StoreUnavailableError from error
        if pause is not None:
            del self._pauses[folder]
            self.status.paused = tuple(self._pauses.values())

    def _pause(self, maildir: str, error: Exception) -> None:
        """Leave a store alone, for twice as long as the last time, and tell why."""
        folder = self._folder(maildir)
        before = self._pauses.get(folder)
        delay = min(2 * before.delay, LONGEST_DELAY) if before else FIRST_DELAY
        expected = isinstance(error, sqlite3.Error | OSError | UserError)
        why = sentence(error) if expected else type(error).__name__  # what else it says may be words of a message
        whose = maildir if self._layer is not LabelScope.SHARED else ""
        self._pauses[folder] = Pause(whose, str(folder), why, delay, self._monotonic() + delay)
        self.status.paused = tuple(self._pauses.values())
        self.status.failed += 1
        if not expected:
            logger.error("bug: a label store is left alone for a while", exc_info=error)
        emit(logging.WARNING, "not-learned", maildir=whose, state=folder, error=why, again=delay)


def _tell(sentence: str) -> None:
    emit(logging.WARNING, "label-store", note=sentence)


def _which(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116  asked for with every message
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _let_go(trainer: Trainer) -> None:
    with contextlib.suppress(sqlite3.Error, OSError, UserError):
        trainer.keep(always=True)
    trainer.labels.close()
