"""The classifier: takes raw mail and returns judgements.

A judgement is a verdict with its probability, score and reason. The prior (base score) of a message is the score of the
model before personal labels. The personal layer corrects the prior by what was learned from one user's labels. To
assess a message is to read it and compute its prior. To judge a message is to apply the personal layer and the policy
to the assessment. To classify a message is to assess and then to judge it.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Self, TypeVar

from spamlstm.config import Config, LearningConfig
from spamlstm.features.sender_identity import SenderIdentity
from spamlstm.model import bundle as bundles
from spamlstm.model.bundle import Bundle
from spamlstm.model.close_reading import message_logits
from spamlstm.model.encoder import Encoder, Ids
from spamlstm.model.limits import Limits
from spamlstm.model.mail_chunks import read_chunks
from spamlstm.model.network import Network
from spamlstm.model.policy import NO_EVIDENCE, Evidence, Policy, Reason
from spamlstm.model.reading import MessageReader, Reading, Source
from spamlstm.model.registry import find_bundle
from spamlstm.verdict import Judgement, Verdict, logistic

if TYPE_CHECKING:
    from spamlstm.model.personal_features import PersonalFeatures
    from spamlstm.model.personal_layer import PersonalLayer
    from spamlstm.model.workers import ReaderPool

_DEFAULT_RATE = LearningConfig().max_false_positive_rate

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Judged(Generic[K]):
    """The result for one message: a judgement, or the reason why the message could not be judged.

    `spam_threshold` is the lowest probability with the verdict spam, for the user of this message. `ms` is the time for
    this message in milliseconds, including its share of the time for its chunk.
    """

    key: K
    judgement: Judgement | None
    failure: str = ""
    ms: float = 0.0
    spam_threshold: float = 1.0


class Assessed(NamedTuple, Generic[K]):
    """The output of the model for one message before personal labels are applied, or the reason why there is no output.

    `prior` is the calibrated score, or None if the message has no text to score. `personal_features` and `sender` (the
    proven sender) are None unless the classifier was opened with `personal_features=True`.
    """

    key: K
    prior: float | None
    evidence: Evidence
    personal_features: "PersonalFeatures | None"
    defects: tuple[str, ...]
    failure: str = ""
    ms: float = 0.0
    sender: SenderIdentity | None = None

    @property
    def tokens(self) -> bytes:
        """The tokens that the model read, in the format of the label store.

        Empty if the message could not be read. Raises ValueError if there are no personal features.
        """
        if self.failure:
            return b""
        if self.personal_features is None:
            raise ValueError("this classifier was opened without personal features")
        from spamlstm.model.personal_features import packed_tokens

        return packed_tokens(self.personal_features)


class Classifier:
    """A loaded bundle that classifies messages.

    Create a classifier with `open` and reuse it, because opening takes as long as classifying a hundred messages.

    A classifier stores no data about users. The caller passes the user's personal layer with each message, so the
    labels of one user cannot affect the mail of another user.
    """

    def __init__(
        self,
        *,
        bundle: Bundle,
        encoder: Encoder,
        scorer: Network,
        policy: Policy,
        max_false_positive_rate: float = _DEFAULT_RATE,
        personal_features: bool = False,
    ) -> None:
        self.bundle = bundle
        self.policy = policy
        self.encoder = encoder
        self.scorer = scorer
        self.limits = Limits.of(
            policy.thresholds, max_false_positive_rate=None if policy.chosen else max_false_positive_rate
        )
        read = bundle.input
        self.reader = MessageReader(read.window_bytes, read.max_windows, style=read.style, runs=personal_features)

    @classmethod
    def open(
        cls,
        path: Path | None = None,
        *,
        config: Config | None = None,
        personal_features: bool = False,
        threads: int = 1,
    ) -> Self:
        """Load the bundle at `path` (default: the model in use), run its self-test, and apply `config`.

        `personal_features` enables scoring with personal layers and learning from messages. Without
        `personal_features`, the labels in personal layers are ignored and reading is faster. Raises a UserError if the
        model or the configuration cannot be used.
        """
        # The encoder and the network check the hashes of the files that they read.
        bundle = bundles.load_bundle(find_bundle(path), hashes=False)
        config = config or Config()
        policy = Policy.of(config.policy, thresholds=bundle.thresholds)
        # The encoder is loaded first because reading the vocabulary uses 8 MB, which are free again when the network is
        # loaded.
        encoder = Encoder(bundle)
        scorer = Network(bundle, threads=threads)
        scorer.self_test()
        return cls(
            bundle=bundle,
            encoder=encoder,
            scorer=scorer,
            policy=policy,
            max_false_positive_rate=config.learning.max_false_positive_rate,
            personal_features=personal_features,
        )

    def classify(self, raw: bytes, *, layer: "PersonalLayer | None" = None) -> Judgement:
        """Return the judgement of one message, given as arbitrary bytes.

        A message that cannot be read or scored is unsure, and `defects` then contains the cause.
        """
        judged = self.judge(self.assess(raw), layer)
        if judged.judgement is not None:
            return judged.judgement
        return Judgement(Verdict.UNSURE, None, None, Reason.UNREADABLE, self.bundle.label, (judged.failure,))

    def assess(self, raw: bytes) -> Assessed[None]:
        """Return the output of the model for one message, given as arbitrary bytes."""
        return self._assess_all([None], [self.reader.read(raw)])[0]

    def classify_many(
        self,
        mails: Iterable[tuple[K, bytes | Source | None]],
        *,
        layer_of: "Callable[[K], PersonalLayer | None] | None" = None,
        readers: "int | ReaderPool | None" = None,
        beat: Callable[[], None] = lambda: None,
    ) -> Iterator[Judged[K]]:
        """Yield a result for each (key, mail) pair, lazily and in order.

        A mail is raw bytes or an object with `read() -> bytes`. If the mail of a key is None, the result has a failure
        and no judgement. The result of a message that cannot be read or scored also has a failure. `layer_of` returns
        the personal layer for a key, and is called when the message of that key is judged. Without `layer_of`, only the
        model is used, and a message takes a tenth less time because its features for layers are not computed.

        If there are more than HELP_AFTER messages, some are read by other processes. `readers` is the number of these
        processes (default: one for each further core) or a started pool. The mails must then be picklable.

        `beat` is called between messages and between batches of the network, so that the caller can notify a watchdog.
        Of the mail given as bytes, this method keeps at most 16 MiB and one message in memory.
        """

        def judged(assessed: Assessed[K]) -> Judged[K]:
            layer = None if assessed.failure or layer_of is None else layer_of(assessed.key)
            return self.judge(assessed, layer)

        personal = layer_of is not None
        # A generator expression would keep the last message in memory during the read of the next message.
        return map(judged, self.assess_many(mails, personal_features=personal, readers=readers, beat=beat))

    def judge(self, assessed: Assessed[K], layer: "PersonalLayer | None" = None) -> Judged[K]:
        """Return the result for an assessed message, using the current state of `layer`.

        None for `layer` has the same effect as an empty layer, so only the model is used.
        """
        if assessed.failure:
            return Judged(assessed.key, None, assessed.failure, assessed.ms)
        score, evidence = self.judged_score(assessed, layer), assessed.evidence
        if (evidence.no_text or evidence.little_text or evidence.unknown_text) and _has_labels_for(assessed, layer):
            # The network cannot read this text, but the user has labelled this message or mail like it.
            evidence = evidence._replace(no_text=False, little_text=False, unknown_text=False)
        probability = _probability(score)
        verdict, reason = self.policy.decide(probability, evidence)
        if layer is not None and reason is Reason.SCORE:
            reason = self._reason_with_labels(assessed, layer, verdict=verdict, score=score)
        judgement = Judgement(verdict, probability, score, reason, self.bundle.label, assessed.defects)
        return Judged(assessed.key, judgement, ms=assessed.ms, spam_threshold=self.policy.thresholds.spam)

    def judged_score(self, assessed: Assessed[Any], layer: "PersonalLayer | None") -> float | None:
        """Return the score of a message after correction by the personal layer."""
        if layer is None or assessed.personal_features is None:
            return assessed.prior
        return layer.score(assessed.personal_features, assessed.prior, assessed.sender, limits=self.limits)

    def _reason_with_labels(
        self, assessed: Assessed[Any], layer: "PersonalLayer", *, verdict: Verdict, score: float | None
    ) -> Reason:
        """Return the reason for a verdict that follows from `score`, which a personal layer may have corrected."""
        if self._is_by_sender(assessed, layer, verdict=verdict, score=score):
            return Reason.KNOWN_SENDER
        alone, _ = self.policy.decide(_probability(assessed.prior), assessed.evidence)
        return Reason.LABELS if alone != verdict else Reason.SCORE

    def _is_by_sender(
        self, assessed: Assessed[Any], layer: "PersonalLayer", *, verdict: Verdict, score: float | None
    ) -> bool:
        """Return whether the verdict would be different if the sender were not known."""
        known = layer.correspondents.evidence(assessed.sender)
        if known is None or score is None:
            return False
        # Without the sender, the score differs by the shift or by less. Most scores are far from the thresholds.
        if self.policy.thresholds.verdict(logistic(score - known.shift)) == verdict:
            return False
        unknown = self.judged_score(assessed._replace(sender=None), layer)
        return unknown is not None and self.policy.thresholds.verdict(logistic(unknown)) != verdict

    def assess_many(
        self,
        mails: Iterable[tuple[K, bytes | Source | None]],
        *,
        personal_features: bool = True,
        readers: "int | ReaderPool | None" = None,
        beat: Callable[[], None] = lambda: None,
    ) -> Iterator[Assessed[K]]:
        """Yield the assessment of each (key, mail) pair, for callers that learn labels between two judgements.

        Without `personal_features`, the assessments have none. The other parameters are those of `classify_many`.
        """
        reader = self.reader if personal_features else replace(self.reader, runs=False)
        with contextlib.closing(read_chunks(reader, mails, readers=readers, beat=beat)) as parts:
            for chunk, readings in parts:
                yield from chunk.in_order(self._assess_all(chunk.keys, readings, beat), _without_mail)
                del chunk, readings  # otherwise they stay in memory during the next read

    def _assess_all(
        self, keys: Sequence[K], readings: Sequence[Reading], beat: Callable[[], None] = lambda: None
    ) -> list[Assessed[K]]:
        start = time.perf_counter()
        try:
            assessed = self._score(keys, readings, beat)
        except Exception as error:  # noqa: BLE001  find the faulty message and judge the others
            if len(readings) == 1:
                failure = f"it could not be scored, which is a bug in spamlstm ({type(error).__name__}: {error})"
                return [_failed(keys[0], readings[0], failure)]
            each = zip(keys, readings, strict=True)
            return [self._assess_all([key], [reading], beat)[0] for key, reading in each]
        share = (time.perf_counter() - start) * 1000 / max(1, len(readings))
        pairs = zip(assessed, readings, strict=True)
        return [one._replace(ms=round(reading.ms + share, 3)) for one, reading in pairs]

    def _score(self, keys: Sequence[K], readings: Sequence[Reading], beat: Callable[[], None]) -> list[Assessed[K]]:
        rows = iter(self.encoder.encode([window for reading in readings for window in reading.windows]))
        messages = [[next(rows) for _ in reading.windows] for reading in readings]
        logits = iter(self.message_logits([message for message in messages if message], beat=beat))
        return [
            self._assess(key, reading, message, next(logits) if message else None)
            for key, reading, message in zip(keys, readings, messages, strict=True)
        ]

    def message_logits(
        self, messages: Sequence[Sequence[Ids]], *, beat: Callable[[], None] = lambda: None
    ) -> list[float]:
        """Return the logit of each message from the token ids of its windows."""

        def logits(rows: list[Ids]) -> list[float]:
            found: list[float] = self.scorer.logits(rows, beat=beat).tolist()
            return found

        return message_logits(messages, logits=logits, pieces=self.encoder.pieces)

    def _assess(self, key: K, reading: Reading, rows: list[Ids], logit: float | None) -> Assessed[K]:
        if reading.failure:
            return _failed(key, reading, reading.failure)
        evidence = reading.evidence
        if self.encoder.is_unknown(rows):
            evidence = evidence._replace(unknown_text=True)
        features = None
        if reading.runs is not None:
            # Imports numpy, which the network has already loaded.
            from spamlstm.model.personal_features import joined, text_sketch, tokens

            sketch = text_sketch(reading.windows, sender=next(iter(evidence.senders), ""))
            features = joined(reading.runs, tokens(rows), sketch)
        score = None if logit is None else self.bundle.calibration.score(logit)
        return Assessed(key, score, evidence, features, reading.defects, sender=reading.sender)


def _has_labels_for(assessed: Assessed[Any], layer: "PersonalLayer | None") -> bool:
    features = assessed.personal_features
    if layer is None or features is None:
        return False
    return layer.knows(features, has_text=not assessed.evidence.no_text)


def _without_mail(key: K) -> Assessed[K]:
    return Assessed(key, None, NO_EVIDENCE, None, (), "there is no mail to classify")


def _failed(key: K, reading: Reading, why: str) -> Assessed[K]:
    return Assessed(key, None, reading.evidence, None, reading.defects, why)


def _probability(score: float | None) -> float | None:
    return None if score is None else logistic(score)
