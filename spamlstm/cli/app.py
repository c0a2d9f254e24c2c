"""The command line: the groups of commands, and the options before a command.

The commands are in `filter_commands`, `learn_commands` and `model_commands`, by the panels of --help. Each imports the
module that does its work when it runs.
"""

from typing import Annotated

import typer

from spamlstm import __version__
from spamlstm.cli import filter_commands, learn_commands, model_commands
from spamlstm.cli.options import commands, examples
from spamlstm.errors import ExitStatus

# Typer exports no base class of its usage errors, and its module changes between versions.
ClickError: type[typer.BadParameter] = typer.BadParameter.__mro__[2]

# Typer raises this at Ctrl-C.
Abort = typer.Abort

app = commands(
    name="spamlstm",
    help="A spam filter for people who run their own mail.",
    epilog=examples(
        "spamlstm classify message.eml       judge one message",
        "spamlstm run --dry-run ~/Maildir    watch a Maildir and only report",
        "spamlstm adopt ~/Maildir            learn from the mail that you have",
    )
    + "\n\nExit status:\n"
    + "\n".join(f"  {status.value:>3}  {status.meaning}" for status in ExitStatus),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for panel in (filter_commands.app, learn_commands.app, model_commands.app, model_commands.measure_app):
    app.add_typer(panel)


def _version(wanted: bool) -> None:  # noqa: FBT001  typer calls it so
    if wanted:
        typer.echo(f"spamlstm {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("-V", "--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass
