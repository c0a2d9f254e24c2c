"""The commands that manage and measure models: model, evaluate, trec-jig."""

from pathlib import Path
from typing import Annotated

import typer

from spamlstm.cli import options
from spamlstm.cli.options import MEASURE, MODEL, command, commands
from spamlstm.cli.trec_jig import jig_app

app = commands()
measure_app = commands()
model_app = commands(help="List the models, show a model, or change the model in use.", no_args_is_help=True)


@command(model_app, "list", "spamlstm model list")
def model_list_command(*, json: options.JsonOption = False) -> None:
    """List the installed models.

    The model in use is marked with '*', the previous model with '-'. 'default' is the model that is shipped with
    spamlstm. Other models are in ~/.local/share/spamlstm/models.
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
    """Print the properties and the model card of a model.

    Give either NAME or --model, or neither for the model in use.
    """
    from spamlstm.cli.model import show_model

    show_model(name, model)


@command(model_app, "use", "spamlstm model use default")
def model_use_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An installed model, or 'default'.")],
    *,
    state: options.StateOption = None,
) -> None:
    """Check an installed model and put it in use.

    A running daemon loads the new model automatically.
    """
    from spamlstm.cli.model import change_model
    from spamlstm.model import registry

    change_model(lambda: registry.use(name), state=state)


@command(model_app, "rollback", "spamlstm model rollback")
def model_rollback_command(state: options.StateOption = None) -> None:
    """Return to the previous model.

    A second rollback undoes the first.
    """
    from spamlstm.cli.model import change_model
    from spamlstm.model import registry

    change_model(registry.rollback, state=state)


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
        list[Path],
        typer.Argument(metavar="CORPUS...", help="Corpus archives, or folders with the subfolders ham/ and spam/."),
    ],
    *,
    model: options.ModelOption = None,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the results as JSON to FILE.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write an HTML report to FILE.")
    ] = None,
    online: Annotated[
        bool, typer.Option("--online", help="Learn while classifying, as in the TREC spam track.")
    ] = False,
    feedback: Annotated[
        str | None,
        typer.Option(
            "--feedback",
            metavar="WHICH",
            help="With --online, the labels that are learned [default: immediate]\n\n\b\n"
            "immediate  every label, after its message is classified\n"
            "first:N    the first N labels\n"
            "each:N     the first N ham and the first N spam labels\n"
            "delayed:N  every label, N messages later\n"
            "active:N   the first N labels of mail with uncertain scores\n"
            "mistakes   the labels of ham classified as spam, and of spam\n"
            "           classified as ham or unsure\n"
            "errors:N   like mistakes, and also ham classified as unsure;\n"
            "           the first N such labels\n"
            "each-then-mistakes:N  like each:N, then like mistakes",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="With --online, write the learning curve to FILE as SVG."),
    ] = None,
) -> None:
    """Classify labelled mail and print the error rates.

    If standard output is not a terminal, each line has a source of the corpus, the name of a figure, its value, and the
    ends of its 95 % interval, separated by tabs.
    """
    from spamlstm.cli.evaluate import evaluate_corpora
    from spamlstm.errors import UserError

    if online and report is not None:
        raise UserError("--report cannot be combined with --online; use --json or --plot")
    if not online and (plot is not None or feedback is not None):
        raise UserError("--feedback and --plot require --online")
    task = (feedback or "immediate") if online else None
    evaluate_corpora(corpora, model=model, json=json, html=report, feedback=task, plot=plot)


measure_app.add_typer(jig_app, name="trec-jig", rich_help_panel=MEASURE)
