"""`spamlstm label`, `forget` and `labels`: add, remove and list the user's labels (ham or spam)."""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from spamlstm import progress
from spamlstm.cli.mail_paths import MailPaths
from spamlstm.cli.terminal import (
    complain,
    confirm,
    error_console,
    is_terminal,
    local_time,
    note,
    print_json,
    print_rows,
    print_summary,
)
from spamlstm.config import Config, load_found_config
from spamlstm.config.maildirs import section_of
from spamlstm.config.values import AUTO
from spamlstm.corpus.paths import FileMessage, GivenMessage
from spamlstm.errors import ExitStatus, UserError, reason_of
from spamlstm.learning import retrain_files
from spamlstm.learning.label import Label, StoredLabel
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Trainer, rescore_labels
from spamlstm.maildir.content_id import content_id, is_content_id
from spamlstm.maildir.folders import FolderRole, role_of
from spamlstm.message.compression import compression_defect
from spamlstm.model.classifier import Classifier
from spamlstm.model.reading import holds_mail
from spamlstm.wording import counted

SHOWN = 20
"""The number of labels that `spamlstm labels` lists."""
SHORT_ID = 12
"""The number of characters of an id in the table of `spamlstm labels`."""
_FOR_IDS = "name the file of the message, or all 32 digits of its id, see 'spamlstm labels --json'"

MOST_CHANGED = 100
"""The largest number of labels that a command changes to the opposite label without confirmation."""


def label_paths(
    what: str, paths: list[str], *, yes: bool, model: Path | None, config_file: Path | None, state: Path
) -> int:
    """Label all mail under the paths with `what`, print the number of new labels, and return the exit status.

    Folders of Maildirs that do not fit the label are skipped, see `_Skipped`. If many labels would change, ask for
    confirmation unless `yes`. Raises UserError if `what` is neither ham nor spam.
    """
    if what not in tuple(Label):
        raise UserError(f"the label is 'spam' or 'ham', not '{what}'; usage: spamlstm label spam PATHS")
    label, named = Label(what), MailPaths(paths)
    skipped = _Skipped(label, load_found_config(config_file))
    mail: Iterable[GivenMessage | FileMessage] = named.messages(skipped)
    new = known = 0
    changed: set[str] = set()
    with contextlib.closing(LabelStore.open(state)) as labels:
        if not yes and labels.counts()[_other(label)] > MOST_CHANGED:
            mail = list(mail)
            if not _may_change(_opposite(labels, label, mail), label):
                print_summary(f"0 labelled {label}")
                return ExitStatus.OK
        trainer = Trainer(labels, tell=note)
        classifier = Classifier.open(model, personal_features=True)
        if model is None:
            rescore_labels(labels, classifier)

        def contents() -> Iterator[tuple[bytes, bytes]]:
            for raw in _contents(named, mail, check=True):
                changed.update(_opposite(labels, label, [GivenMessage("", raw)]))
                yield raw, raw

        with progress.show_progress(error_console(), "labelled") as tell:
            try:
                for is_new in trainer.add_labels(
                    classifier.assess_many(contents()), label, model=classifier.bundle.label
                ):
                    new, known = new + is_new, known + (not is_new)
                    tell(new + known)
            except KeyboardInterrupt:
                complain("label", f"{counted(new, 'label')} stored; run the same command again to continue")
                raise
    skipped.report()
    parts = [f"{new:,} labelled {label}"]
    parts += [f"{known:,} had that label already"] if known else []
    parts += [f"{counted(len(changed), 'label')} changed from {_other(label)} to {label}"] if changed else []
    print_summary(", ".join(parts))
    return named.failed


class _Skipped:
    """The folders of Maildirs that a command names as a whole, but whose mail does not get the label.

    Trash, Sent, Drafts and similar folders are skipped, and junk folders if the label is ham. A folder that the command
    names by its own path is not skipped.
    """

    def __init__(self, label: Label, config: Config) -> None:
        self._roles = {FolderRole.IGNORED} | ({FolderRole.JUNK} if label is Label.HAM else set())
        self._config = config
        self._found: dict[str, list[str]] = {}

    def __call__(self, path: str, folder: str) -> bool:
        section = section_of(self._config.maildirs, Path(os.path.abspath(path)))  # noqa: PTH100  does not follow links
        junk, ignored = section.junk if section else AUTO, self._config.learning.ignore_folders
        is_skipped = role_of(folder, junk=junk, ignore_folders=ignored) in self._roles
        if is_skipped and folder not in self._found.setdefault(path, []):
            self._found[path].append(folder)
        return is_skipped

    def report(self) -> None:
        """Say which folders were skipped."""
        for path, folders in self._found.items():
            if folders:
                note(f"{path}: skipped {', '.join(folders)}; to label the mail of a folder, name the folder itself")


def _other(label: Label) -> Label:
    return Label.HAM if label is Label.SPAM else Label.SPAM


def _opposite(labels: LabelStore, label: Label, mail: Iterable[GivenMessage | FileMessage]) -> set[str]:
    """Return the content ids of the messages with the opposite label. Messages that cannot be read are left out."""
    found = set()
    for one in mail:
        with contextlib.suppress(OSError):
            raw = one.read()
            content = content_id(raw)
            labels.renew(raw, content)
            if labels.label(content) is _other(label):
                found.add(content)
    return found


def _may_change(changed: set[str], label: Label) -> bool:
    """Return whether these labels may be changed to `label`. Asks the user if there are more than MOST_CHANGED."""
    if len(changed) <= MOST_CHANGED:
        return True
    what = f"change {counted(len(changed), 'label')} from {_other(label)} to {label}"
    return confirm(f"{what[0].upper()}{what[1:]}?", otherwise=f"this would {what}; add --yes to confirm")


def _contents(named: MailPaths, mail: Iterable[GivenMessage | FileMessage], *, check: bool = False) -> Iterator[bytes]:
    """Yield the contents of the messages `mail`. Report unreadable messages.

    With `check`, also report and skip contents that are not mail, such as an empty pipe, /dev/zero or a picture.
    """
    for found in mail:
        try:
            raw = found.read()
        except OSError as error:
            named.fail(found.name, reason_of(error))
            continue
        if check and not holds_mail(raw):
            defect = compression_defect(raw)
            why = f"it is {defect}" if defect else "this is not mail and was not labelled"
            named.fail(found.name, why, ExitStatus.DATA)
        else:
            yield raw


def forget_paths(paths: list[str], *, state: Path) -> int:
    """Remove the labels of all mail under the paths, and return the exit status.

    A path that does not exist may be the content id of a message.
    """
    ids = [path for path in paths if is_content_id(path) and not os.path.lexists(path)]
    named = MailPaths([path for path in paths if path not in ids], for_ids=_FOR_IDS)
    removed = unknown = 0
    labels = LabelStore.find(state)

    def contents() -> Iterator[str]:
        yield from ids
        for raw in _contents(named, named.messages()):
            content = content_id(raw)
            if labels is not None:
                labels.renew(raw, content)
            yield content

    with contextlib.closing(labels) if labels else contextlib.nullcontext():
        for content in contents():
            known = labels is not None and labels.forget(content)
            removed, unknown = removed + known, unknown + (not known)
        if labels is not None and removed:
            trainer = Trainer(labels, tell=note)
            trainer.catch_up()
            trainer.save_layer()
    print_summary(f"{counted(removed, 'label')} removed" + (f", {unknown:,} had no label" if unknown else ""))
    return named.failed


def show_labels(*, json: bool, state: Path) -> None:
    """Print the number of labels and the newest labels. With `json`, print all labels, one object per line."""
    labels = LabelStore.read(state)
    with contextlib.closing(labels) if labels else contextlib.nullcontext():
        newest = labels.newest(-1 if json else SHOWN) if labels else iter(())
        if json:
            for one in newest:
                print_json(_object(one))
            return
        counts = labels.counts() if labels else dict.fromkeys(Label, 0)
        sys.stdout.write(", ".join(f"{counts[label]} {label}" for label in Label) + "\n")
        # On a terminal the subject needs the place, and the beginning of an id is enough to tell labels apart.
        length = SHORT_ID if is_terminal(sys.stdout) else None
        print_rows(("time", "label", "score", "id", "subject"), (_row(one, id_length=length) for one in newest))


def purge_labels(*, state: Path, yes: bool) -> None:
    """Remove all labels and the stored copies of the labelled mail. Ask for confirmation unless `yes`."""
    labels = LabelStore.find(state)
    number = 0
    if labels is not None:
        with contextlib.closing(labels):
            # With --yes no row is read, so that a damaged store can be purged.
            if yes or ((count := sum(labels.counts().values())) and _may_purge(counted(count, "label"))):
                number = labels.purge()
                retrain_files.remove_leftovers()
    print_summary(f"{counted(number, 'label')} removed")


def _may_purge(labels: str) -> bool:
    return confirm(
        f"Remove {labels} and the stored copies of the labelled mail?",
        otherwise=f"this removes {labels} permanently; add --yes to confirm",
    )


def _row(label: StoredLabel, *, id_length: int | None) -> tuple[str, ...]:
    score = "-" if label.prior is None else f"{label.prior:+.2f}"
    return local_time(label.time), label.label, score, label.content[:id_length], label.subject


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
