"""`spamlstm classify`: classify the mail under some paths and print the judgements.

A judgement is a verdict (ham, unsure or spam) with its score and reason. The personal layer is what spamlstm learned
from the user's labels, and it corrects the score of the model.
"""

import contextlib
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from spamlstm.cli.judgements import Row, judgement_printer
from spamlstm.cli.mail_paths import MailPaths
from spamlstm.cli.terminal import is_closed, local_time, note, settings
from spamlstm.config import Config, LabelScope, load_found_config
from spamlstm.config.locations import LABELS, state_dir
from spamlstm.corpus.paths import STDIN, FileMessage, GivenMessage
from spamlstm.errors import ExitStatus, NoInputError, UserError
from spamlstm.model.classifier import Classifier
from spamlstm.model.mail_chunks import HELP_AFTER
from spamlstm.model.policy import Reason
from spamlstm.verdict import Verdict

if TYPE_CHECKING:
    from spamlstm.model.explain import Cause
    from spamlstm.model.personal_layer import PersonalLayer
    from spamlstm.model.workers import ReaderPool

Mail: TypeAlias = GivenMessage | FileMessage

_STATUS = {Verdict.SPAM: ExitStatus.SPAM, Verdict.UNSURE: ExitStatus.UNSURE}


def classify_paths(
    paths: list[str],
    *,
    json: bool,
    explain: bool,
    exit_code: bool,
    maildir: Path | None,
    model: Path | None,
    config_file: Path | None,
    state: Path | None,
) -> int:
    """Classify and print each message under the paths, and return the exit status.

    With `exit_code`, the status is 1 if a message is spam, or else 2 if a message is unsure. If a message cannot be
    classified, the status is that of the failure.
    """
    if not paths and sys.stdin.isatty():
        raise UserError("name the mail to classify: files, folders, Maildirs or mboxes, or - for standard input")
    mail = MailPaths(paths or [STDIN])
    config = load_found_config(config_file)
    labels = _labels(config, maildir, named=config_file, state=state)
    verdicts: set[Verdict] = set()
    silent = exit_code and is_closed(sys.stdout)  # the exit status is the result
    with _readers(mail.messages()) as (mails, readers), judgement_printer(json=json) as show:
        layer = None if labels is None else _personal_layer(labels)
        classifier = Classifier.open(model, config=config, personal_features=layer is not None)
        pairs = ((one, one) for one in mails)
        for judged in classifier.classify_many(pairs, layer_of=lambda _: layer, readers=readers):
            name, judgement = judged.key.name, judged.judgement
            if judgement is None:
                mail.fail(name, judged.failure)
                continue
            if judgement.reason == Reason.NOT_MAIL:
                mail.fail(name, "this is not mail but data of another kind", ExitStatus.DATA)
            verdicts.add(judgement.verdict)
            causes = _causes(judged.key.read(), classifier, layer, labels) if explain else None
            if not silent:
                show(Row(name, judgement, judged.ms, causes, policy=classifier.policy))
    if mail.failed or not exit_code:
        return mail.failed
    return next((status for verdict, status in _STATUS.items() if verdict in verdicts), ExitStatus.OK)


def _labels(config: Config, maildir: Path | None, *, named: Path | None, state: Path | None) -> Path | None:
    """Return the folder with the labels that apply to the mail, or None if no labels apply."""
    if maildir is not None:
        from spamlstm.cli.selection import label_folder  # loads the Maildir code, which only --maildir needs

        return label_folder(state, maildir, named=named)
    if state is not None and not state.is_dir():
        why = "is not a folder" if state.exists() else "does not exist"
        raise NoInputError(f"the state folder {state} {why}; check --state")
    if config.learning.labels is LabelScope.SHARED:
        return state or state_dir()
    # A mail server that pipes messages to this command would log the note for each message.
    if settings.verbose or sys.stderr.isatty():
        note('each Maildir has its own labels ([learning] labels = "per-maildir"); add --maildir DIR to use them')
    return None  # labels that are left from the time of shared labels do not apply


@contextlib.contextmanager
def _readers(found: Iterator[Mail]) -> "Iterator[tuple[Iterator[Mail], ReaderPool | None]]":
    """Yield the mail, and for much mail also a pool of processes that read it.

    The processes start while the model is loaded.
    """
    first = list(itertools.islice(found, HELP_AFTER))
    if len(first) < HELP_AFTER:
        yield iter(first), None
        return
    from spamlstm.model.workers import ReaderPool, further_cores

    with ReaderPool(further_cores()) as pool:
        yield itertools.chain(first, found), pool


def _personal_layer(labels: Path) -> "PersonalLayer | None":
    """Return the personal layer learned from the labels in a folder, or None if the folder has no labels.

    The folder is not changed.
    """
    if not (labels / LABELS).exists():
        return None
    from spamlstm.learning.trainer import learned_layer

    return learned_layer(labels, tell=note)


def _label_name(labels: Path | None, number: int) -> str:
    """Return a description of a label that contains no text of its message."""
    from spamlstm.learning.trainer import nth_label

    label = None if labels is None else nth_label(labels, number)
    return f"{label.content} ({label.label}, {local_time(label.time)})" if label else f"label {number}"


def _causes(raw: bytes, classifier: Classifier, layer: "PersonalLayer | None", labels: Path | None) -> "list[Cause]":
    from spamlstm.model.explain import explain

    return explain(classifier, raw, layer=layer, name=lambda number: _label_name(labels, number))
