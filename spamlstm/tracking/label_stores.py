"""The label stores and personal layers of the Maildirs, updated with labels from moves and from `spamlstm label`.

Terms:
- A label says that a user considers a message to be ham or spam.
- A label store is the database with the labels of one Maildir, or of all Maildirs.
- The base model classifies the mail of all users; the base score of a message is its score by this model.
- A personal layer is learned from the labels of one store and corrects the base scores.

If a label store cannot be used, filtering continues with the current personal layer, or with the base model only. The
store is then paused. It is tried again later. Each failed try is logged and counted, and `spamlstm status` shows the
paused stores.
"""

import contextlib
import logging
import os
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from spamlstm.config import LabelScope
from spamlstm.config.locations import LABELS, labels_dir
from spamlstm.errors import UserError
from spamlstm.filtering.backoff import Backoff
from spamlstm.filtering.event_log import emit, log_unexpected
from spamlstm.filtering.failures import sentence
from spamlstm.learning.label import Label, Origin
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Base, Trainer, rescore_labels
from spamlstm.maildir.headers import untag
from spamlstm.model.personal_layer import PersonalLayer
from spamlstm.tracking.learning_status import LearningStatus, Pause

# The largest number of layers in memory. A layer takes 14 MB, and 0.1 s to load again.
MOST_LAYERS = 24


class StoreUnavailableError(Exception):
    """An error for a label store that cannot be used now. The log says why."""


@dataclass(slots=True)
class _OpenStore:
    trainer: Trainer
    identity: tuple[int, int]
    """Device and inode of the store's file."""
    model: str = ""
    """The identifier of the model that computed the base scores in the store; empty if unknown."""


class LabelStores:
    """The label stores of one state folder. Only one thread may use an instance.

    `scope` selects one shared store for all Maildirs or one store for each Maildir.
    """

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
        """Use the scores of the base model `base`, and keep at most `most` personal layers in memory.

        `beat` is called periodically during long work.
        """
        self.status = LearningStatus()
        self._state = state
        self._base = base
        self._scope = scope
        self._clock = clock
        self._most = most
        self._beat = beat
        self._stores: OrderedDict[Path, _OpenStore] = OrderedDict()  # the most recently used store is the last
        self._backoff: Backoff[Path] = Backoff(monotonic)
        self._pauses: dict[Path, Pause] = {}
        self._tallied = (-1, -1)

    def close(self) -> None:
        """Save the personal layers and close all stores."""
        while self._stores:
            _close(self._stores.popitem()[1].trainer)

    def reconfigure(self, *, scope: LabelScope, base: Base) -> None:
        """Use another scope or another base model.

        With another model, the base scores in each store are computed again at its next use. This takes one millisecond
        for each label.
        """
        if scope is not self._scope:
            self.close()
            self._scope = scope
            self._backoff.clear()
            self._pauses.clear()
            self.status.paused = ()
        self._base = base

    @property
    def model(self) -> str:
        """Return the identifier of the model whose scores the personal layers use."""
        return self._base.bundle.label

    def layer(self, maildir: str) -> PersonalLayer | None:
        """Return the personal layer for the mail of this Maildir.

        The layer has learned all labels that were added so far by any process. Returns None if there is no label store.
        If the store cannot be used now, returns the layer in memory, if any.
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
        """Classify the mail of this Maildir without its personal layer until the next try.

        Called after the unexpected error `error`, which the layer may have caused.
        """
        store = self._stores.pop(self._folder(maildir), None)
        if store is not None:
            store.trainer.labels.close()
        self._pause(maildir, error)

    def label(self, maildir: str, content: str, raw: bytes) -> Label | None:
        """Return the label of the message `raw` with the content id `content`, or None.

        Raises StoreUnavailableError if the store cannot be used now.
        """
        with self._pausing(maildir):
            trainer = self._trainer(self._folder(maildir))
            if trainer is None:
                return None
            trainer.labels.renew(raw, content)
            return trainer.labels.label(content)

    def add_label(
        self, maildir: str, raw: bytes, label: Label, *, origin: Origin = Origin.MOVED, answered: bool = False
    ) -> bool:
        """Store and learn a label of the message `raw`. Return whether the label is new.

        A label that replaces another is learned when `layer` is called next. By default, the label was inferred from a
        move. `answered` is true if the user answered the message. The label is durable (fsynced) when this method
        returns. Raises StoreUnavailableError if the store cannot be used now.
        """
        with self._pausing(maildir):
            trainer = self._trainer(self._folder(maildir), create=True)
            assert trainer is not None  # noqa: S101  `create` is true
            mail, model = untag(raw), self._base.bundle.label
            base = self._base.assess(mail)
            new = trainer.add_label(
                mail,
                label,
                prior=base.prior,
                model=model,
                tokens=base.tokens,
                origin=origin,
                answered=answered,
                at_once=False,
            )
            if trainer.is_current and trainer.is_worth_saving:
                trainer.prune()
                trainer.catch_up()
                trainer.save_layer()
        if new:
            if origin is Origin.MOVED:
                self.status.moved[label] += 1
            self.status.last = self._clock()
        return new

    def forget(self, maildir: str, raw: bytes) -> bool:
        """Remove the label of the message `raw`. Return whether it had a label.

        Raises StoreUnavailableError if the store cannot be used now.
        """
        with self._pausing(maildir):
            trainer = self._trainer(self._folder(maildir))
            return trainer is not None and trainer.forget(untag(raw))

    def last_written(self, maildir: str) -> float:
        """Return the time of the latest known sent message of a Maildir, in seconds since 1970, or 0.

        Raises StoreUnavailableError if the store cannot be used now.
        """
        with self._pausing(maildir):
            trainer = self._trainer(self._folder(maildir))
            return trainer.labels.written_names.latest_time(maildir) if trainer else 0.0

    def add_written(self, maildir: str, names: Mapping[bytes, float]) -> None:
        """Store correspondents to whom the user of a Maildir wrote, unless there is no label store yet.

        `names` has the hashes of their names with the times of the messages. Raises StoreUnavailableError if the store
        cannot be used now.
        """
        with self._pausing(maildir):
            if trainer := self._trainer(self._folder(maildir)):
                trainer.labels.written_names.add(names, source=maildir, origin=Origin.MOVED)
                trainer.catch_up()

    def tally(self) -> None:
        """Update the numbers of labels in the status if the labels of the shared store changed since the last count."""
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
                self.status.last = next((one.time for one in labels.newest(1)), None)
                self._tallied = version

    def _folder(self, maildir: str) -> Path:
        return labels_dir(self._state, self._scope, maildir)

    def _trainer(self, folder: Path, *, create: bool = False) -> Trainer | None:
        """Return the trainer of the store in `folder`, or None if the store does not exist and `create` is false."""
        store = self._stores.get(folder)
        identity = _identity(folder / LABELS)
        if store is not None and identity == store.identity:
            self._stores.move_to_end(folder)
            self._rescore(store, folder)
            return store.trainer
        if identity is None and not create:
            if store is not None:  # the file was removed while it was open
                self._stores.pop(folder).trainer.labels.close()
            return None
        labels = LabelStore.open(folder)
        try:
            opened = _OpenStore(Trainer(labels, tell=_warn), _identity(folder / LABELS) or (0, 0))
            self._rescore(opened, folder)
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

    def _rescore(self, store: _OpenStore, folder: Path) -> None:
        """Score the labels if another model scored them. The status shows the progress, because mail waits for this."""
        model = self._base.bundle.label
        if store.model == model:
            return
        try:
            number = rescore_labels(store.trainer.labels, self._base, tell=self._rescored)
        finally:
            self.status.rescored = 0
        store.model = model
        if number:
            emit(logging.INFO, "rescored", state=folder, labels=number, model=model)

    def _rescored(self, number: int) -> None:
        self.status.rescored = number
        self._beat()

    @contextlib.contextmanager
    def _pausing(self, maildir: str) -> Iterator[None]:
        """Pause the store of a Maildir after any error in the `with` block.

        Raises StoreUnavailableError if the block fails or the next try is not due yet.
        """
        folder = self._folder(maildir)
        if not self._backoff.is_due(folder):
            raise StoreUnavailableError
        try:
            yield
        except Exception as error:
            # Even a bug in this program must not stop the mail of this user or of other users.
            self._pause(maildir, error)
            raise StoreUnavailableError from error
        if self._pauses.pop(folder, None) is not None:
            self._backoff.succeeded(folder)
            self.status.paused = tuple(self._pauses.values())

    def _pause(self, maildir: str, error: Exception) -> None:
        folder = self._folder(maildir)
        delay = self._backoff.failed(folder)
        expected = isinstance(error, sqlite3.Error | OSError | UserError | MemoryError)
        why = sentence(error) if expected else type(error).__name__  # the text of the error may quote a message
        owner = maildir if self._scope is not LabelScope.SHARED else ""
        self._pauses[folder] = Pause(owner or None, str(folder), why, delay)
        self.status.paused = tuple(self._pauses.values())
        self.status.failed += 1
        if not expected:
            log_unexpected(error, "a label store is paused")
        emit(logging.WARNING, "not-learned", maildir=owner, state=folder, error=why, again=delay)


def _warn(sentence: str) -> None:
    emit(logging.WARNING, "label-store", note=sentence)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116  os.stat is faster, and this runs for every message
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _close(trainer: Trainer) -> None:
    with contextlib.suppress(sqlite3.Error, OSError, UserError):
        trainer.save_layer(always=True)
    trainer.labels.close()
