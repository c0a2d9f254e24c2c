"""The personal layer, kept in step with what the user says.

The layer is what comes of learning the rows of the label store one after the other, from nothing. So undo is exact: to
forget a message is to learn the others anew. What makes that quick is that the layer is kept now and then, with the
number of the last row in it: whoever forgets something recent goes back no further than to before it.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from spamlstm.errors import DataError, TemporaryError
from spamlstm.learning.label import Example, Label, LabelRequest, Origin, SavedLayer, StoredLabel
from spamlstm.learning.label_rows import MOST_KEPT
from spamlstm.learning.label_store import LabelStore
from spamlstm.maildir.content_id import content_id, lasting
from spamlstm.message.message import parse_message
from spamlstm.model.bundle import Bundle
from spamlstm.model.classifier import Assessed
from spamlstm.model.personal_features import READ_BYTES, PersonalFeatures, joined, runs, unpacked_tokens
from spamlstm.model.personal_layer import PersonalLayer

# Rows that are learned anew at a start at most, and twice as many when one of the latest is forgotten: 80 ms each.
KEEP_EVERY = 512
KEPT = 2
# Messages that share a transaction; a kill loses no more than the last ones that were not yet reported.
GROUP = 128
# As many labels by one command are no corrections.
MANY = 20


class Base(Protocol):
    """What is asked of a `Classifier`, opened with prints, whose scores the layer adds to."""

    bundle: Bundle

    def assess(self, raw: bytes) -> Assessed[None]:
        """What the base says of one message."""
        ...

    def assess_many(self, mails: Iterable[tuple[int, bytes]], *, readers: int | None = None) -> Iterator[Assessed[int]]:
        """What it says of many, each with a number."""
        ...


class Trainer:
    """The layer of one label store; `layer` is always the same object, and `catch_up` changes what it knows.

    Where the labels raise an error, so does each method: DataError for a damaged store, TemporaryError for one that
    cannot be used now. What was learned before still counts then, unless a label was taken back meanwhile: as that
    would still be in it, nothing counts.
    """

    def __init__(self, labels: LabelStore, *, tell: Callable[[str], None] = lambda _: None) -> None:
        """`tell` is told in a sentence what of the store is dropped: labels past its bounds, a damaged state."""
        self.labels = labels
        self._tell = tell
        self.layer = PersonalLayer()
        self._last = 0
        self._epoch = -1

    def add_label(
        self,
        raw: bytes,
        label: Label,
        *,
        prior: float | None,
        model: str,
        tokens: bytes = b"",
        origin: Origin = Origin.SAID,
    ) -> bool:
        """Note what the user says of a message, and learn it; False if it was said before."""
        new = self.labels.add(label_request(raw, prior, model, origin, tokens=tokens), label)
        self.catch_up()
        return new

    def add_labels(self, assessed: Iterable[Assessed[bytes]], label: Label, *, model: str) -> Iterator[bool]:
        """The same of any number of messages, a hundred at a time; the key of each is its bytes.

        Many together are history rather than corrections, and are learned in turns with those said of the other kind.
        """
        stream, origin = iter(assessed), Origin.SAID

        def mail(one: Assessed[bytes]) -> LabelRequest:
            # Only what the store keeps of it, or a hundred messages may be gigabytes.
            kept = label_request(one.key, one.prior, model, origin, tokens=one.tokens)
            return replace(kept, raw=one.key[:MOST_KEPT])

        while group := list(map(mail, itertools.islice(stream, GROUP))):
            if len(group) >= MANY:
                origin = Origin.BULK
            yield from self.labels.add_all([replace(one, origin=origin) for one in group], label)
        self.prune()
        if origin is Origin.BULK:
            self.labels.put_in_turns()
        self.catch_up()
        self.keep()

    def forget(self, raw: bytes) -> bool:
        """Be as if nothing had ever been said of a message; False if nothing was."""
        known = self.labels.forget(content_id(raw))
        self.catch_up()
        return known

    def prune(self) -> None:
        """Keep the labels within their bounds; what goes is told. The next `catch_up` learns what is left."""
        gone = self.labels.prune()
        if gone:
            self._tell(f"{self.labels.shown}: {gone:,} labels were too old or too many and are forgotten")

    def catch_up(self) -> None:
        """Learn what was said since, by whatever process, and nothing that was taken back."""
        epoch = self.labels.epoch
        # Where another process has learned much it is quicker to take over what that kept.
        if epoch != self._epoch or self.labels.learned_until() - self._last >= KEEP_EVERY:
            self._begin_anew(epoch)
        else:
            self._learn_rest()
        self.layer.thresholds = self.labels.thresholds()

    def _begin_anew(self, epoch: int) -> None:
        """Learn all that is not in what was kept. An error on the way leaves nothing: half of the labels mislead."""
        self._epoch = -1
        try:
            self._take_kept()
            self._learn_rest()
        except BaseException:
            self._clear()
            raise
        self._epoch = epoch

    def _learn_rest(self) -> None:
        for example in self.labels.examples(after=self._last, most_bytes=READ_BYTES):
            self._learn(example, _prints(example))

    def relearn(self) -> Iterator[tuple[Example, float | None]]:
        """Learn all rows anew, and give each with the score that its message had before it was learned."""
        self._epoch = self.labels.epoch
        self._clear()
        for example in self.labels.examples(after=0, most_bytes=READ_BYTES):
            found = _prints(example)
            yield example, self.layer.score(found, example.prior)
            self._learn(example, found)

    @property
    def is_worth_keeping(self) -> bool:
        """Whether so much was learned since the last state was kept that a start would take long."""
        return self._last - self.labels.learned_until() >= KEEP_EVERY

    def keep(self, *, always: bool = False) -> None:
        """Save the next start some learning, where that is worth writing 13 MB; nothing is lost without."""
        if self.is_worth_keeping or (always and self._last > self.labels.learned_until()):
            learned = SavedLayer(self._last, self.layer.dump())
            self.labels.keep(learned, epoch=self._epoch, most=KEPT)

    def _learn(self, example: Example, found: PersonalFeatures) -> None:
        self.layer.learn(found, prior=example.prior, spam=example.spam, history=example.origin.is_history)
        self._last = example.id

    def _take_kept(self) -> None:
        """Be what was kept last: what was learned since may not hold any more, or somebody was faster."""
        try:
            if (learned := self.labels.learned()) is not None:
                self.layer.load(learned.state)
                self._last = learned.last
                return
        except (DataError, ValueError):
            with contextlib.suppress(TemporaryError):
                self.labels.drop_learned()
            self._tell(f"{self.labels.shown}: the learned state is damaged and is made anew from the labels")
        self._clear()

    def _clear(self) -> None:
        self.layer.load(b"")
        self._last = 0


def _prints(example: Example) -> PersonalFeatures:
    return joined(runs(example.raw), unpacked_tokens(example.tokens))


def learned_layer(state: Path, *, tell: Callable[[str], None] = lambda _: None) -> PersonalLayer | None:
    """What was learned from the labels in a state folder; None if there are none. `tell` as in `Learner`."""
    labels = LabelStore.find(state)
    if labels is None:
        return None
    with contextlib.closing(labels):
        trainer = Trainer(labels, tell=tell)
        trainer.catch_up()
    return trainer.layer if trainer.layer.labels else None


def rescore_labels(labels: LabelStore, base: Base, *, tell: Callable[[int], None] | None = None) -> int:
    """Let all labels rest on the scores of this base: the layer adds to them, and another base gives others.

    For whoever opens a learner, or holds one, with a base that may be new; any learner of this store learns anew at its
    next `catch_up`. Scores come from the mail that the store keeps, in one transaction: a kill leaves the old ones.
    Gives how many labels there were to score; `tell` is told how many are done. A millisecond for each.
    """
    model = base.bundle.label
    if labels.priors_from(model):
        return 0
    mail = ((said.id, raw) for said, raw in labels.kept() if said.model != model)
    views: dict[int, tuple[float | None, bytes]] = {}
    for assessed in base.assess_many(mail, readers=0):
        views[assessed.key] = assessed.prior, assessed.tokens
        if tell is not None:
            tell(len(views))
    labels.rescore(views, model=model)
    return len(views)


def nth_label(state: Path, number: int) -> StoredLabel | None:
    """What was said as the label of that number, from 1 on in the order of learning, if it still stands."""
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
    """A message as the store takes it; `content` is its content id, if that is known."""
    head, _ = lasting(raw[:READ_BYTES])
    return LabelRequest(
        content or content_id(raw), raw, parse_message(head).subject, prior, model, origin, source, tokens
    )
