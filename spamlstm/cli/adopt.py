"""`spamlstm adopt`: label the mail of an existing mailbox.

Adoption infers a label (ham or spam) for each message from evidence, such as an answer or the folder of the message.
"""

import contextlib
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spamlstm import progress
from spamlstm.cli.adopted_mailbox import choose_mailbox, known_labels, opened_mail, same_mailbox
from spamlstm.cli.judgements import COLOURS
from spamlstm.cli.selection import existing_state
from spamlstm.cli.terminal import (
    complain,
    console,
    error_console,
    is_terminal,
    note,
    plain,
    print_json,
    settings,
)
from spamlstm.config.locations import labels_dir
from spamlstm.errors import ExitStatus, reading
from spamlstm.learning import adoption, survey
from spamlstm.learning.adoption import AdoptedCounts, Conclusion
from spamlstm.learning.label import Label
from spamlstm.learning.label_store import LabelStore
from spamlstm.learning.reference_mail import ReferenceVerdicts, judge_reference_mail
from spamlstm.learning.survey import AdoptionEvidence, Survey, UnusedReason
from spamlstm.learning.trainer import Trainer
from spamlstm.model.classifier import Classifier
from spamlstm.verdict import Verdict
from spamlstm.wording import counted, is_or_are

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class AdoptReport:
    """The results of an adoption.

    `unlabelled` counts the verdicts on inbox mail for which no label is inferred. `reference` has the verdicts on mail
    that is not like the mailbox.
    """

    maildir: str
    survey: Survey
    adopted: AdoptedCounts
    conclusion: Conclusion
    unlabelled: dict[Verdict, int]
    reference: ReferenceVerdicts
    correspondents: int
    """The number of correspondents to whom the user wrote."""
    max_false_positive_rate: float
    dry: bool
    is_account: bool = False
    """Whether the mailbox is an IMAP account."""


def adopt_mailbox(mailbox: str, *, json: bool, **options: Any) -> int:
    """Adopt labels from the mailbox, print the report and return the exit status.

    `options` are passed to `learn_mailbox`.
    """
    failed, report = learn_mailbox(mailbox, **options)
    for name, why in failed:
        complain(name, why)
    if json:
        print_json(_object(report))
    elif settings.quiet and not report.dry:
        pass
    elif is_terminal(sys.stdout):
        print_tables(report, console())
    else:
        sys.stdout.write("".join("\t".join(map(str, line)) + "\n" for line in _lines(report)))
    if report.reference.is_worse:
        complain("adopt", _warning(report.reference, dry=report.dry))
    return ExitStatus.NO_INPUT if failed else ExitStatus.OK


def learn_mailbox(
    mailbox: str, *, dry_run: bool, model: Path | None, config_file: Path | None, state: Path | None
) -> tuple[list[tuple[str, str]], AdoptReport]:
    """Adopt labels from a Maildir, or from an IMAP account with this name.

    Return the paths that cannot be read, each with the reason, and the report.
    """
    chosen = choose_mailbox(config_file, mailbox, dry_run=dry_run)
    config, source = chosen.config, chosen.source
    classifier = Classifier.open(model, config=config, personal_features=True)
    state = existing_state(state)
    store = labels_dir(state, config.learning.labels, source)
    known = known_labels(state, store, chosen, dry_run=dry_run)
    with opened_mail(chosen) as mail:
        with reading(mailbox), progress.show_progress(error_console(), "read") as tell:
            found = survey.survey_mailbox(mail, known=known, now=time.time(), progress=tell)
        if mail.is_exhausted():
            note(f"{mailbox}: the newest messages were read, up to the limits of size and time")
        adoption.check_evidence(found, where=mailbox)
        with open_labels(store, dry_run=dry_run) as labels:
            labels.adopted_sources.rename(same_mailbox(source, labels.adopted_sources.names()), source)
            trainer = Trainer(labels, tell=note)
            with progress.show_progress(error_console(), "scored", len(found.samples)) as tell:
                adopted = adoption.adopt_labels(trainer, classifier, found.samples, source=source, progress=tell)
            correspondents = adoption.adopt_correspondents(trainer, mail.correspondents(), source=source)
            with progress.show_progress(error_console(), "learned", sum(labels.counts().values())) as tell:
                conclusion = adoption.learn_adopted(trainer, classifier, progress=tell)
            unlabelled = adoption.judge_unlabelled(found, classifier, trainer.layer)
            before, after = (judge_reference_mail(classifier, layer) for layer in (None, trainer.layer))
    report = AdoptReport(
        mailbox,
        found,
        adopted,
        conclusion,
        unlabelled,
        ReferenceVerdicts(before, after),
        correspondents,
        config.learning.max_false_positive_rate,
        dry_run,
        is_account=chosen.account is not None,
    )
    return [*found.unreadable, *adopted.failed], report


@contextlib.contextmanager
def open_labels(state: Path, *, dry_run: bool) -> Iterator[LabelStore]:
    """Open the label store in the folder `state`, or for a dry run a temporary copy of the label store.

    If the user interrupts the command, a message says how to continue.
    """
    with contextlib.closing(LabelStore.copy(state) if dry_run else LabelStore.open(state)) as labels:
        try:
            yield labels
        except KeyboardInterrupt:
            if not dry_run:
                complain(
                    "adopt", f"{counted(labels.adopted(), 'label')} stored; run the same command again to continue"
                )
            raise


def _object(report: AdoptReport) -> dict[str, Any]:
    conclusion, survey = report.conclusion, report.survey
    return {
        "maildir": report.maildir,
        "dry_run": report.dry,
        "messages": survey.messages,
        "evidence": {kind: survey.counts()[kind] for kind in AdoptionEvidence},
        "not_learned_from": {kind: survey.unused[kind] for kind in UnusedReason},
        "unreadable": len(survey.unreadable) + len(report.adopted.failed),
        "new": report.adopted.new,
        "known": report.adopted.known,
        "correspondents": report.correspondents,
        "rehearsal": report.conclusion.rehearsal,
        "unlabelled": report.unlabelled,
        "reference": {
            "before": report.reference.before,
            "after": report.reference.after,
            "worse": report.reference.is_worse,
        },
        "thresholds": {
            "ham": conclusion.thresholds.ham,
            "spam": conclusion.spam_threshold,
            "policy": {"ham": conclusion.thresholds.ham, "spam": conclusion.thresholds.spam},
        },
        "false_positive_rate": {
            "limit": report.max_false_positive_rate,
            "ham": conclusion.ham,
            "filed": conclusion.filed,
            "upper_bound": conclusion.bound,
            "proven": conclusion.bound <= report.max_false_positive_rate,
        },
    }


def _lines(report: AdoptReport) -> Iterator[tuple[object, ...]]:
    """Yield the rows of the tab-separated report: kind, name, number."""
    values = _object(report)
    yield "messages", "all", values["messages"]
    for kind in ("evidence", "not_learned_from"):
        yield from ((kind, name, number) for name, number in values[kind].items())
    yield from (("labels", name, values[name]) for name in ("new", "known"))
    yield "correspondents", "written to", values["correspondents"]
    for label, counts in values["rehearsal"].items():
        yield from ((f"rehearsal_{label}", verdict, number) for verdict, number in counts.items())
    yield from (("unlabelled", verdict, number) for verdict, number in values["unlabelled"].items())
    yield from (
        (f"reference_{label}_{when}", verdict, number)
        for when in ("before", "after")
        for label, counts in values["reference"][when].items()
        for verdict, number in counts.items()
    )
    yield from (("threshold", verdict, f"{values['thresholds'][verdict]:.6g}") for verdict in ("ham", "spam"))
    rates = values["false_positive_rate"]
    yield from (
        ("false_positive_rate", name, f"{rates[name]:.6g}") for name in ("limit", "ham", "filed", "upper_bound")
    )


def print_tables(report: AdoptReport, out: "Console") -> None:
    """Print the report as tables and sentences."""
    out.print(_evidence_table(report.survey))
    out.print(_rehearsal_table(report.conclusion, report.unlabelled))
    out.print(_reference_table(report.reference))
    for sentence in _sentences(report):
        out.print(plain(sentence), markup=False)


def _evidence_table(survey: Survey) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(counted(survey.messages, "message"))
    table.add_column("", justify="right")
    table.add_column("", style="dim")
    counts = survey.counts()
    for kind in AdoptionEvidence:
        if counts[kind]:
            table.add_row(str(kind), f"{counts[kind]:,}", str(kind.label))
    for reason in UnusedReason:
        if survey.unused[reason]:
            table.add_row(str(reason), f"{survey.unused[reason]:,}", "not learned from", style="dim")
    return table


def _rehearsal_table(conclusion: Conclusion, unlabelled: dict[Verdict, int]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    number = sum(sum(counts.values()) for counts in conclusion.rehearsal.values())
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(f"the last {number:,}, each classified before it was learned")
    for verdict in Verdict:
        table.add_column(Text(f"as {verdict}", COLOURS[verdict]), justify="right")
    for label in Label:
        cells = (f"{conclusion.rehearsal[label][verdict]:,}" for verdict in Verdict)
        table.add_row(f"{'your mail' if label is Label.HAM else 'your junk'} ({label})", *cells)
    if sum(unlabelled.values()):
        table.add_row("unread or new in the inbox", *(f"{unlabelled[verdict]:,}" for verdict in Verdict))
    return table


def _reference_table(reference: ReferenceVerdicts) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("mail not like yours, before and after")
    for verdict in Verdict:
        table.add_column(Text(f"as {verdict}", COLOURS[verdict]), justify="right")
    for label in Label:
        before, after = reference.before[label], reference.after[label]
        cells = (f"{before[verdict]:,} → {after[verdict]:,}" for verdict in Verdict)
        table.add_row(counted(sum(before.values()), f"reference {label} message"), *cells)
    return table


def _warning(reference: ReferenceVerdicts, *, dry: bool) -> str:
    changes = {"fewer spam message": max(reference.missed, 0), "more ham message": max(reference.filed, 0)}
    worse = " and ".join(counted(number, noun) for noun, number in changes.items() if number)
    total = sum(changes.values())
    filter_is, they_are, remedy = ("would be", "would be", "") if dry else ("is", is_or_are(total), "; see --undo")
    return (
        f"the filter {filter_is} worse for mail that is not like yours: of the reference mail, {worse} {they_are}"
        f" classified as spam{remedy}"
    )


def _sentences(report: AdoptReport) -> Iterator[str]:
    conclusion, adopted = report.conclusion, report.adopted
    yield ""
    yield f"{counted(adopted.new, 'label')} {'would be' if report.dry else is_or_are(adopted.new)} new" + (
        f", {adopted.known:,} existed before." if adopted.known else "."
    )
    if report.correspondents:
        yield (
            f"You wrote to {counted(report.correspondents, 'correspondent')}, who {_are(report)} known senders if their"
            " identity is proven."
        )
    yield (
        f"The threshold for spam {'would be' if report.dry else 'is'} {_percent(conclusion.spam_threshold)} for mail"
        f" like the mail in this mailbox, and {_percent(conclusion.thresholds.spam)} for other mail. With it,"
        f" {conclusion.filed:,} of {counted(conclusion.ham, 'such ham message')} would have been filed as spam."
        f" The true share is at most {_percent(conclusion.bound)} (95 % confidence)."
    )
    if conclusion.bound > report.max_false_positive_rate:
        yield (
            "There is too little ham to show that the share is at most max_false_positive_rate"
            f" ({_percent(report.max_false_positive_rate)}). The threshold may change when you adopt again with more"
            " mail."
        )
    if report.dry:
        yield "This was a dry run: nothing was stored."
        return
    name = plain(shlex.quote(report.maildir))
    step = (
        "'spamlstm run' filters the new mail of the account"
        if report.is_account
        else f"'spamlstm run --dry-run {name}' shows what would be done with new mail"
    )
    yield (
        f"No mail was moved, and no filter was started. Next steps: {step}; 'spamlstm adopt --undo {name}' removes"
        " the adopted labels."
    )


def _are(report: AdoptReport) -> str:
    return "would be" if report.dry else "are now"


def _percent(share: float) -> str:
    """Return a share as a percentage with enough digits to be distinct from 0 % and 100 %."""
    distance = min(share, 1 - share) * 100
    digits = 1
    while digits < 8 and distance and distance < 10 ** (1 - digits):
        digits += 1
    return f"{100 * share:.{digits}f} %"
