"""The classifier: raw mail to judgements, by the model and a user's labels."""

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Self, TypeVar

from spamlstm.config import Config
from spamlstm.model import bundle as bundles
from spamlstm.model.bundle import Bundle
from spamlstm.model.encoder import Encoder, Ids
from spamlstm.model.network import Network, message_logit
from spamlstm.model.policy import NO_EVIDENCE, Evidence, Policy, Reason
from spamlstm.model.reading import MessageReader, Reading, Source, read_chunk
from spamlstm.model.registry import find_bundle
from spamlstm.verdict import Judgement, Verdict, logistic

if TYPE_CHECKING:
    from spamlstm.model.personal_features import PersonalFeatures
    from spamlstm.model.personal_layer import PersonalLayer
    from spamlstm.model.workers import ReaderPool, Task

# Messages in a chunk: enough to find rows of similar length, few enough to show progress and to hold in memory.
CHUNK = 64
# Raw mail in a chunk. A larger message is a chunk of its own: a chunk is read to its end while the mail of other users
# waits, and a hostile megabyte can take half a second.
CHUNK_BYTES = 1 << 20
# Reader processes take 0.1 s to start; fewer messages than this are judged as soon without them.
HELP_AFTER = 128

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Judged(Generic[K]):
    """The result for one message: a judgement, or the reason why there is none.

    `spam_threshold` is the probability of spam from which on the verdict is spam, for this message's user. `ms` is the
    message's share of the time that judging took.
    """

    key: K
    judgement: Judgement | None
    failure: str = ""
    ms: float = 0.0
    spam_threshold: float = 1.0


class Assessed(NamedTuple, Generic[K]):
    """The model's result for one message, before labels are applied; or the reason why there is none.

    `prior` is the calibrated score, None if the network had no words to read. `personal_features` is None unless the
    classifier was opened with `personal_features=True`.
    """

    key: K
    prior: float | None
    evidence: Evidence
    personal_features: "PersonalFeatures | None"
    defects: tuple[str, ...]
    failure: str = ""
    ms: float = 0.0

    @property
    def tokens(self) -> bytes:
        """The tokens that the model read, as the label store keeps them. ValueError without personal features."""
        if self.failure:
            return b""
        if self.personal_features is None:
            raise ValueError("this classifier was opened without personal features")
        from spamlstm.model.personal_features import packed_tokens

        return packed_tokens(self.personal_features)


@dataclass(slots=True)
class _Slot(Generic[K]):
    """A chunk of mail with its keys, and the number of bytes of mail that it holds in memory."""

    keys: list[K] = field(default_factory=list)
    sources: list[bytes | Source] = field(default_factory=list)
    size: int = 0
    without: list[tuple[int, K]] = field(default_factory=list)
    """The keys without mail, in order, each with its index among all keys."""

    def in_order(self, assessed: "list[Assessed[K]]") -> "list[Assessed[K]]":
        """Insert the keys without mail among the assessed messages, in the order of all keys."""
        for at, key in self.without:
            assessed.insert(at, Assessed(key, None, NO_EVIDENCE, None, (), "there is no mail to judge"))
        return assessed


def _no_layer(_key: object) -> None:
    """Judge by the model alone."""


class Classifier:
    """A bundle that is ready to judge. Build one with `open` and keep it: opening takes as long as a hundred messages.

    A classifier holds nothing about any user. A user's labels reach a judgement only as the personal layer that the
    caller passes with the message, so that one user's labels cannot judge another user's mail.
    """

    def __init__(
        self, *, bundle: Bundle, encoder: Encoder, scorer: Network, policy: Policy, personal_features: bool = False
    ) -> None:
        self.bundle = bundle
        self.policy = policy
        self.encoder = encoder
        self.scorer = scorer
        limits = bundle.input
        self.reader = MessageReader(limits.window_bytes, limits.max_windows, style=limits.style, runs=personal_features)

    @classmethod
    def open(
        cls,
        path: Path | None = None,
        *,
        config: Config | None = None,
        personal_features: bool = False,
        threads: int = 1,
    ) -> Self:
        """Load the bundle at `path` (or the one in use), check that it gives its reference answers, apply `config`.

        `personal_features` is needed to judge with personal layers and to learn from messages; without it no layer
        counts, and reading is faster. Raises a UserError if the model or the configuration cannot be used.
        """
        # The encoder and the network check the hashes of the files that they read.
        bundle = bundles.load_bundle(find_bundle(path), hashes=False)
        policy = Policy.of((config or Config()).policy, thresholds=bundle.thresholds)
        # The encoder first: reading the vocabulary takes 8 MB, which are free again when the network is loaded.
        encoder = Encoder(bundle)
        scorer = Network(bundle, threads=threads)
        scorer.self_test()
        return cls(bundle=bundle, encoder=encoder, scorer=scorer, policy=policy, personal_features=personal_features)

    def policy_for(self, layer: "PersonalLayer | None") -> Policy:
        """Return the policy for a user: with the thresholds found for their mail, unless the configuration sets any."""
        thresholds = None if layer is None else layer.thresholds.get(self.bundle.label)
        return self.policy if thresholds is None or self.policy.chosen else replace(self.policy, thresholds=thresholds)

    def classify(self, raw: bytes, *, layer: "PersonalLayer | None" = None) -> Judgement:
        """Judge one message, of any bytes. One that cannot be judged is unsure, and its last defect is the reason."""
        judged = self.judge(self.assess(raw), layer)
        if judged.judgement is not None:
            return judged.judgement
        return Judgement(Verdict.UNSURE, None, None, Reason.UNREADABLE, self.bundle.label, (judged.failure,))

    def assess(self, raw: bytes) -> Assessed[None]:
        """Assess one message, of any bytes."""
        return self._assess_all([None], [self.reader.read(raw)])[0]

    def judge_many(
        self,
        mails: Iterable[tuple[K, bytes | Source | None]],
        *,
        layer_of: "Callable[[K], PersonalLayer | None]" = _no_layer,
        readers: "int | ReaderPool | None" = None,
        beat: Callable[[], None] = lambda: None,
    ) -> Iterator[Judged[K]]:
        """Judge (key, mail) pairs lazily, in their order; a mail is raw bytes or an object with `read() -> bytes`.

        A key with None for its mail is returned in order, without a judgement. A message that cannot be read or judged
        has a failure. `layer_of` returns the personal layer for a key; it is called when the message is judged.

        If there are more than HELP_AFTER messages, `readers` further processes (by default one for each other core), or
        those of a started pool, read some; the mails must then be picklable.

        `beat` is called between messages and between batches of the network, so that the caller can send heartbeats to
        a watchdog. At most 16 MiB of mail given as bytes and one message are in memory at once, not counting what the
        caller keeps.
        """

        def judged(assessed: Assessed[K]) -> Judged[K]:
            return self.judge(assessed, None if assessed.failure else layer_of(assessed.key))

        # A generator expression would keep the last message in memory while the next is read.
        return map(judged, self.assess_many(mails, readers=readers, beat=beat))

    def judge(self, assessed: Assessed[K], layer: "PersonalLayer | None" = None) -> Judged[K]:
        """Judge an assessed message with the labels that `layer` has learned so far, or by the model alone."""
        if assessed.failure:
            return Judged(assessed.key, None, assessed.failure, assessed.ms)
        score, evidence, policy = self.judged_score(assessed, layer), assessed.evidence, self.policy_for(layer)
        if (evidence.no_text or evidence.unknown_text) and _has_labels_for(assessed, layer):
            # The network cannot read this text, but the user has labelled similar mail.
            evidence = evidence._replace(no_text=False, unknown_text=False)
        probability = _probability(score)
        verdict, reason = policy.decide(probability, evidence)
        if layer is not None and reason is Reason.SCORE:
            alone, _ = self.policy.decide(_probability(assessed.prior), assessed.evidence)
            reason = Reason.LABELS if alone != verdict else reason
        judgement = Judgement(verdict, probability, score, reason, self.bundle.label, assessed.defects)
        return Judged(assessed.key, judgement, ms=assessed.ms, spam_threshold=policy.thresholds.spam)

    def judged_score(self, assessed: Assessed[Any], layer: "PersonalLayer | None") -> float | None:
        """Return the model's score, corrected by the personal layer."""
        if layer is None or assessed.personal_features is None:
            return assessed.prior
        return layer.score(assessed.personal_features, assessed.prior)

    def assess_many(
        self,
        mails: Iterable[tuple[K, bytes | Source | None]],
        *,
        readers: "int | ReaderPool | None" = None,
        beat: Callable[[], None] = lambda: None,
    ) -> Iterator[Assessed[K]]:
        """Assess (key, mail) pairs as `judge_many` judges them: for callers that learn between two judgements."""
        chunks = _chunks(mails)
        if not (readers is None or isinstance(readers, int)):
            yield from self._side_by_side(chunks, readers, beat)
            return
        yield from self._in_turn(chunks if readers == 0 else _first(chunks, HELP_AFTER), beat)
        if (next_slot := next(chunks, None)) is not None:
            from spamlstm.model.workers import ReaderPool, further_cores  # 5 ms, which few messages need not pay

            with ReaderPool(further_cores() if readers is None else readers) as pool:
                yield from self._side_by_side(itertools.chain([next_slot], chunks), pool, beat)

    def score(self, logits: Sequence[float]) -> float | None:
        """Return the calibrated score of a message from the logits of its windows; None without windows."""
        return self.bundle.calibration.score(message_logit(logits)) if logits else None

    def _in_turn(self, chunks: Iterator[_Slot[K]], beat: Callable[[], None]) -> Iterator[Assessed[K]]:
        while (slot := next(chunks, None)) is not None:
            readings = read_chunk(self.reader, slot.sources, beat=beat)
            assessed = slot.in_order(self._assess_all(slot.keys, readings, beat))
            del slot  # or its mail stays in memory while the next chunk is read
            yield from assessed
            del assessed

    def _side_by_side(
        self, chunks: Iterator[_Slot[K]], pool: "ReaderPool", beat: Callable[[], None]
    ) -> Iterator[Assessed[K]]:
        """Assess chunks in their order, with other processes that read.

        The readers always have a chunk to read. This process scores the chunks that are read, and reads one itself if
        none is: all cores are busy, whichever of reading and scoring takes longer.
        """
        from spamlstm.model.workers import MOST_BYTES

        line: deque[tuple[_Slot[K], Task]] = deque()
        more, size = True, 0
        while line or more:
            may_read = more and len(line) < pool.most_tasks and size < MOST_BYTES
            if may_read and (pool.has_room() or not line or not line[0][1].is_done()):
                if slot := next(chunks, None):
                    # Sending a large message to another process takes as long as reading it, and more memory.
                    here = slot.size > CHUNK_BYTES
                    line.append((slot, pool.give(self.reader, slot.sources, here=here, beat=beat)))
                    size += slot.size
                more = slot is not None
            else:
                slot, task = line.popleft()
                size -= slot.size
                assessed = slot.in_order(self._assess_all(slot.keys, task.readings(), beat))
                del slot, task  # as in _in_turn
                yield from assessed
                del assessed

    def _assess_all(
        self, keys: Sequence[K], readings: Sequence[Reading], beat: Callable[[], None] = lambda: None
    ) -> list[Assessed[K]]:
        start = time.perf_counter()
        try:
            assessed = self._score(keys, readings, beat)
        except Exception as error:  # noqa: BLE001  contract 9: find the message that causes it, and judge the others
            if len(readings) == 1:
                failure = f"it could not be scored, which is a bug in spamlstm ({type(error).__name__}: {error})"
                return [_failed(keys[0], readings[0], failure)]
            each = zip(keys, readings, strict=True)
            return [self._assess_all([key], [reading], beat)[0] for key, reading in each]
        share = (time.perf_counter() - start) * 1000 / max(1, len(readings))
        pairs = zip(assessed, readings, strict=True)
        return [one._replace(ms=round(reading.ms + share, 3)) for one, reading in pairs]

    def _score(self, keys: Sequence[K], readings: Sequence[Reading], beat: Callable[[], None]) -> list[Assessed[K]]:
        rows = self.encoder.encode([window for reading in readings for window in reading.windows])
        logits = self.scorer.logits(rows, beat=beat).tolist()
        assessed, at = [], 0
        for key, reading in zip(keys, readings, strict=True):
            end = at + len(reading.windows)
            assessed.append(self._assess(key, reading, rows[at:end], logits[at:end]))
            at = end
        return assessed

    def _assess(self, key: K, reading: Reading, rows: list[Ids], logits: list[float]) -> Assessed[K]:
        if reading.failure:
            return _failed(key, reading, reading.failure)
        evidence = reading.evidence
        if self.encoder.is_unknown(rows):
            evidence = evidence._replace(unknown_text=True)
        features = None
        if reading.runs is not None:
            from spamlstm.model.personal_features import joined, tokens  # numpy, which the network has loaded

            features = joined(reading.runs, tokens(rows))
        return Assessed(key, self.score(logits), evidence, features, reading.defects)


def _has_labels_for(assessed: Assessed[Any], layer: "PersonalLayer | None") -> bool:
    features = assessed.personal_features
    return layer is not None and features is not None and layer.knows(features)


def _failed(key: K, reading: Reading, why: str) -> Assessed[K]:
    return Assessed(key, None, reading.evidence, None, reading.defects, why)


def _probability(score: float | None) -> float | None:
    return None if score is None else logistic(score)


def _first(chunks: Iterator[_Slot[K]], messages: int) -> Iterator[_Slot[K]]:
    """Take the chunks of the first `messages` messages; the others are left in `chunks`."""
    given = 0
    while given < messages and (slot := next(chunks, None)) is not None:
        given += len(slot.keys)
        yield slot


def _chunks(mails: Iterable[tuple[K, bytes | Source | None]]) -> Iterator[_Slot[K]]:
    slot: _Slot[K] = _Slot()
    for key, source in mails:
        size = len(source) if isinstance(source, bytes) else 0
        if slot.keys and slot.size + size > CHUNK_BYTES:
            yield slot
            slot = _Slot()
        if source is None:
            slot.without.append((len(slot.keys) + len(slot.without), key))
        else:
            slot.keys.append(key)
            slot.sources.append(source)
        slot.size += size
        del key, source
        if len(slot.keys) + len(slot.without) == CHUNK or slot.size > CHUNK_BYTES:
            yield slot
            slot = _Slot()
    if slot.keys or slot.without:
        yield slot
