"""`spamlstm label`, `forget` and `labels`: what the user says of mail, taken in, taken back and shown."""

import contextlib
import json as jsons
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from spamlstm.cli.named import readable
from spamlstm.cli.output import complain, local_time, note, plain
from spamlstm.config.locations import state_dir
from spamlstm.errors import NoInputError, UserError, reason_of
from spamlstm.learning import progress
from spamlstm.learning.label import Label, StoredLabel
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Trainer, rescore_labels
from spamlstm.maildir.content_id import content_id
from spamlstm.model.classifier import Classifier

SHOWN = 20


@dataclass(slots=True)
class _Paths:
    """What lies under the paths; what cannot be read is said at once and counted."""

    paths: list[str]
    failed: int = 0

    def mail(self) -> Iterator[tuple[str, bytes]]:
        for found in readable(self.paths, self.fail):
            try:
                yield found.name, found.read()
            except OSError as error:
                self.fail(found.name, reason_of(error))

    def fail(self, name: str, why: str) -> None:
        complain(name, why)
        self.failed = NoInputError.exit_status


def label_paths(what: str, paths: list[str], *, model: Path | None, state: Path | None) -> int:
    """Label all mail under the paths, and say how much of it was news; gives the exit status."""
    if what not in tuple(Label):
        raise UserError(f"say 'spamlstm label spam PATHS' or 'spamlstm label ham PATHS', not '{what}'")
    label, named = Label(what), _Paths(paths)
    new = known = 0
    with _trainer(state or state_dir()) as trainer:
        classifier = Classifier.open(model, personal_features=True)
        if model is None:
            rescore_labels(trainer.labels, classifier)
        mail = ((raw, raw) for _, raw in named.mail())
        with progress.show_progress(Console(stderr=True), "labelled") as tell:
            for one in trainer.add_labels(classifier.assess_many(mail), label, model=classifier.bundle.label):
                new, known = new + one, known + (not one)
                tell(new + known)
    sys.stdout.write(f"{new} labelled {label}" + (f", {known} were so already" if known else "") + "\n")
    return named.failed


def forget_paths(paths: list[str], *, state: Path | None) -> int:
    """Take back what was said of all mail under the paths; gives the exit status."""
    named = _Paths(paths)
    forgotten = unknown = 0
    with _trainer(state or state_dir()) as trainer:
        for _, raw in named.mail():
            known = trainer.labels.forget(content_id(raw))
            forgotten, unknown = forgotten + known, unknown + (not known)
        trainer.catch_up()
        trainer.keep()
    sys.stdout.write(f"{forgotten} forgotten" + (f", {unknown} had no label" if unknown else "") + "\n")
    return named.failed


def show_labels(*, json: bool, state: Path | None) -> None:
    """Print how many labels there are and the last of them; as JSON all, an object a line."""
    with contextlib.ExitStack() as stack:
        labels = LabelStore.find(state or state_dir())
        if labels is not None:
            stack.enter_context(contextlib.closing(labels))
        said = labels.last(-1 if json else SHOWN) if labels else iter(())
        if not json:
            counts = labels.counts() if labels else dict.fromkeys(Label, 0)
            sys.stdout.write(", ".join(f"{counts[label]} {label}" for label in Label) + "\n")
        for one in said:
            sys.stdout.write((_json(one) if json else _line(one)) + "\n")


def purge_labels(*, state: Path | None) -> None:
    """Forget everything that was ever said, and the mail that was kept for it."""
    number = 0
    labels = LabelStore.find(state or state_dir())
    if labels is not None:
        with contextlib.closing(labels):
            number = labels.purge()
    sys.stdout.write(f"{number} forgotten\n")


@contextlib.contextmanager
def _trainer(state: Path) -> Iterator[Trainer]:
    with contextlib.closing(LabelStore.open(state)) as labels:
        yield Trainer(labels, tell=note)


def _line(said: StoredLabel) -> str:
    base = "-" if said.prior is None else f"{said.prior:+.2f}"
    return "\t".join((local_time(said.time), said.label, base, said.content, plain(said.subject)))


def _json(said: StoredLabel) -> str:
    return jsons.dumps(
        {
            "id": said.content,
            "label": said.label,
            "origin": said.origin,
            "time": round(said.time, 3),
            "subject": said.subject,
            "base": None if said.prior is None else round(said.prior, 4),
            "model": said.model,
        }
    )
