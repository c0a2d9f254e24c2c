"""The report of `spamlstm adopt`: as tables and sentences, as lines, or as JSON."""

import json as jsons
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spamlstm.cli.judgements import COLOURS
from spamlstm.cli.terminal import console, is_terminal, plain
from spamlstm.learning.bootstrap import AdoptedCounts, Conclusion
from spamlstm.learning.label import Label
from spamlstm.learning.survey import AdoptionEvidence, Survey, Without
from spamlstm.verdict import Verdict

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class AdoptReport:
    """The results of an adoption. `unlabelled` are the verdicts on mail in the inbox that implies no label."""

    maildir: str
    survey: Survey
    adopted: AdoptedCounts
    conclusion: Conclusion
    unlabelled: dict[Verdict, int]
    max_false_positive_rate: float
    dry: bool


def print_report(report: AdoptReport, *, json: bool) -> None:
    """Print a report to standard output."""
    if json:
        sys.stdout.write(jsons.dumps(_object(report)) + "\n")
    elif is_terminal(sys.stdout):
        print_tables(report, console())
    else:
        sys.stdout.write("".join("\t".join(map(str, line)) + "\n" for line in _lines(report)))


def _object(report: AdoptReport) -> dict[str, Any]:
    finding, survey = report.conclusion.finding, report.survey
    return {
        "maildir": report.maildir,
        "dry_run": report.dry,
        "messages": survey.messages,
        "evidence": {kind: survey.counts()[kind] for kind in AdoptionEvidence},
        "not_learned_from": {kind: survey.without[kind] for kind in Without},
        "unreadable": len(survey.unreadable) + len(report.adopted.failed),
        "new": report.adopted.new,
        "known": report.adopted.known,
        "rehearsal": report.conclusion.rehearsal,
        "unlabelled": report.unlabelled,
        "thresholds": {
            "ham": finding.thresholds.ham,
            "spam": finding.thresholds.spam,
            "model": {"ham": report.conclusion.model.ham, "spam": report.conclusion.model.spam},
            "used": not report.conclusion.chosen,
        },
        "false_positive_rate": {
            "limit": report.max_false_positive_rate,
            "ham": finding.ham,
            "filed": finding.filed,
            "upper_bound": finding.bound,
            "proven": finding.bound <= report.max_false_positive_rate,
        },
    }


def _lines(report: AdoptReport) -> Iterator[tuple[object, ...]]:
    """Yield rows for awk: kind, name, number."""
    values = _object(report)
    yield "messages", "all", values["messages"]
    for kind in ("evidence", "not_learned_from"):
        yield from ((kind, name, number) for name, number in values[kind].items())
    yield from (("labels", name, values[name]) for name in ("new", "known"))
    for label, counts in values["rehearsal"].items():
        yield from ((f"rehearsal_{label}", verdict, number) for verdict, number in counts.items())
    yield from (("unlabelled", verdict, number) for verdict, number in values["unlabelled"].items())
    yield from (("threshold", verdict, f"{values['thresholds'][verdict]:.6g}") for verdict in ("ham", "spam"))
    rates = values["false_positive_rate"]
    yield from (
        ("false_positive_rate", name, f"{rates[name]:.6g}") for name in ("limit", "ham", "filed", "upper_bound")
    )


def print_tables(report: AdoptReport, out: "Console") -> None:
    """Print tables and sentences for people."""
    out.print(_evidence_table(report.survey))
    out.print(_rehearsal_table(report.conclusion, report.unlabelled))
    for sentence in _sentences(report):
        out.print(plain(sentence), markup=False)


def _evidence_table(survey: Survey) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    table.add_column(f"{survey.messages:,} messages")
    table.add_column("", justify="right")
    table.add_column("", style="dim")
    counts = survey.counts()
    for kind in AdoptionEvidence:
        if counts[kind]:
            table.add_row(str(kind), f"{counts[kind]:,}", str(kind.label))
    for reason in Without:
        if survey.without[reason]:
            table.add_row(str(reason), f"{survey.without[reason]:,}", "not learned from", style="dim")
    return table


def _rehearsal_table(conclusion: Conclusion, unlabelled: dict[Verdict, int]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    number = sum(sum(counts.values()) for counts in conclusion.rehearsal.values())
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(f"the last {number:,}, each judged by earlier mail only")
    for verdict in Verdict:
        table.add_column(Text(f"judged {verdict}", COLOURS[verdict]), justify="right")
    for label in Label:
        cells = (f"{conclusion.rehearsal[label][verdict]:,}" for verdict in Verdict)
        table.add_row(f"{'your mail' if label is Label.HAM else 'your junk'} ({label})", *cells)
    if sum(unlabelled.values()):
        table.add_row("unread or new in the inbox", *(f"{unlabelled[verdict]:,}" for verdict in Verdict))
    return table


def _sentences(report: AdoptReport) -> Iterator[str]:
    finding, conclusion, adopted = report.conclusion.finding, report.conclusion, report.adopted
    yield ""
    yield f"{adopted.new:,} labels {'would be' if report.dry else 'are'} new" + (
        f", {adopted.known:,} existed before." if adopted.known else "."
    )
    yield (
        f"The threshold for spam {'would be' if report.dry else 'is now'} {_percent(finding.thresholds.spam)}; that of"
        f" the model is {_percent(conclusion.model.spam)}. With the new one, {finding.filed:,} of {finding.ham:,} ham"
        f" messages would have been filed as spam: at most {_percent(finding.bound)} of ham (95 % confidence)."
    )
    if finding.bound > report.max_false_positive_rate:
        yield (
            f"There is too little ham to prove the configured {_percent(report.max_false_positive_rate)}. The threshold"
            " is above the score of all ham; it may change when you adopt again with more mail."
        )
    if conclusion.chosen:
        yield "Your configuration sets costs or thresholds, so these thresholds are not used."
    if report.dry:
        yield "This was a dry run: nothing was stored."
        return
    yield (
        "No mail was moved, and no filter was started. Next steps: 'spamlstm run --dry-run MAILDIR' shows what would be"
        " done with new mail; 'spamlstm config init' writes a configuration; 'spamlstm adopt --undo MAILDIR' removes"
        " the new labels."
    )


def _percent(share: float) -> str:
    """Return a share in percent, with enough digits to differ from 0 % and 100 %."""
    distance = min(share, 1 - share) * 100
    digits = 1
    while digits < 8 and distance and distance < 10 ** (1 - digits):
        digits += 1
    return f"{100 * share:.{digits}f} %"
