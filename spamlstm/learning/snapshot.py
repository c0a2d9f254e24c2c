"""What one retraining starts from: the labels as they are now, parted by time and by near-duplicates, in files.

The newest labels are held back to judge by. A campaign that came on both sides of the cut is one piece of evidence and
stays with the older side. Labels that contradict each other teach nothing and are set aside.
"""

import json
import random
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from spamlstm.corpus.paths import FileMessage, find_messages
from spamlstm.features.render import BODY
from spamlstm.learning.label import Label, Origin
from spamlstm.learning.label_rows import MOST_KEPT
from spamlstm.learning.label_store import LabelStore
from spamlstm.maildir.content_id import content_id
from spamlstm.model.near_duplicates import groups
from spamlstm.model.reading import MessageReader

# The newest labels are learned from; older ones the network has had its chance with.
MOST_LABELS = 5_000
MOST_UNLABELLED = 4_000
# Of each kind the newest of so much are held back.
HELD_SHARE = 0.2
# Of near-duplicates that were said to be both, what fewer than this share say is set aside.
AGREED = 2 / 3
# Of mail without a label every so many-th is kept from training, to see what changes.
ASIDE = 4


@dataclass(frozen=True, slots=True)
class LabelledMail:
    """One labelled message: its row in the store, what was said, the first of its near-duplicates, and its mail."""

    row: int
    content: str
    label: Label
    group: int
    mail: FileMessage
    origin: Origin

    @property
    def spam(self) -> bool:
        """What the label says."""
        return self.label is Label.SPAM


@dataclass(frozen=True, slots=True)
class Contradictions:
    """Slips, or somebody who plays tricks: what was said both ways."""

    relabelled: int
    """Messages of which the opposite was said when the last retraining looked."""
    near_duplicates: int
    """Messages set aside, as most of their near-duplicates have the other label, or as many."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The labels of one moment. `train` and `held` are all of them but those that were set aside."""

    train: tuple[LabelledMail, ...]
    held: tuple[LabelledMail, ...]
    contradictions: Contradictions
    unlabelled: tuple[FileMessage, ...]
    """Mail whose soft targets are learned."""
    aside: tuple[FileMessage, ...]
    """Mail that is only looked at, for what changes."""
    seen: dict[str, str]
    """Each label that was there, by content, also of what was set aside."""

    @property
    def all(self) -> tuple[LabelledMail, ...]:
        """Every label that is learned from in the end."""
        return (*self.train, *self.held)

    def counts(self) -> dict[str, int]:
        """How many of each label."""
        found = Counter(one.label for one in self.all)
        return {label.value: found[label] for label in Label}


def take_snapshot(
    labels: LabelStore, reader: MessageReader, maildirs: Iterable[Path], *, before: Mapping[str, str], into: Path
) -> Snapshot:
    """Write the mail of the newest labels below `into`, and choose mail without a label.

    `before` are the labels that an earlier retraining saw, by content. Holds one message in memory at a time.
    """
    (into / "mail").mkdir(parents=True)
    labelled, texts = [], []
    for said, raw in labels.kept(MOST_LABELS):
        place = into / "mail" / f"{said.content}.eml"
        place.write_bytes(raw)
        labelled.append(
            LabelledMail(said.id, said.content, said.label, 0, FileMessage(said.content, str(place)), said.origin)
        )
        texts.append(_telling(reader, raw))
    labelled = [replace(one, group=int(group)) for one, group in zip(labelled, groups(texts), strict=True)]
    relabelled = sum(before.get(one.content, one.label) != one.label for one in labelled)
    agreed = _agreed(labelled)
    train, held = split(agreed)
    wild = sample(maildirs, known={one.content for one in labelled}, into=into)
    return Snapshot(
        train,
        held,
        Contradictions(relabelled, len(labelled) - len(agreed)),
        unlabelled=tuple(one for number, one in enumerate(wild) if number % ASIDE),
        aside=tuple(wild[::ASIDE]),
        seen={one.content: one.label.value for one in labelled},
    )


def split(labelled: Sequence[LabelledMail]) -> tuple[tuple[LabelledMail, ...], tuple[LabelledMail, ...]]:
    """(older, newest): the newest of each label are held back, but for near-duplicates of older ones."""
    late: set[int] = set()
    for label in Label:
        rows = [one.row for one in labelled if one.label is label]
        late.update(rows[len(rows) - int(len(rows) * HELD_SHARE) :])
    early = {one.group for one in labelled if one.row not in late}
    held = tuple(one for one in labelled if one.row in late and one.group not in early)
    back = {one.row for one in held}
    return tuple(one for one in labelled if one.row not in back), held


def sample(maildirs: Iterable[Path], *, known: Collection[str], into: Path) -> list[FileMessage]:
    """Mail of these folders that has no label: at most MOST_UNLABELLED, drawn alike from all, as files of ours.

    What cannot be read is passed over.
    """
    random_ = random.Random(1)
    drawn: list[FileMessage] = []
    count = 0
    for found in find_messages([str(path) for path in maildirs]):
        if not isinstance(found, FileMessage):
            continue
        # Reservoir sampling (Vitter 1985): a mailbox of a million takes no more memory.
        count += 1
        if len(drawn) < MOST_UNLABELLED:
            drawn.append(found)
        elif (at := random_.randrange(count)) < MOST_UNLABELLED:
            drawn[at] = found
    random_.shuffle(drawn)
    return [kept for place in drawn if (kept := _kept(place, known, into)) is not None]


def write_training_folder(mail: Iterable[tuple[FileMessage, str]], targets: Mapping[str, float], *, into: Path) -> Path:
    """A folder that training reads: (mail, its label or '') in an index beside the mail, and the soft targets.

    `targets` are scores in log-odds, by the names of the mail that has no label.
    """
    into.mkdir()
    (into / "mail").symlink_to("../mail")
    lines = ["id\tlabel\tsource\tdate"]
    for place, label in mail:
        if label or place.name in targets:
            lines.append(f"{place.name}\t{label or Label.HAM}\t{'label' if label else 'unlabelled'}\t")
    (into / "index.tsv").write_text("\n".join(lines) + "\n")
    (into / "targets.json").write_text(json.dumps(targets))
    return into


def _kept(place: FileMessage, known: Collection[str], into: Path) -> FileMessage | None:
    try:
        raw = place.read()
    except OSError:
        return None
    name = content_id(raw)
    path = into / "mail" / f"{name}.eml"
    if name in known or path.exists():
        return None
    path.write_bytes(raw[:MOST_KEPT])
    return FileMessage(name, str(path))


def _agreed(labelled: Sequence[LabelledMail]) -> list[LabelledMail]:
    """Without what most of its near-duplicates contradict; with as many on either side, without both."""
    votes = Counter((one.group, one.label) for one in labelled)
    total = Counter(one.group for one in labelled)
    return [one for one in labelled if votes[one.group, one.label] >= AGREED * total[one.group]]


def _telling(reader: MessageReader, raw: bytes) -> str:
    """What near-duplicates are told by: the body, and of a short one the subject and the sender too."""
    windows = reader.read(raw).windows
    if not windows:
        return content_id(raw)
    header, _, body = windows[0].partition(BODY)
    return body if len(body) >= 60 else f"{header[header.find('⟦from⟧') :]} {body}"
