"""The command line: the groups of commands and the options before a command.

The commands are defined in `filter_commands`, `learn_commands` and `model_commands`, grouped like the panels of --help.
Each command imports the module that implements it only when the command runs.
"""

from typing import Annotated

import typer

from spamlstm import __version__
from spamlstm.cli import filter_commands, learn_commands, model_commands
from spamlstm.cli.options import commands, examples
from spamlstm.errors import ExitStatus

# Typer does not export the base class of its usage errors, and the module of that class changes between versions.
ClickError: type[typer.BadParameter] = typer.BadParameter.__mro__[2]

# The exception that typer raises for Ctrl-C.
Abort = typer.Abort

app = commands(
    name="spamlstm",
    help="A spam filter for people who run their own mail.",
    epilog=examples(
        "spamlstm classify message.eml       classify one message",
        "spamlstm run --dry-run ~/Maildir    watch a Maildir without changing mail",
        "spamlstm adopt ~/Maildir            learn from your existing mail",
    )
    + "\n\nExit status:\n"
    + "\n".join(f"  {status.value:>3}  {status.meaning}" for status in ExitStatus)
    + "\n\nManual pages, shell completion and units for systemd are in share/, next to bin/\n"
    "of the installation. See spamlstm(7), or the section Install of the guide.",
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
