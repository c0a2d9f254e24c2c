"""Commands for models: list, show, use, rollback."""

from typing import Annotated

import typer

from spamlstm.cli.help import MODEL, command, commands
from spamlstm.cli.options import JsonOption, ModelOption, StateOption

app = commands()
model_app = commands(help="List, show or change the model in use.", no_args_is_help=True)


@command(model_app, "list", "spamlstm model list")
def model_list_command(*, json: JsonOption = False) -> None:
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
    model: ModelOption = None,
) -> None:
    """Print the facts and the card of a model."""
    from spamlstm.cli.model import show_model

    show_model(name, model)


@command(model_app, "use", "spamlstm model use default")
def model_use_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An installed model, or 'default'.")],
    *,
    state: StateOption = None,
) -> None:
    """Check an installed model and use it from now on.

    A running daemon loads the new model by itself.
    """
    from spamlstm.cli.model import use_model

    use_model(name, state=state)


@command(model_app, "rollback", "spamlstm model rollback")
def model_rollback_command(state: StateOption = None) -> None:
    """Return to the model that was in use before.

    A second rollback returns to the model of now.
    """
    from spamlstm.cli.model import roll_back

    roll_back(state=state)


app.add_typer(model_app, name="model", rich_help_panel=MODEL)
