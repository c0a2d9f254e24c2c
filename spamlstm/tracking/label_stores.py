"""The label stores and personal layers of the Maildirs, kept up to date with moves and with `spamlstm label`.

Whatever is wrong with a label store, filtering goes on with the layer as it was, or with the model alone. The store is
paused: a line of the log for each try, a counter, a row of `spamlstm status`, and another try later.
"""

import contextlib
import logging
import os
import sqlite3
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from spamlstm.config import LabelScope
from spamlstm.config.locations import LABELS, labels_dir
from spamlstm.errors import UserError
from spamlstm.filtering.backoff import Backoff
from spamlstm.filtering.failures import sentence
from spamlstm.filtering.log import emit, logger
from spamlstm.learning.label import Label, Origin
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Base, Trainer, rescore_labels
from spamlstm.maildir.headers import untag
from spamlstm.model.personal_layer import PersonalLayer

# A layer takes 14 MB, and a tenth of a second to load again.
MOST_LAYERS = 24


class StoreUnavailableError(Exception):
    """The label store cannot be used now; the log says why."""


@dataclass(frozen=True, slots=True)
class Pause:
    """A label store that could not be used and is not tried for a while."""

    maildir: str | None
    """The Maildir whose labels it holds; None if all Maildirs share the store."""
    state: str
    """The folder of the store."""
    why: str
    delay: float
    """Seconds from the last try to the next."""


@dataclass(slots=True)
class LearningStatus:
    """What was learned, for `spamlstm status`. One thread writes; a reader in another may be one label behind."""

    labels: dict[str, int] = field(default_factory=dict)
    """Number of labels in the shared store, by label; empty if each Maildir has a store of its own."""
    moved: Counter[str] = field(default_factory=Counter)
    """Labels that followed from moves since the start, by label."""
    failed: int = 0
    """How often a store or a folder could not be used."""
    paused: tuple[Pause, ...] = ()
    last: float | None = None
    """When the last label was added, in seconds since 1970."""
    rounds: int = 0
    """Completed visits of all Maildirs."""
    round_seconds: float = 0.0
    """Processor time of the last round."""

    def snapshot(self) -> dict[str, Any]:
        """Return all values in types that JSON has."""
        return {
            "labels": dict(self.labels),
            "moved": dict(self.moved),
            "failed": self.failed,
            "paused": [asdict(pause) for pause in self.paused],
            "paused_stores": len(self.paused),
            "last": self.last,
            "rounds": self.rounds,
            "round_seconds": self.round_seconds,
        }


@dataclass(slots=True)
class _OpenStore:
    trainer: Trainer
    identity: tuple[int, int]
    """Device and inode of the file."""
    model: str = ""
    """The label of the model whose scores the labels have."""


class LabelStores:
    """The label stores of one state folder: one for all Maildirs or one for each, by `scope`. For one thread."""

    def __init__(
        self,
        state: Path,
        *,
        base: Base,
        scope: LabelScope,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        most: int = MOST_LAYERS,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """Learn upon the scores of `base`; call `beat` now and then during long work."""
        self.status = LearningStatus()
        self._state = state
        self._base = base
        self._scope = scope
        self._clock = clock
        self._most = most
        self._beat = beat
        self._stores: OrderedDict[Path, _OpenStore] = OrderedDict()  # the one used last is the last
        self._backoff: Backoff[Path] = Backoff(monotonic)
        self._pauses: dict[Path, Pause] = {}
        self._tallied = (-1, -1)

    def close(self) -> None:
        """Save the layers and close the stores."""
        while self._stores:
            _close(self._stores.popitem()[1].trainer)

    def reconfigure(self, *, scope: LabelScope, base: Base) -> None:
        """Use another scope or model. Each store is rescored when next used, a millisecond for each label."""
        if scope is not self._scope:
            self.close()
            self._scope = scope
            self._backoff.clear()
            self._pauses.clear()
            self.status.paused = ()
        self._base = base

    @property
    def model(self) -> str:
        """The label of the model whose scores the layers rest on."""
        return self._base.bundle.label

    def layer(self, maildir: str) -> PersonalLayer | None:
        """Return the layer that judges this Maildir's mail, with all labels added so far by any process.

        None if there are no labels.
        """
        folder = self._folder(maildir)
        trainer = None
        with contextlib.suppress(StoreUnavailableError), self._pausing(maildir):
            trainer = self._trainer(folder)
            if trainer is not None:
                trainer.catch_up()
        if trainer is None and folder in self._stores:
            trainer = self._stores[folder].trainer
        return trainer.layer if trainer else None

    def suspend(self, maildir: str, error: Exception) -> None:
        """Judge this Maildir's mail by the model alone for a while, after an unexpected error with its layer."""
        store = self._stores.pop(self._folder(maildir), None)
        if store is not None:
            store.trainer.labels.close()
        self._pause(maildir, error)

    def label(self, maildir: str, content: str) -> Label | None:
        """Return the label of a message, if it has one. StoreUnavailableError if the store cannot be used now."""
        with self._pausing(maildir):
            trainer = self._trainer(self._folder(maildir))
            return trainer.labels.label(content) if trainer else None

    def add_label(self, maildir: str, raw: bytes, label: Label) -> bool:
        """Store a label that followed from a move, and learn it; False if the message has this label already.

        It is on disk when this returns. StoreUnavailableError if the store cannot be used now.
        """
        with self._pausing(maildir):
            trainer = self._trainer(self._folder(maildir), create=True)
            assert trainer is not None  # noqa: S101  it was created
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
        """Count the labels of the shared store for the status, if they changed since the last count."""
        if self._scope is not LabelScope.SHARED:
            self.status.labels = {}
            return
        self.layer("")
        store = self._stores.get(self._state)
        if store is None or self._state in self._pauses:
            return
        with contextlib.suppress(StoreUnavailableError), self._pausing(""):
            labels = store.trainer.labels
            version = store.trainer.layer.labels, labels.epoch
            if version != self._tallied:
                self.status.labels = {str(label): count for label, count in labels.counts().items()}
                self.status.last = max((one.time for one in labels.last(1)), default=None)
                self._tallied = version

    def _folder(self, maildir: str) -> Path:
        return labels_dir(self._state, self._scope, maildir)

    def _trainer(self, folder: Path, *, create: bool = False) -> Trainer | None:
        """Return the trainer of a store; None if there is no store and `create` is false."""
        store = self._stores.get(folder)
        identity = _identity(folder / LABELS)
        if store is not None and identity == store.identity:
            self._stores.move_to_end(folder)
            self._rescore(store)
            return store.trainer
        if identity is None and not create:
            if store is not None:  # somebody has removed the file
                self._stores.pop(folder).trainer.labels.close()
            return None
        labels = LabelStore.open(folder)
        try:
            opened = _OpenStore(Trainer(labels, tell=_warn), _identity(folder / LABELS) or (0, 0))
            self._rescore(opened)
            opened.trainer.catch_up()
        except BaseException:
            labels.close()
            raise
        if store is not None:
            store.trainer.labels.close()
        self._stores[folder] = opened
        self._stores.move_to_end(folder)
        while len(self._stores) > self._most:
            _close(self._stores.popitem(last=False)[1].trainer)
        return opened.trainer

    def _rescore(self, store: _OpenStore) -> None:
        if store.model != self._base.bundle.label:
            rescore_labels(store.trainer.labels, self._base, tell=lambda _done: self._beat())
            store.model = self._base.bundle.label

    @contextlib.contextmanager
    def _pausing(self, maildir: str) -> Iterator[None]:
        """Pause the store of a Maildir on any error. StoreUnavailableError then, and until the next try is due."""
        folder = self._folder(maildir)
        if not self._backoff.is_due(folder):
            raise StoreUnavailableError
        try:
            yield
        except Exception as error:
            # Even a bug of ours must not stop this user's mail, or that of others.
            self._pause(maildir, error)
            raise StoreUnavailableError from error
        if self._pauses.pop(folder, None) is not None:
            self._backoff.succeeded(folder)
            self.status.paused = tuple(self._pauses.values())

    def _pause(self, maildir: str, error: Exception) -> None:
        folder = self._folder(maildir)
        delay = self._backoff.failed(folder)
        expected = isinstance(error, sqlite3.Error | OSError | UserError)
        why = sentence(error) if expected else type(error).__name__  # its text may quote a message
        owner = maildir if self._scope is not LabelScope.SHARED else ""
        self._pauses[folder] = Pause(owner or None, str(folder), why, delay)
        self.status.paused = tuple(self._pauses.values())
        self.status.failed += 1
        if not expected:
            logger.error("bug: a label store is paused", exc_info=error)
        emit(logging.WARNING, "not-learned", maildir=owner, state=folder, error=why, again=delay)


def _warn(sentence: str) -> None:
    emit(logging.WARNING, "label-store", note=sentence)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116  asked for with every message
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _close(trainer: Trainer) -> None:
    with contextlib.suppress(sqlite3.Error, OSError, UserError):
        trainer.keep(always=True)
    trainer.labels.close()
