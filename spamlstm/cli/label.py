"""`spamlstm label`, `forget` and `labels`: add, remove and list the user's labels (ham or spam)."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from spamlstm import progress
from spamlstm.cli.mail_paths import MailPaths
from spamlstm.cli.terminal import counted, error_console, local_time, note, print_json, print_rows
from spamlstm.errors import ExitStatus, UserError, reason_of
from spamlstm.learning.label import Label, StoredLabel
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Trainer, rescore_labels
from spamlstm.maildir.content_id import content_id
from spamlstm.model.classifier import Classifier
from spamlstm.model.reading import not_mail

SHOWN = 20
"""The number of labels that `spamlstm labels` lists."""


def label_paths(what: str, paths: list[str], *, model: Path | None, state: Path) -> int:
    """Label all mail under the paths with `what`, print the number of new labels, and return the exit status.

    Raises UserError if `what` is neither ham nor spam.
    """
    if what not in tuple(Label):
        raise UserError(f"the label is 'spam' or 'ham', not '{what}'; usage: spamlstm label spam PATHS")
    label, named = Label(what), MailPaths(paths)
    new = known = 0
    with contextlib.closing(LabelStore.open(state)) as labels:
        trainer = Trainer(labels, tell=note)
        classifier = Classifier.open(model, personal_features=True)
        if model is None:
            rescore_labels(labels, classifier)
        mail = ((raw, raw) for raw in _contents(named, check=True))
        with progress.show_progress(error_console(), "labelled") as tell:
            for is_new in trainer.add_labels(classifier.assess_many(mail), label, model=classifier.bundle.label):
                new, known = new + is_new, known + (not is_new)
                tell(new + known)
    sys.stdout.write(f"{new} labelled {label}" + (f", {known} had that label already" if known else "") + "\n")
    return named.failed


def _contents(named: MailPaths, *, check: bool = False) -> Iterator[bytes]:
    """Yield the contents of the messages. Report unreadable messages.

    With `check`, also report and skip contents that are not mail, such as an empty pipe, /dev/zero or a picture.
    """
    for found in named.messages():
        try:
            raw = found.read()
        except OSError as error:
            named.fail(found.name, reason_of(error))
            continue
        if check and (not raw.strip() or not_mail(raw)):
            named.fail(found.name, "this is not mail and was not labelled", ExitStatus.DATA)
        else:
            yield raw


def forget_paths(paths: list[str], *, state: Path) -> int:
    """Remove the labels of all mail under the paths, and return the exit status."""
    named = MailPaths(paths)
    removed = unknown = 0
    with contextlib.closing(LabelStore.open(state)) as labels:
        trainer = Trainer(labels, tell=note)
        for raw in _contents(named):
            known = labels.forget(content_id(raw))
            removed, unknown = removed + known, unknown + (not known)
        trainer.catch_up()
        trainer.keep()
    sys.stdout.write(f"{counted(removed, 'label')} removed" + (f", {unknown} had no label" if unknown else "") + "\n")
    return named.failed


def show_labels(*, json: bool, state: Path) -> None:
    """Print the number of labels and the newest labels. With `json`, print all labels, one object per line."""
    labels = LabelStore.find(state)
    with contextlib.closing(labels) if labels else contextlib.nullcontext():
        last = labels.last(-1 if json else SHOWN) if labels else iter(())
        if json:
            for one in last:
                print_json(_object(one))
            return
        counts = labels.counts() if labels else dict.fromkeys(Label, 0)
        sys.stdout.write(", ".join(f"{counts[label]} {label}" for label in Label) + "\n")
        print_rows(("time", "label", "score", "id", "subject"), map(_row, last))


def purge_labels(*, state: Path, yes: bool) -> None:
    """Remove all labels and the stored copies of the labelled mail. Ask for confirmation unless `yes`."""
    labels = LabelStore.find(state)
    number = 0
    if labels is not None:
        with contextlib.closing(labels):
            # With --yes no row is read, so that a damaged store can be purged.
            if yes or ((count := sum(labels.counts().values())) and _confirm(count)):
                number = labels.purge()
    sys.stdout.write(f"{counted(number, 'label')} removed\n")


def _confirm(number: int) -> bool:
    """Ask the user whether to remove `number` labels, and return the answer.

    Raises UserError if standard input is not a terminal.
    """
    if not sys.stdin.isatty():
        raise UserError(f"this removes {counted(number, 'label')} permanently; add --yes to confirm")
    sys.stderr.write(f"Remove {counted(number, 'label')} and the stored copies of the labelled mail? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _row(label: StoredLabel) -> tuple[str, ...]:
    score = "-" if label.prior is None else f"{label.prior:+.2f}"
    return local_time(label.time), label.label, score, label.content, label.subject


def _object(label: StoredLabel) -> dict[str, object]:
    return {
        "id": label.content,
        "label": label.label,
        "origin": label.origin,
        "time": round(label.time, 3),
        "subject": label.subject,
        "model_score": None if label.prior is None else round(label.prior, 4),
        "model": label.model,
    }
