"""Commands that manage and measure models: model, evaluate, trec-jig."""

from pathlib import Path
from typing import Annotated

import typer

from spamlstm.cli import options
from spamlstm.cli.options import MEASURE, MODEL, command, commands
from spamlstm.cli.trec_jig import jig_app

app = commands()
measure_app = commands()
model_app = commands(help="List, show or change the model in use.", no_args_is_help=True)


@command(model_app, "list", "spamlstm model list")
def model_list_command(*, json: options.JsonOption = False) -> None:
    """List the installed models: * is in use, - was in use before.

    'default' is the model that comes with spamlstm. Others are in ~/.local/share/spamlstm/models.
    """
    from spamlstm.cli.model import list_models

    list_models(json=json)


@command(model_app, "show", "spamlstm model show", "spamlstm model show --model ./my-model")
def model_show_command(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="An installed model [default: the model in use]")
    ] = None,
    *,
    model: options.ModelOption = None,
) -> None:
    """Print the facts and the card of a model."""
    from spamlstm.cli.model import show_model

    show_model(name, model)


@command(model_app, "use", "spamlstm model use default")
def model_use_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An installed model, or 'default'.")],
    *,
    state: options.StateOption = None,
) -> None:
    """Check an installed model and use it from now on.

    A running daemon loads the new model by itself.
    """
    from spamlstm.cli.model import report_change
    from spamlstm.model import registry

    report_change(registry.use(name), state=state)


@command(model_app, "rollback", "spamlstm model rollback")
def model_rollback_command(state: options.StateOption = None) -> None:
    """Return to the model that was in use before.

    A second rollback undoes the first.
    """
    from spamlstm.cli.model import report_change
    from spamlstm.model import registry

    report_change(registry.rollback(), state=state)


app.add_typer(model_app, name="model", rich_help_panel=MODEL)


@command(
    measure_app,
    "evaluate",
    "spamlstm evaluate mail/ --report report.html",
    "spamlstm evaluate --online --feedback mistakes --plot curve.svg mail/",
    panel=MEASURE,
)
def evaluate_command(
    corpora: Annotated[
        list[Path], typer.Argument(metavar="CORPUS...", help="Corpus archives, or folders with ham/ and spam/.")
    ],
    *,
    model: options.ModelOption = None,
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
    from spamlstm.cli.evaluate import evaluate_corpora
    from spamlstm.errors import UserError

    if online and report is not None:
        raise UserError("--report does not go with --online; use --json or --plot")
    if not online and (plot is not None or feedback is not None):
        raise UserError("--feedback and --plot need --online")
    task = (feedback or "immediate") if online else None
    evaluate_corpora(corpora, model=model, json=json, html=report, feedback=task, plot=plot)


measure_app.add_typer(jig_app, name="trec-jig", rich_help_panel=MEASURE)
