"""The reference mail: messages that show what learning does to mail that is not like the learned mail.

reference_mail.txt has the messages, written for this project, in the order of their labels. They are never learned.
"""

import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spamlstm.learning.label import Label
from spamlstm.model.classifier import Classifier
from spamlstm.model.personal_layer import PersonalLayer
from spamlstm.verdict import Verdict

FEW = 2
"""The number of reference messages that may get a worse verdict without a warning. Each is 2.5 % of its label."""

_FILE = Path(__file__).with_name("reference_mail.txt")
_TITLE = re.compile(r"^=== (ham|spam): (.+)\n", re.MULTILINE)
# The subject, and the display name before an address.
_PHRASE = re.compile(r"^((?:Subject|From): )(.*?)(?= <|$)", re.MULTILINE)
_CONTENT_TYPE = re.compile(r"^Content-Type:", re.MULTILINE)

VerdictCounts = dict[Label, dict[Verdict, int]]
"""The number of reference messages with each verdict, by label."""


@dataclass(frozen=True, slots=True)
class ReferenceMessage:
    """One reference message. `kind` describes it, for example 'receipt (de)'. `raw` is the complete message."""

    label: Label
    kind: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class ReferenceVerdicts:
    """The verdicts on the reference mail before and after learning."""

    before: VerdictCounts
    after: VerdictCounts

    @property
    def missed(self) -> int:
        """The number of spam messages that are no longer classified as spam. Negative if more spam is found."""
        return self.before[Label.SPAM][Verdict.SPAM] - self.after[Label.SPAM][Verdict.SPAM]

    @property
    def filed(self) -> int:
        """The number of ham messages that are newly classified as spam. Negative if fewer ham messages are."""
        return self.after[Label.HAM][Verdict.SPAM] - self.before[Label.HAM][Verdict.SPAM]

    @property
    def worse(self) -> int:
        """The number of messages with a worse verdict."""
        return max(self.missed, 0) + max(self.filed, 0)

    @property
    def is_worse(self) -> bool:
        """Return whether more than FEW messages have a worse verdict."""
        return self.worse > FEW


def reference_mail() -> Iterator[ReferenceMessage]:
    """Yield the reference messages with complete headers."""
    _, *pieces = _TITLE.split(_FILE.read_text("utf-8"))
    for number, (label, kind, text) in enumerate(zip(pieces[0::3], pieces[1::3], pieces[2::3], strict=True)):
        yield ReferenceMessage(Label(label), kind, _complete(text.strip(), number).encode())


def _complete(text: str, number: int) -> str:
    """Return a message with the headers that each message has after delivery. `number` makes it unique."""
    head, _, body = text.partition("\n\n")
    host = head.partition("@")[2].partition(">")[0].partition(" ")[0]
    day = ("Mon, 5", "Tue, 6", "Wed, 7", "Thu, 8", "Fri, 9")[number % 5]
    date = f"{day} May 2025 {8 + number % 10:02}:{number % 60:02}:12 +0000"
    added = (
        f"Received: from mail.{host} (mail.{host} [192.0.2.{10 + number}]) by mx.receiver.example; {date}\n"
        f"To: Bob <bob@receiver.example>\nDate: {date}\nMessage-ID: <{7919 * (number + 1):x}.{number}@{host}>\n"
        "MIME-Version: 1.0\n"
    )
    plain = "" if _CONTENT_TYPE.search(head) else "Content-Type: text/plain; charset=utf-8\n"
    head = _PHRASE.sub(lambda match: match[1] + _encoded_word(match[2]), head)
    return f"{added}{plain}{head}\n\n{body}\n"


def _encoded_word(phrase: str) -> str:
    """Return the phrase of a header as mail programs write it (RFC 2047) if it is not ASCII."""
    return phrase if phrase.isascii() else f"=?utf-8?B?{b64encode(phrase.encode()).decode()}?="


def judge_reference_mail(classifier: Classifier, layer: PersonalLayer | None) -> VerdictCounts:
    """Return the number of reference messages with each verdict. `layer` is the personal layer, None for the model."""
    counts = {label: dict.fromkeys(Verdict, 0) for label in Label}
    mail = ((message.label, message.raw) for message in reference_mail())
    for judged in classifier.classify_many(mail, layer_of=lambda _: layer, readers=0):
        if judged.judgement is not None:
            counts[judged.key][judged.judgement.verdict] += 1
    return counts
