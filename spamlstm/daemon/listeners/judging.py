"""The queue between other threads and the daemon's loop: listeners and accounts add requests, the loop answers.

Classifier, personal layers and label stores may be used by one thread only, which is the thread of the loop. Therefore
each request waits for the loop, which answers the waiting requests between two steps of its work on Maildirs. Some
requests that wait together are classified together. The loop replaces model and configuration when they change, and the
next request uses them.
"""

import contextlib
import heapq
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from spamlstm.config import Config, LabelScope
from spamlstm.config.users import UserProblem, maildir_of, problem_of_all_users, user_problem
from spamlstm.filtering.batch import Judge
from spamlstm.filtering.event_log import emit, log_unexpected
from spamlstm.filtering.failures import NO_MEMORY
from spamlstm.learning.label import Label, Origin
from spamlstm.maildir.content_id import content_id
from spamlstm.maildir.paths import is_maildir
from spamlstm.model.policy import Reason
from spamlstm.model.reading import holds_mail
from spamlstm.tracking.label_stores import LabelStores, StoreUnavailableError
from spamlstm.verdict import Judgement, Verdict

if TYPE_CHECKING:
    from spamlstm.model.personal_layer import PersonalLayer

# The largest number of requests that are answered in one turn of the loop.
MOST_AT_ONCE = 64
# The largest number of messages that are read, scored and answered together. With fewer, a message takes longer,
# because reading and scoring displace each other from the caches of the processor. With more, all clients of a mail
# server wait for the last message, and then the processor waits for the mail server.
CLASSIFIED_TOGETHER = 16
# A turn answers few messages that are larger than this, after the others. Otherwise, clients with usual messages would
# wait until all large ones are classified, which takes up to 0.5 s for each.
LARGE_BYTES = 1 << 18
MOST_LARGE = 2
# The other messages are ordered by their time of arrival plus this time for each byte, which is 6 s for LARGE_BYTES. So
# a small message overtakes larger ones that came shortly before it. Otherwise 255 clients that send messages of 120 KB
# without end, each one at a time, would keep others waiting for seconds.
YIELD_SECONDS = 6.0 / LARGE_BYTES
# After this time a turn begins no further classification, because mail in Maildirs and a stop wait for the end of the
# turn.
TURN_SECONDS = 1.0
# At a stop, requests are answered for this time. The units allow 10 s for the whole stop.
STOP_SECONDS = 2.0

T = TypeVar("T")


class JudgingError(Exception):
    """A request that cannot be answered. The message is a sentence for the client without text of the mail."""


class UnfitRequestError(JudgingError):
    """A request that cannot be answered because of what it contains, so that its repetition cannot be answered."""


@dataclass(frozen=True, slots=True)
class JudgedMail:
    """The judgement of a message, with the lowest probability that has the verdict spam."""

    judgement: Judgement
    spam_threshold: float
    user_problem: UserProblem | None = None
    """Why the user whom the client named has no effect, if the request asked for it."""


@dataclass(frozen=True, slots=True, eq=False)
class Request(Generic[T]):
    """A message of a client, the user whom the client named (or ''), and the future answer.

    `account` is the key of the IMAP account that has the message, or '' if a client of a listener sent it.
    """

    raw: bytes
    user: str = ""
    account: str = ""
    answer: "Future[T]" = field(default_factory=Future)


@dataclass(frozen=True, slots=True, eq=False)
class JudgeRequest(Request[JudgedMail]):
    """A request to classify a message.

    If `explains_user`, the answer has the `UserProblem`, which takes some system calls.
    """

    explains_user: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class LabelRequestOfClient(Request[bool]):
    """A request to label a message. The answer is whether the stored label changed.

    If `label` is None, the label of the message is removed. If `only_first`, a message that has a label keeps it.
    """

    label: Label | None = None
    origin: Origin = Origin.COMMAND
    only_first: bool = False
    answered: bool = False
    """Whether the user answered the message."""


@dataclass(frozen=True, slots=True, eq=False)
class WrittenRequest(Request[bool]):
    """A request to store correspondents to whom the user of an account wrote. The answer is True.

    `names` has the hashes of their names with the times of the messages. The message of the request is empty.
    """

    names: Mapping[bytes, float] = field(default_factory=dict)


AnyRequest = JudgeRequest | LabelRequestOfClient | WrittenRequest


class Judging:
    """The queue of requests. Any thread may call `submit`. Only the loop's thread may call the other methods.

    `classifier` and `config` return those in use. `wake` is called after a request was added, and `beat` during long
    work.
    """

    def __init__(
        self,
        *,
        classifier: Callable[[], Judge],
        config: Callable[[], Config],
        label_stores: LabelStores,
        wake: Callable[[], None] = lambda: None,
        beat: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._classifier = classifier
        self._config = config
        self._label_stores = label_stores
        self._wake = wake
        self._beat = beat
        self._clock = clock
        self._numbers = itertools.count()
        self._waiting: list[tuple[float, int, AnyRequest]] = []
        """A heap of the usual requests with the time by which they are ordered, and their number."""
        self._large: deque[AnyRequest] = deque()
        self._lock = threading.Lock()
        self._is_closed = False
        self._has_warned = False

    def __bool__(self) -> bool:
        """Return whether requests wait."""
        return bool(self._waiting or self._large)

    def submit(self, request: AnyRequest) -> None:
        """Add a request. Its `answer` is set later by the loop, or immediately to a JudgingError after `close`."""
        with self._lock:
            closed = self._is_closed
            if not closed and len(request.raw) > LARGE_BYTES:
                self._large.append(request)
            elif not closed:
                time_of_turn = self._clock() + YIELD_SECONDS * len(request.raw)
                heapq.heappush(self._waiting, (time_of_turn, next(self._numbers), request))
            is_only = len(self._waiting) + len(self._large) == 1
        if closed:
            request.answer.set_exception(_stopping())
        elif is_only:  # the loop does not sleep while requests wait
            self._wake()

    def work(self) -> None:
        """Answer the requests that wait, at most MOST_AT_ONCE, and at most MOST_LARGE with large messages.

        Ends early after TURN_SECONDS.
        """
        left, until = MOST_AT_ONCE, self._clock() + TURN_SECONDS
        while left and self._clock() < until and (taken := self._take(min(left, CLASSIFIED_TOGETHER))):
            left -= len(taken)
            self._answer(taken)
        self._answer(self._take_large(MOST_LARGE))

    def _take(self, most: int) -> list[AnyRequest]:
        """Take the next usual requests, at most `most` with LARGE_BYTES together."""
        taken: list[AnyRequest] = []
        size = 0
        with self._lock:
            while self._waiting and len(taken) < most:
                size += len(self._waiting[0][2].raw)
                if taken and size > LARGE_BYTES:
                    break
                taken.append(heapq.heappop(self._waiting)[2])
        return taken

    def _take_large(self, most: int) -> list[AnyRequest]:
        with self._lock:
            return [self._large.popleft() for _ in range(min(len(self._large), most))]

    def _answer(self, taken: list[AnyRequest]) -> None:
        # A client that has gone needs no answer.
        wanted = (one for one in taken if one.answer.set_running_or_notify_cancel())
        for _, group in itertools.groupby(wanted, type):
            requests = list(group)
            self._judge([one for one in requests if isinstance(one, JudgeRequest)])
            for one in requests:
                with _answering(one):
                    if isinstance(one, LabelRequestOfClient):
                        self._label(one)
                    elif isinstance(one, WrittenRequest):
                        self._store_written(one)

    def close(self) -> None:
        """Answer waiting requests for STOP_SECONDS. The others and later requests are refused.

        Their clients go on as if the daemon did not run, and accounts try them again after the next start.
        """
        with self._lock:
            self._is_closed = True
        until = self._clock() + STOP_SECONDS
        while taken := self._take(CLASSIFIED_TOGETHER) or self._take_large(1):
            if self._clock() < until:
                self._answer(taken)
                continue
            for one in taken:
                if one.answer.set_running_or_notify_cancel():
                    one.answer.set_exception(_stopping())

    def _judge(self, requests: list[JudgeRequest]) -> None:
        try:
            self._judge_together(requests, [self._layer(one) for one in requests])
        except Exception as error:  # noqa: BLE001  a bug with one message must not affect the other messages
            log_unexpected(error, "requests are classified one by one")
            for one in requests:
                if not one.answer.done():
                    self._judge_alone(one, error)

    def _judge_together(self, requests: list[JudgeRequest], layers: "list[PersonalLayer | None]") -> None:
        """Classify and answer requests, each with its personal layer."""
        classifier = self._classifier()
        mails = ((one, one.raw) for one in requests)
        has_layers = any(layer is not None for layer in layers)
        layer_of = dict(zip(requests, layers, strict=True)).get if has_layers else None
        for judged in classifier.classify_many(mails, layer_of=layer_of, readers=0, beat=self._beat):
            judgement = judged.judgement or _unreadable(classifier, judged.failure)
            request = judged.key
            problem = user_problem(self._config(), request.user) if request.explains_user else None
            if request.user and not self._has_warned:
                self._warn_of_unused_users()
            request.answer.set_result(JudgedMail(judgement, judged.spam_threshold, problem))

    def _warn_of_unused_users(self) -> None:
        """Log that clients name users but no setting gives users labels. Other problems may be intended.

        With shared labels, most programs name a user too. An alias or a sender has no Maildir.
        """
        if problem_of_all_users(self._config()) is UserProblem.UNMAPPED:
            self._has_warned = True
            why = "clients name users, but [learning] user_maildir is not set, so no labels apply to their mail"
            emit(logging.WARNING, "users-unused", why=why)

    def _judge_alone(self, request: JudgeRequest, error: Exception) -> None:
        """Classify one message without a personal layer, which may have caused `error`."""
        with _answering(request):
            maildir = self._owner(request)
            if maildir is not None:
                self._label_stores.suspend(maildir, error)
            self._judge_together([request], [None])

    def _layer(self, request: JudgeRequest) -> "PersonalLayer | None":
        maildir = self._owner(request)
        return None if maildir is None else self._label_stores.layer(maildir)

    def _owner(self, request: AnyRequest) -> str | None:
        """Return the Maildir or the IMAP account whose labels apply to a message. With shared labels, this is ''.

        Returns None if no labels apply.
        """
        if request.account:
            return "" if self._config().learning.labels is LabelScope.SHARED else request.account
        return maildir_of(self._config(), request.user)

    def _label(self, request: LabelRequestOfClient) -> None:
        maildir = self._owner(request)
        if maildir is None or (maildir and not request.account and not is_maildir(maildir)):
            request.answer.set_exception(UnfitRequestError("no Maildir of the configuration belongs to this user"))
            return
        if request.label is not None and not request.account and not holds_mail(request.raw):
            request.answer.set_exception(UnfitRequestError("this is not mail and was not labelled"))
            return
        try:
            if request.label is None:
                changed = self._label_stores.forget(maildir, request.raw)
            elif request.only_first and self._label_stores.label(maildir, content_id(request.raw), request.raw):
                changed = False
            else:
                changed = self._label_stores.add_label(
                    maildir, request.raw, request.label, origin=request.origin, answered=request.answered
                )
        except StoreUnavailableError:
            request.answer.set_exception(JudgingError("the labels cannot be stored now"))
        else:
            request.answer.set_result(changed)

    def _store_written(self, request: WrittenRequest) -> None:
        try:
            self._label_stores.add_written(request.account, request.names)
        except StoreUnavailableError:
            request.answer.set_exception(JudgingError("the correspondents cannot be stored now"))
        else:
            request.answer.set_result(True)


@contextlib.contextmanager
def _answering(request: AnyRequest) -> Iterator[None]:
    """Answer a request with a JudgingError after any error in the `with` block, so that its client does not wait."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  the error is logged
        log_unexpected(error, "a request cannot be answered")
        if not request.answer.done():
            why = NO_MEMORY if isinstance(error, MemoryError) else "of a bug"
            request.answer.set_exception(JudgingError(f"the request cannot be answered because {why}"))


def _stopping() -> JudgingError:
    return JudgingError("spamlstm is stopping")


def _unreadable(classifier: Judge, failure: str) -> Judgement:
    return Judgement(Verdict.UNSURE, None, None, Reason.UNREADABLE, classifier.bundle.label, (failure,))
