"""The trainer: updates a personal layer from a label store.

The personal layer corrects the base score of a message (the score of the model before personal labels). The layer is
the result of learning all rows of the store in order, from an empty layer. Undo is therefore exact, because after a
label is forgotten the other labels are learned again. To make this fast, the layer is saved periodically with the id of
the last row that it learned. After a change, learning resumes from the latest saved layer that is still valid.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from spamlstm.errors import DataError, TemporaryError
from spamlstm.features.sender_identity import sender_identity
from spamlstm.learning.label import Example, Label, LabelRequest, Origin, SavedLayer, StoredLabel
from spamlstm.learning.label_rows import MOST_KEPT
from spamlstm.learning.label_store import LabelStore
from spamlstm.maildir.content_id import content_id, lasting
from spamlstm.message.message import parse_message
from spamlstm.model.bundle import Bundle
from spamlstm.model.classifier import Assessed
from spamlstm.model.personal_features import READ_BYTES, PersonalFeatures, joined, runs, unpacked_tokens
from spamlstm.model.personal_layer import PersonalLayer
from spamlstm.wording import counted

# The layer is saved after this many rows, so that a start learns at most this many rows again, which takes 80 ms. After
# a recent label is forgotten, at most twice as many rows are learned again.
SAVE_EVERY = 512
MOST_SAVED = 2
# The number of messages in one transaction. If the process is killed, only messages that were not yet reported as
# labelled are lost.
BATCH = 128
# This many labels or more in one command are bulk labels and not corrections.
MANY = 20


class Base(Protocol):
    """The base model, which is a `Classifier` opened with personal features."""

    bundle: Bundle

    def assess(self, raw: bytes) -> Assessed[None]:
        """Return the base score and features of one message."""
        ...

    def assess_many(self, mails: Iterable[tuple[int, bytes]], *, readers: int | None = None) -> Iterator[Assessed[int]]:
        """Yield the base score and features of many messages, each with its key."""
        ...


class Trainer:
    """The trainer of one label store. `layer` is always the same object, which `catch_up` updates.

    All methods raise DataError if the store is damaged, and TemporaryError if it cannot be used now. After an error
    the layer keeps what it learned before. If the layer had to be loaded again, for example because a label was
    removed, the layer is empty instead.
    """

    def __init__(self, labels: LabelStore, *, tell: Callable[[str], None] = lambda _: None) -> None:
        """Use a store. `tell` is called with a sentence if labels exceed the bounds or if a saved layer is damaged."""
        self.labels = labels
        self._tell = tell
        self.layer = PersonalLayer()
        self._last = 0
        self._epoch = -1
        self._written: tuple[int, int] | None = None

    def add_label(
        self,
        raw: bytes,
        label: Label,
        *,
        prior: float | None,
        model: str,
        tokens: bytes = b"",
        origin: Origin = Origin.COMMAND,
        answered: bool = False,
        at_once: bool = True,
    ) -> bool:
        """Store the label of a message and learn it. Return whether a new label was stored.

        `prior` is the base score, and `model` is the identifier of the model that computed it. `tokens` are its packed
        tokens. `answered` is true if the user answered the message. Unless `at_once`, a label that replaces a learned
        label is left to the next `catch_up`, because thousands of labels may be learned again each time.
        """
        request = label_request(raw, prior, model, origin, tokens=tokens)
        self.labels.renew(raw, request.content)
        new = self.labels.add(replace(request, answered=answered), label)
        if at_once or self.is_current:
            self.catch_up()
        return new

    def add_labels(self, assessed: Iterable[Assessed[bytes]], label: Label, *, model: str) -> Iterator[bool]:
        """Store the same label for many messages. Yield for each message whether a new label was stored.

        The key of each item in `assessed` is the raw message. If there are MANY or more messages, the labels are bulk
        labels, which are interleaved with bulk labels of the other kind.
        """
        stream, origin = iter(assessed), Origin.COMMAND

        def request(one: Assessed[bytes]) -> LabelRequest:
            # Messages are cut to the bytes that the store keeps, because a batch of large messages may be gigabytes.
            whole = label_request(one.key, one.prior, model, origin, tokens=one.tokens)
            self.labels.renew(one.key, whole.content)
            return replace(whole, raw=one.key[:MOST_KEPT])

        while batch := list(map(request, itertools.islice(stream, BATCH))):
            if len(batch) >= MANY:
                origin = Origin.BULK
            yield from self.labels.add_pairs([(replace(one, origin=origin), label) for one in batch])
        self.prune()
        if origin is Origin.BULK:
            self.labels.interleave_bulk()
        self.catch_up()
        self.save_layer()

    def forget(self, raw: bytes) -> bool:
        """Remove the label of a message, as if it had never been given. Return whether the message had a label."""
        content = content_id(raw)
        self.labels.renew(raw, content)
        known = self.labels.forget(content)
        self.catch_up()
        return known

    def prune(self) -> None:
        """Remove labels that exceed the bounds of the store, and report how many.

        The remaining labels are learned again by the next `catch_up`.
        """
        removed = self.labels.prune()
        if removed:
            self._tell(f"{self.labels.shown}: {counted(removed, 'label')} removed because of age or number")

    def catch_up(self) -> None:
        """Bring the layer up to date with the store, including rows that another process changed."""
        epoch = self.labels.epoch
        # If another process has learned many rows, loading the layer that it saved is faster.
        if epoch != self._epoch or self.labels.saved_layers.last_row() - self._last >= SAVE_EVERY:
            self._reload(epoch)
        else:
            self._learn_new()
        version = self.labels.written_names.version
        if version != self._written:
            self.layer.correspondents.written = self.labels.written_names.all()
            self._written = version

    def _reload(self, epoch: int) -> None:
        """Load the saved layer and learn the rows after it.

        An error empties the layer, because a layer that learned only some of the labels would be misleading.
        """
        self._epoch = -1
        try:
            self._load_saved()
            self._learn_new()
        except BaseException:
            self._clear()
            raise
        self._epoch = epoch

    def _learn_new(self) -> None:
        for example in self.labels.examples(after=self._last, most_bytes=READ_BYTES):
            self._learn(example, _features(example))

    def relearn(self) -> Iterator[tuple[Example, PersonalFeatures]]:
        """Learn all rows again. Yield each row with the features of its message just before it is learned."""
        self._epoch = self.labels.epoch
        self._clear()
        # The user may have written to a sender after the message arrived.
        self.layer.correspondents.written, self._written = frozenset(), None
        for example in self.labels.examples(after=0, most_bytes=READ_BYTES):
            features = _features(example)
            yield example, features
            self._learn(example, features)

    @property
    def is_current(self) -> bool:
        """Return whether no label that the layer has learned was removed or replaced since."""
        return self.labels.epoch == self._epoch

    @property
    def is_worth_saving(self) -> bool:
        """Return whether at least SAVE_EVERY rows were learned since the layer was last saved."""
        return self._last - self.labels.saved_layers.last_row() >= SAVE_EVERY

    def save_layer(self, *, always: bool = False) -> None:
        """Save the layer (14 MB) if `is_worth_saving`, so that the next start has less to learn.

        If `always`, save the layer even if it learned only one row after the last saved layer.
        """
        if self.is_worth_saving or (always and self._last > self.labels.saved_layers.last_row()):
            saved = SavedLayer(self._last, self.layer.dump())
            self.labels.saved_layers.save(saved, epoch=self._epoch, most=MOST_SAVED)

    def _learn(self, example: Example, features: PersonalFeatures) -> None:
        self.layer.learn(
            features,
            prior=example.prior,
            spam=example.spam,
            history=example.origin.is_history,
            sender=example.sender,
            answered=example.answered,
        )
        self._last = example.id

    def _load_saved(self) -> None:
        """Load the latest saved layer. The layer is empty if none is saved or if the saved layer is damaged."""
        try:
            if (saved := self.labels.saved_layers.latest()) is not None:
                self.layer.load(saved.state)
                self._last = saved.last
                return
        except (DataError, ValueError):
            with contextlib.suppress(TemporaryError):
                self.labels.saved_layers.drop()
            self._tell(f"{self.labels.shown}: the saved personal layer is damaged and is learned again from the labels")
        self._clear()

    def _clear(self) -> None:
        self.layer.load(b"")
        self._last = 0


def _features(example: Example) -> PersonalFeatures:
    return joined(runs(example.raw), unpacked_tokens(example.tokens))


def learned_layer(state: Path, *, tell: Callable[[str], None] = lambda _: None) -> PersonalLayer | None:
    """Return the layer learned from the labels of a state folder, or None without labels. `tell` is as in `Trainer`.

    The state folder need not be writable.
    """
    labels = LabelStore.read(state)
    if labels is None:
        return None
    with contextlib.closing(labels):
        trainer = Trainer(labels, tell=tell)
        trainer.catch_up()
    return trainer.layer if trainer.layer.labels else None


def rescore_labels(labels: LabelStore, base: Base, *, tell: Callable[[int], None] | None = None) -> int:
    """Score the stored messages whose base scores were computed by another model, and return their number.

    Call this before a store is used with a model that may be new. Trainers of the store learn the new scores at their
    next `catch_up`. The new scores are stored in one transaction. Each message takes a millisecond. `tell` is called
    with the number of messages scored so far.
    """
    model = base.bundle.label
    if labels.priors_from(model):
        return 0
    mail = ((stored.id, raw) for stored, raw in labels.with_mail() if stored.model != model)
    bases: dict[int, tuple[float | None, bytes]] = {}
    for assessed in base.assess_many(mail, readers=0):
        bases[assessed.key] = assessed.prior, assessed.tokens
        if tell is not None:
            tell(len(bases))
    labels.rescore(bases, model=model)
    return len(bases)


def nth_label(state: Path, number: int) -> StoredLabel | None:
    """Return the label number `number`, counted from 1 in the order of learning.

    Return None if there are fewer labels.
    """
    labels = LabelStore.find(state)
    if labels is None:
        return None
    with contextlib.closing(labels):
        later = sum(labels.counts().values()) - number
        return next(itertools.islice(labels.last(), later, None), None) if later >= 0 else None


def label_request(
    raw: bytes,
    prior: float | None,
    model: str,
    origin: Origin,
    *,
    tokens: bytes = b"",
    source: str = "",
    content: str = "",
) -> LabelRequest:
    """Return the request to label a message, for the label store. `content` is the content id of the message, if known.

    `prior` is the base score, `model` the identifier of the model that computed it, and `source` the Maildir of an
    adopted label.
    """
    message = parse_message(lasting(raw[:MOST_KEPT])[0])
    return LabelRequest(
        content or content_id(raw),
        raw,
        message.subject,
        prior,
        model,
        origin,
        source,
        tokens,
        sender_identity(message),
    )
