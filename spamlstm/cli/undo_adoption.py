"""`spamlstm adopt --undo`: remove the labels that were adopted from a mailbox.

A source is the path of a Maildir, or the key of an IMAP account, as the label store has it.
"""

import os
from pathlib import Path

from spamlstm.cli.adopt import open_labels
from spamlstm.cli.adopted_mailbox import choose_mailbox, same_mailbox
from spamlstm.cli.selection import existing_state
from spamlstm.cli.terminal import note, print_json, print_lines, print_summary
from spamlstm.config import load_found_config
from spamlstm.config.locations import LABELS, labels_dir
from spamlstm.config.maildirs import absolute
from spamlstm.errors import ExitStatus, NoInputError
from spamlstm.learning import adoption
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.trainer import Trainer, rescore_labels
from spamlstm.model.classifier import Classifier
from spamlstm.wording import counted


def undo_adoption(
    mailbox: str, *, dry_run: bool, json: bool, model: Path | None, config_file: Path | None, state: Path | None
) -> int:
    """Remove the labels that were adopted from the mailbox, print their number and return the exit status.

    The mailbox may have been renamed or removed since. Raises NoInputError if there is no such mailbox and nothing was
    adopted from it.
    """
    config = load_found_config(config_file)
    missing: NoInputError | None = None
    try:
        source = choose_mailbox(config_file, mailbox, dry_run=dry_run).source
    except NoInputError as error:
        missing, source = error, _source_as_written(mailbox)
    store = labels_dir(existing_state(state), config.learning.labels, source)
    classifier = Classifier.open(model, config=config, personal_features=True)
    number = 0
    found: list[str] = []
    others: list[str] = []
    if (store / LABELS).exists():  # an undo creates no label store
        with open_labels(store, dry_run=dry_run) as labels:
            sources = labels.adopted_sources.names()
            found = same_mailbox(source, sources)
            others = [one for one in sources if one not in found]
            number = _forget(labels, found or [source], classifier)
    where = f"labels were adopted from {', '.join(others)}" if others else ""
    if missing is not None and not found:
        raise NoInputError(f"{missing}; {where}" if where else str(missing))
    if where and not found:
        note(f"no labels were adopted from {mailbox}; {where}")
    if json:
        print_json({"removed": number, "dry_run": dry_run})
    else:
        sentence = f"{counted(number, 'adopted label')} {'would be ' if dry_run else ''}removed"
        (print_lines if dry_run else print_summary)(sentence)
    return ExitStatus.OK


def _source_as_written(mailbox: str) -> str:
    """Return the source that the user named, without looking for the mailbox."""
    return mailbox if mailbox.startswith("imap://") else absolute(os.path.abspath(mailbox))  # noqa: PTH100  no links


def _forget(labels: LabelStore, sources: list[str], classifier: Classifier) -> int:
    rescore_labels(labels, classifier)
    trainer = Trainer(labels, tell=note)
    return sum(adoption.forget_adopted(trainer, source=one) for one in sources)
