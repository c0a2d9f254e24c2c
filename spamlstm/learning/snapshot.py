"""The snapshot for a retraining: labels and mail at one moment, split into training and held-out data.

The newest labels are held out, except labels of near-duplicates (messages with almost the same text) of older messages.
Such labels are used for training. Labels are excluded if too many near-duplicates have the other label.
"""

import json
import random
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from spamlstm.corpus.paths import FileMessage, find_messages
from spamlstm.learning.label import Label, Origin
from spamlstm.learning.label_rows import MOST_KEPT
from spamlstm.learning.label_store import LabelStore
from spamlstm.maildir.content_id import content_id
from spamlstm.model.reading import MessageReader
from spamlstm.model.text_groups import groups, text_to_compare

# Only the newest labels are used. Earlier retrainings have learned the older labels.
MOST_LABELS = 5_000
MOST_UNLABELLED = 4_000
# The share of the labels of each kind that is held out. The newest labels are taken.
HELD_SHARE = 0.2
# A label is excluded if less than this share of its group of near-duplicates has the same label.
AGREED = 2 / 3
# Every ASIDE-th unlabelled message is not trained on. These messages show which verdicts change.
ASIDE = 4


@dataclass(frozen=True, slots=True)
class LabelledMail:
    """One labelled message. `row` is its row id in the label store, `content` its content id.

    `group` is the number of its group of near-duplicates.
    """

    row: int
    content: str
    label: Label
    group: int
    mail: FileMessage
    origin: Origin
    answered: bool = False
    """True if the user answered the message."""

    @property
    def spam(self) -> bool:
        """Return whether the label is spam."""
        return self.label is Label.SPAM


@dataclass(frozen=True, slots=True)
class Contradictions:
    """Numbers of labels that contradict other labels, by mistake or on purpose."""

    relabelled: int
    """The number of messages that had the other label at the last retraining."""
    near_duplicates: int
    """The number of messages excluded because too many of their near-duplicates have the other label."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The labels and mail at one moment. `train` are the training labels, and `held` are the held-out labels."""

    train: tuple[LabelledMail, ...]
    held: tuple[LabelledMail, ...]
    contradictions: Contradictions
    unlabelled: tuple[FileMessage, ...]
    """Unlabelled mail to be trained on with soft targets (scores instead of labels)."""
    aside: tuple[FileMessage, ...]
    """Unlabelled mail that is not trained on, to count changed verdicts."""
    labels: dict[str, str]
    """All labels by content id, including excluded labels."""

    @property
    def all(self) -> tuple[LabelledMail, ...]:
        """Return the labels that the candidate learns: training and held-out labels."""
        return (*self.train, *self.held)

    def counts(self) -> dict[str, int]:
        """Return the number of messages with each label, without excluded labels."""
        found = Counter(one.label for one in self.all)
        return {label.value: found[label] for label in Label}


def take_snapshot(
    labels: LabelStore, reader: MessageReader, maildirs: Iterable[Path], *, before: Mapping[str, str], into: Path
) -> Snapshot:
    """Write the mail of the newest labels and a sample of unlabelled mail below `into`, and return the snapshot.

    `before` are the labels at the last retraining, by content id. Only one raw message at a time is in memory.
    """
    (into / "mail").mkdir(parents=True)
    labelled, texts = [], []
    for stored, raw in labels.with_mail(MOST_LABELS):
        path = into / "mail" / f"{stored.content}.eml"
        path.write_bytes(raw)
        mail = FileMessage(stored.content, str(path))
        labelled.append(LabelledMail(stored.id, stored.content, stored.label, 0, mail, stored.origin, stored.answered))
        windows = reader.read(raw).windows
        texts.append(text_to_compare(windows[0]) if windows else content_id(raw))
    labelled = [replace(one, group=int(group)) for one, group in zip(labelled, groups(texts), strict=True)]
    relabelled = sum(before.get(one.content, one.label) != one.label for one in labelled)
    agreed = _agreed(labelled)
    train, held = split_labels(agreed)
    unlabelled = sample_unlabelled(maildirs, known={one.content for one in labelled}, into=into)
    return Snapshot(
        train,
        held,
        Contradictions(relabelled, len(labelled) - len(agreed)),
        unlabelled=tuple(one for number, one in enumerate(unlabelled) if number % ASIDE),
        aside=tuple(unlabelled[::ASIDE]),
        labels={one.content: one.label.value for one in labelled},
    )


def split_labels(labelled: Sequence[LabelledMail]) -> tuple[tuple[LabelledMail, ...], tuple[LabelledMail, ...]]:
    """Return the training labels and the held-out labels.

    The newest labels of each kind are held out, except near-duplicates of older messages.
    """
    newest: set[int] = set()
    for label in Label:
        rows = [one.row for one in labelled if one.label is label]
        newest.update(rows[len(rows) - int(len(rows) * HELD_SHARE) :])
    older_groups = {one.group for one in labelled if one.row not in newest}
    held = tuple(one for one in labelled if one.row in newest and one.group not in older_groups)
    held_rows = {one.row for one in held}
    return tuple(one for one in labelled if one.row not in held_rows), held


def sample_unlabelled(maildirs: Iterable[Path], *, known: Collection[str], into: Path) -> list[FileMessage]:
    """Copy a random sample of unlabelled messages from `maildirs` to the folder `into`, and return the copies.

    The sample has at most MOST_UNLABELLED messages. `known` are the content ids of labelled messages. Labelled
    messages, duplicates and messages that cannot be read are left out of the sample.
    """
    random_ = random.Random(1)
    sample: list[FileMessage] = []
    count = 0
    for found in find_messages([str(path) for path in maildirs]):
        if not isinstance(found, FileMessage):
            continue
        # Reservoir sampling (Vitter 1985), so that memory does not grow with the mailbox.
        count += 1
        if len(sample) < MOST_UNLABELLED:
            sample.append(found)
        elif (index := random_.randrange(count)) < MOST_UNLABELLED:
            sample[index] = found
    random_.shuffle(sample)
    return [copy for mail in sample if (copy := _copied(mail, known, into)) is not None]


def write_training_folder(mail: Iterable[tuple[FileMessage, str]], targets: Mapping[str, float], *, into: Path) -> Path:
    """Write the folder that the training reads, and return its path.

    It contains an index, a link to the mail, and the soft targets. The label of a message in `mail` is '' if the
    message is unlabelled. `targets` are scores in log-odds by the names of unlabelled messages. Unlabelled messages
    without a target are left out.
    """
    into.mkdir()
    (into / "mail").symlink_to("../mail")
    lines = ["id\tlabel\tsource\tdate"]
    for one, label in mail:
        if label or one.name in targets:
            lines.append(f"{one.name}\t{label or Label.HAM}\t{'label' if label else 'unlabelled'}\t")
    (into / "index.tsv").write_text("\n".join(lines) + "\n")
    (into / "targets.json").write_text(json.dumps(targets))
    return into


def _copied(mail: FileMessage, known: Collection[str], into: Path) -> FileMessage | None:
    """Copy one message below `into`. Return None if it cannot be read, has a label, or was copied before."""
    try:
        raw = mail.read()
    except OSError:
        return None
    name = content_id(raw)
    path = into / "mail" / f"{name}.eml"
    if name in known or path.exists():
        return None
    path.write_bytes(raw[:MOST_KEPT])
    return FileMessage(name, str(path))


def _agreed(labelled: Sequence[LabelledMail]) -> list[LabelledMail]:
    """Return the messages whose label is the label of at least the share AGREED of their group of near-duplicates."""
    votes = Counter((one.group, one.label) for one in labelled)
    total = Counter(one.group for one in labelled)
    return [one for one in labelled if votes[one.group, one.label] >= AGREED * total[one.group]]
