"""`spamlstm labels export` and `spamlstm labels import`: copy the labels to a file and back."""

import contextlib
import os
import stat
from pathlib import Path

from spamlstm.cli.terminal import note, print_lines, print_summary
from spamlstm.errors import NoInputError, OutputError, UserError, reading, reason_of
from spamlstm.files import open_any, open_regular, replacement
from spamlstm.learning import label_export, label_merge
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Trainer, rescore_labels
from spamlstm.model.classifier import Classifier
from spamlstm.wording import counted


def write_labels(file: Path, *, state: Path) -> None:
    """Write the labels of the folder `state` to a file, completely or not at all.

    Raises NoInputError if there are no labels, and UserError if `file` is - or exists and is not an export.
    """
    if str(file) == "-":
        raise UserError(
            "labels are not exported to standard output, because a file is written completely or not at all;"
            " name a file"
        )
    _check_replaceable(file)
    labels = LabelStore.read(state)
    if labels is None:
        raise NoInputError(f"there are no labels in {state}; name another state folder with --state")
    with contextlib.closing(labels):
        try:
            with replacement(file, mode=0o600) as out:
                number = label_export.export_labels(labels, out)
        except OSError as error:
            raise OutputError(f"{file} cannot be written: {reason_of(error)}") from error
    print_summary(f"{counted(number, 'label')} exported to {file}")


def read_labels(file: Path, *, dry_run: bool, state: Path) -> None:
    """Merge the labels of a file into the labels of the folder `state`, and learn them.

    Raises NoInputError if the file cannot be read, and DataError if it cannot be imported.
    """
    with contextlib.ExitStack() as stack:
        with reading(file):
            stream = stack.enter_context(open_any(file))
            staged = stack.enter_context(label_export.staged_labels(stream, name=str(file)))
        # Loaded before the labels are changed, so that an error means that nothing was imported.
        model = None if dry_run else Classifier.open(personal_features=True)
        labels = stack.enter_context(contextlib.closing(LabelStore.copy(state) if dry_run else LabelStore.open(state)))
        counts = label_merge.merge_labels(labels, staged)
        if model is not None:
            trainer = Trainer(labels, tell=note)
            trainer.prune()
            rescore_labels(labels, model)
            trainer.catch_up()
            trainer.save_layer()
    would = "would be " if dry_run else ""
    parts = [f"{counted(counts.new, 'label')} {would}imported"]
    parts += [f"{counts.changed:,} {would}changed"] if counts.changed else []
    parts += [f"{counts.known:,} known"] if counts.known else []
    if dry_run:
        print_lines(", ".join(parts))
    else:
        print_summary(", ".join(parts))


def _check_replaceable(file: Path) -> None:
    """Raise UserError if the file exists and is not an export, so that no other file is lost."""
    try:
        if not stat.S_ISREG(os.lstat(file).st_mode):
            raise UserError(f"{file} is not a regular file; name another file")
        with open_regular(file) as stream:
            is_ours = not os.fstat(stream.fileno()).st_size or label_export.is_export(stream)
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"{file} cannot be written: {reason_of(error)}") from error
    if not is_ours:
        raise UserError(f"{file} exists and is not an export of labels; name another file")
