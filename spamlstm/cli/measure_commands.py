"""Commands that measure: evaluate, trec-jig."""

from pathlib import Path
from typing import Annotated

import typer

from spamlstm.cli.help import MEASURE, command, commands
from spamlstm.cli.options import ModelOption

app = commands()
jig_app = commands(help="Take part in a run of the TREC spam track's toolkit.", no_args_is_help=True)

JigStateOption = Annotated[
    Path | None, typer.Option("--state", metavar="DIR", help="State directory of the run [default: ./spamlstm-jig]")
]
OneMessageArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A file with one message.")]


@command(
    app,
    "evaluate",
    "spamlstm evaluate mail/ --report report.html",
    "spamlstm evaluate --online --feedback mistakes --plot curve.svg mail/",
    panel=MEASURE,
)
def evaluate_command(
    corpora: Annotated[
        list[Path],
        typer.Argument(metavar="CORPUS...", help="Corpus archives, or folders with ham/ and spam/."),
    ],
    *,
    model: ModelOption = None,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the results as JSON.")] = None,
    report: Annotated[Path | None, typer.Option("--report", metavar="FILE", help="Write an HTML report.")] = None,
    online: Annotated[bool, typer.Option("--online", help="Learn after each message, as in TREC.")] = False,
    feedback: Annotated[
        str | None,
        typer.Option(
            "--feedback",
            metavar="WHICH",
            help="With --online, which labels are learned: immediate, first:N, each:N, delayed:N, active:N, mistakes, "
            "errors:N, each-then-mistakes:N [default: immediate]",
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="With --online, draw the learning curve as SVG.")
    ] = None,
) -> None:
    """Judge labelled mail and print error rates."""
    from spamlstm.cli.evaluate import evaluate_corpora, evaluate_online
    from spamlstm.errors import UserError

    if online and report is not None:
        raise UserError("--report does not go with --online; use --json or --plot")
    if not online and (plot is not None or feedback is not None):
        raise UserError("--feedback and --plot need --online")
    if online:
        evaluate_online(corpora, feedback=feedback or "immediate", model=model, json=json, plot=plot)
    else:
        evaluate_corpora(corpora, model=model, json=json, html=report)


@command(jig_app, "initialize", "spamlstm trec-jig initialize")
def jig_initialize_command(state: JigStateOption = None) -> None:
    """Begin a run with nothing learned."""
    from spamlstm.cli import trec_jig

    trec_jig.initialize_run(state)


@command(jig_app, "classify", "spamlstm trec-jig classify message")
def jig_classify_command(file: OneMessageArgument, *, model: ModelOption = None, state: JigStateOption = None) -> None:
    """Print class=ham or class=spam, and score=S."""
    from spamlstm.cli import trec_jig

    trec_jig.classify_message(file, model=model, state=state)


@command(jig_app, "train", "spamlstm trec-jig train spam message")
def jig_train_command(
    label: Annotated[str, typer.Argument(metavar="ham|spam", help="What the message is.")],
    file: OneMessageArgument,
    *,
    model: ModelOption = None,
    state: JigStateOption = None,
) -> None:
    """Learn the label of one message."""
    from spamlstm.cli import trec_jig

    trec_jig.train_message(label, file, model=model, state=state)


@command(jig_app, "finalize", "spamlstm trec-jig finalize")
def jig_finalize_command(state: JigStateOption = None) -> None:
    """End a run."""
    from spamlstm.cli import trec_jig

    trec_jig.finalize_run(state)


app.add_typer(jig_app, name="trec-jig", rich_help_panel=MEASURE)
