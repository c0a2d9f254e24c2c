"""Raw mail in, judgements out: the one object that a caller needs."""

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Self, TypeVar

from spamlstm.config import Config
from spamlstm.model import bundle as bundles
from spamlstm.model.bundle import Bundle, Calibration
from spamlstm.model.encoder import Encoder
from spamlstm.model.network import Network, message_logit
from spamlstm.model.policy import Evidence, Policy, Reason
from spamlstm.model.reading import MessageReader, Reading, Source, read_chunk
from spamlstm.model.registry import find_bundle
from spamlstm.model.vocabulary import Ids
from spamlstm.verdict import Judgement, Verdict

if TYPE_CHECKING:
    from spamlstm.model.personal_features import PersonalFeatures
    from spamlstm.model.personal_layer import PersonalLayer
    from spamlstm.model.workers import ReaderPool, Task

# Enough for the scorer to find rows of like length, little enough to show progress and hold in memory.
CHUNK = 64
# Raw mail in a chunk: it ends early where its messages are large, and a message of more is a chunk of its own. A chunk
# is read to its end while the mail of others waits, and a hostile megabyte may take half a second.
CHUNK_BYTES = 1 << 20
# Reader processes take 0.1 s to start: fewer messages than this are done as soon without.
HELP_AFTER = 128

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Judged(Generic[K]):
    """The outcome for one message: a judgement, or why there is none. `ms` is its own share of the time it took."""

    key: K
    judgement: Judgement | None
    failure: str = ""
    ms: float = 0.0


class Assessed(NamedTuple, Generic[K]):
    """What the base says of one message, and all else that a judgement follows from; or why there is nothing.

    `prior` is the calibrated score, None where the network had no words to read. `prints` are there if they were asked
    for.
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
        """What the base read, as the label store keeps it; ValueError if nobody asked for prints."""
        if self.failure:
            return b""
        if self.personal_features is None:
            raise ValueError("this classifier was opened without prints")
        from spamlstm.model.personal_features import packed_tokens

        return packed_tokens(self.personal_features)


@dataclass(slots=True)
class _Slot(Generic[K]):
    """A chunk of mail with its keys, and how many bytes of mail are in memory for it."""

    keys: list[K] = field(default_factory=list)
    sources: list[bytes | Source] = field(default_factory=list)
    size: int = 0


class Classifier:
    """A bundle ready to judge. Build one with `open` and keep it: opening costs more than a hundred messages."""

    def __init__(
        self,
        *,
        bundle: Bundle,
        encoder: Encoder,
        scorer: Network,
        policy: Policy,
        personal: "PersonalLayer | None" = None,
        personal_features: bool = False,
    ) -> None:
        self.bundle = bundle
        self._policy = policy
        self.encoder = encoder
        self.scorer = scorer
        self.personal = personal
        limits = bundle.input
        self.reader = MessageReader(
            limits.window_bytes, limits.max_windows, style=limits.style, runs=personal_features or personal is not None
        )

    @classmethod
    def open(
        cls,
        path: Path | None = None,
        *,
        config: Config | None = None,
        personal: "PersonalLayer | None" = None,
        personal_features: bool = False,
        threads: int = 1,
    ) -> Self:
        """Load the bundle at `path` (or the one in use), check that it gives its reference answers, apply `config`.

        With a `personal` layer its part is added to each score; what that layer learns counts from the next message.
        What such a layer learns from is found of each message if there is one, and for whoever asks for `prints`.
        Raises a UserError with one sentence where the model or the configuration cannot be used.
        """
        # Encoder and scorer check the hashes of what they read.
        bundle = bundles.load_bundle(find_bundle(path), hashes=False)
        policy = Policy.of((config or Config()).policy, thresholds=bundle.thresholds)
        # The encoder first: what the vocabulary's file takes while it is read, 8 MB, is free again for the network.
        encoder = Encoder(bundle)
        scorer = Network(bundle, threads=threads)
        scorer.self_test()
        return cls(
            bundle=bundle,
            encoder=encoder,
            scorer=scorer,
            policy=policy,
            personal=personal,
            personal_features=personal_features,
        )

    @property
    def policy(self) -> Policy:
        """What decides: with the bars that were found for this user's mail, unless the configuration speaks of bars."""
        thresholds = None if self.personal is None else self.personal.thresholds.get(self.bundle.label)
        return (
            self._policy if thresholds is None or self._policy.chosen else replace(self._policy, thresholds=thresholds)
        )

    def classify(self, raw: bytes) -> Judgement:
        """Judge one message, of any bytes. What cannot be judged is unsure, with the failure as its last defect."""
        return self._always(self.judge(self.assess(raw)))

    def assess(self, raw: bytes) -> Assessed[None]:
        """What the base says of one message, of any bytes."""
        return self._assess_all([None], [self.reader.read(raw)])[0]

    def classify_many(self, raws: Iterable[bytes], *, readers: "int | ReaderPool | None" = None) -> Iterator[Judgement]:
        """Judge raw messages lazily, in their order: as `classify`, and faster; `readers` as in `judge_many`."""
        return map(self._always, self.judge_many(((None, raw) for raw in raws), readers=readers))

    def judge_many(
        self,
        mails: Iterable[tuple[K, bytes | Source]],
        *,
        readers: "int | ReaderPool | None" = None,
        beat: Callable[[], None] = lambda: None,
    ) -> Iterator[Judged[K]]:
        """Judge (key, mail) pairs lazily, in their order; a mail is raw bytes or something with `read() -> bytes`.

        What cannot be read or judged gives a failure in its place and the next goes on. When there are more than a
        hundred, `readers` further processes (as a rule one for each other core) read beside this one, or those of a
        pool that has been started; to them a mail must be picklable.

        `beat` is called between messages and between batches of the network, so that the caller can tell a watchdog
        that work goes on. Of mail given as bytes at most 16 MiB and one message are in memory at once, beside what the
        caller keeps.
        """
        return map(self.judge, self.assess_many(mails, readers=readers, beat=beat))

    def judge(self, assessed: Assessed[K]) -> Judged[K]:
        """The judgement that follows from what the base says and from what the personal layer knows at this moment."""
        if assessed.failure:
            return Judged(assessed.key, None, assessed.failure, assessed.ms)
        score, evidence = self.judged_score(assessed), assessed.evidence
        if (evidence.no_text or evidence.unknown_text) and self._has_labels_for(assessed):
            # There are no words, or none that the network knows; but the user has labelled such mail.
            evidence = evidence._replace(no_text=False, unknown_text=False)
        probability = _probability(score)
        verdict, reason = self.policy.decide(probability, evidence)
        if self.personal is not None and reason is Reason.SCORE:
            alone, _ = self._policy.decide(_probability(assessed.prior), assessed.evidence)
            reason = Reason.LABELS if alone != verdict else reason
        judgement = Judgement(verdict, probability, score, reason, self.bundle.label, assessed.defects)
        return Judged(assessed.key, judgement, ms=assessed.ms)

    def judged_score(self, assessed: Assessed[Any]) -> float | None:
        """The score that counts: the base's, and what the personal layer adds."""
        if self.personal is None or assessed.personal_features is None:
            return assessed.prior
        return self.personal.score(assessed.personal_features, assessed.prior)

    def _has_labels_for(self, assessed: Assessed[Any]) -> bool:
        return (
            self.personal is not None
            and assessed.personal_features is not None
            and self.personal.knows(assessed.personal_features)
        )

    def assess_many(
        self,
        mails: Iterable[tuple[K, bytes | Source]],
        *,
        readers: "int | ReaderPool | None" = None,
        beat: Callable[[], None] = lambda: None,
    ) -> Iterator[Assessed[K]]:
        """As `judge_many`, but what the base says: for whoever learns between one judgement and the next."""
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
        """The calibrated score of a message from the logits of its windows; None if it has none."""
        return self.bundle.calibration.score(message_logit(logits)) if logits else None

    def _always(self, judged: Judged[Any]) -> Judgement:
        if judged.judgement is not None:
            return judged.judgement
        return Judgement(Verdict.UNSURE, None, None, Reason.UNREADABLE, self.bundle.label, (judged.failure,))

    def _in_turn(self, chunks: Iterator[_Slot[K]], beat: Callable[[], None]) -> Iterator[Assessed[K]]:
        while (slot := next(chunks, None)) is not None:
            assessed = self._assess_all(slot.keys, read_chunk(self.reader, slot.sources, beat=beat), beat)
            del slot  # or its mail would stay in memory while the next chunk is read
            yield from assessed
            del assessed

    def _side_by_side(
        self, chunks: Iterator[_Slot[K]], pool: "ReaderPool", beat: Callable[[], None]
    ) -> Iterator[Assessed[K]]:
        """Chunks in their order. The readers never run dry; this process scores what is read, else it reads too.

        So all cores are busy, whichever of the two takes longer.
        """
        from spamlstm.model.workers import MOST_BYTES

        line: deque[tuple[_Slot[K], Task]] = deque()
        more, size = True, 0
        while line or more:
            may_read = more and len(line) < pool.most_tasks and size < MOST_BYTES
            if may_read and (pool.has_room() or not line or not line[0][1].is_done()):
                if slot := next(chunks, None):
                    # To send a large message to another process takes as long as to read it, and more memory.
                    here = slot.size > CHUNK_BYTES
                    line.append((slot, pool.give(self.reader, slot.sources, here=here, beat=beat)))
                    size += slot.size
                more = slot is not None
            else:
                slot, task = line.popleft()
                size -= slot.size
                assessed = self._assess_all(slot.keys, task.readings(), beat)
                del slot, task  # as in _in_turn
                yield from assessed
                del assessed

    def _assess_all(
        self, keys: Sequence[K], readings: Sequence[Reading], beat: Callable[[], None] = lambda: None
    ) -> list[Assessed[K]]:
        start = time.perf_counter()
        try:
            assessed = self._score(keys, readings, beat)
        except Exception as error:  # noqa: BLE001  contract 7: find the one that does it, judge the others
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
        return Assessed(key, self.score(logits), evidence, _prints(reading, rows), reading.defects)


def _prints(reading: Reading, rows: list[Ids]) -> "PersonalFeatures | None":
    """What a personal layer learns from, if there is one."""
    if reading.runs is None:
        return None
    from spamlstm.model.personal_features import joined, tokens  # numpy, which is there by now

    return joined(reading.runs, tokens(rows))


def _failed(key: K, reading: Reading, why: str) -> Assessed[K]:
    return Assessed(key, None, reading.evidence, None, reading.defects, why)


def _probability(score: float | None) -> float | None:
    return None if score is None else Calibration.probability(score)


def _first(chunks: Iterator[_Slot[K]], messages: int) -> Iterator[_Slot[K]]:
    """The chunks of so many messages; those behind them are left in `chunks`."""
    given = 0
    while given < messages and (slot := next(chunks, None)) is not None:
        given += len(slot.keys)
        yield slot


def _chunks(mails: Iterable[tuple[K, bytes | Source]]) -> Iterator[_Slot[K]]:
    slot: _Slot[K] = _Slot()
    for key, source in mails:
        size = len(source) if isinstance(source, bytes) else 0
        if slot.keys and slot.size + size > CHUNK_BYTES:
            yield slot
            slot = _Slot()
        slot.keys.append(key)
        slot.sources.append(source)
        slot.size += size
        del key, source
        if len(slot.keys) == CHUNK or slot.size > CHUNK_BYTES:
            yield slot
            slot = _Slot()
    if slot.keys:
        yield slot
