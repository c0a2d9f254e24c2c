"""Shared parts of the command declarations, such as the format of --help and the options of several commands.

The help is plain text because the formatted help of rich takes 60 ms to load.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from spamlstm.cli import terminal
from spamlstm.errors import UserError

FILTER, LEARN, MODEL, MEASURE = "Filter mail", "Learn", "Model", "Measure"
"""The panels (titled groups of commands) of `spamlstm --help`, in their order."""

ModelOption = Annotated[
    Path | None,
    typer.Option("--model", metavar="DIR", help="Model folder [default: the model in use, see 'model list']"),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Configuration file [default: ~/.config/spamlstm/config.toml, else /etc/spamlstm/config.toml]",
    ),
]
StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="DIR",
        help="State folder (labels, journal, status socket) [default: ~/.local/state/spamlstm]",
    ),
]
MaildirOption = Annotated[
    Path | None,
    typer.Option(
        "--maildir",
        metavar="DIR",
        help='Use the labels of this Maildir or IMAP account (only with labels = "per-maildir" in the configuration)',
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, one object per line.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Report what would be done, but change nothing.")]
MailArgument = Annotated[
    list[str],
    typer.Argument(metavar="PATHS...", help="Mail files, folders, Maildirs or mboxes, or - for standard input."),
]

# The class of errors about the command line, which typer does not export.
_UsageError: type[typer.BadParameter] = typer.BadParameter.__mro__[1]

_Function = TypeVar("_Function", bound=Callable[..., int | None])


def commands(**settings: Any) -> typer.Typer:
    """Return an empty group of commands with plain-text help."""
    return typer.Typer(cls=Group, rich_markup_mode=None, **settings)


def command(
    app: typer.Typer, name: str, *lines: str, panel: str | None = None, stray: str = ""
) -> Callable[[_Function], _Function]:
    """Return a decorator that adds a command to a group.

    `lines` are the examples, `panel` the panel in --help, and `stray` the sentence that answers an unexpected argument.
    """
    kind = type(Command.__name__, (Command,), {"stray": stray})
    settings = {"allow_extra_args": bool(stray)}
    return app.command(name, cls=kind, rich_help_panel=panel, epilog=examples(*lines), context_settings=settings)


def examples(*lines: str) -> str:
    """Return the example command lines as the last section of a command's help."""
    return "Examples:\n" + "\n".join(f"  {line}" for line in lines)


class _WithCommonOptions:
    """Base class for commands and groups: the common options and the format of the help."""

    epilog: str | None

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the command's own options and the common options.

        The common options are created only for the command that runs, which makes the start faster.
        """
        # The next class in the method resolution order has this method.
        *own, help_option = super().get_params(ctx)  # type: ignore[misc]
        for one in own:
            # An unreadable file is reported by the code that reads it, which knows the remedy and the exit status.
            if hasattr(one.type, "readable"):
                one.type.readable = False
        return [*own, *_common_options(), help_option]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments. An error about them names the help of this command."""
        try:
            parsed: list[str] = super().parse_args(ctx, args)  # type: ignore[misc]
        except _UsageError as error:
            error.ctx = error.ctx or ctx
            raise
        return parsed

    def check_values(self, ctx: Any) -> None:
        """Raise UserError for an empty value, such as the content of a variable that is not set.

        `Path("")` is the current folder, which nobody means by an empty value. An empty value that is the default of an
        option, such as the name of no user, is accepted.
        """
        for one in super().get_params(ctx):  # type: ignore[misc]
            value = ctx.params.get(one.name)
            if value != one.default and "" in (value if isinstance(value, list | tuple) else (value,)):
                name = one.opts[0] if one.param_type_name == "option" else (one.metavar or one.name).strip("[.]")
                raise UserError(
                    f"the value of {name} is empty; write one, or check the variable that should contain it"
                )

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line. Typer puts required arguments in braces, which no other program does."""
        pieces: list[str] = super().collect_usage_pieces(ctx)  # type: ignore[misc]
        return [piece[1:-1] if piece.startswith("{") else piece for piece in pieces]

    def format_epilog(self, _ctx: Any, formatter: Any) -> None:
        """Write the examples unchanged and without indentation."""
        if self.epilog:
            formatter.write_paragraph()
            formatter.write(f"{self.epilog}\n")


class Command(_WithCommonOptions, TyperCommand):
    """A command with the common options."""

    stray = ""
    """The sentence that answers an unexpected argument, for a command that reads its input in another way."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command. With --verbose, first report the files in use."""
        if ctx.args:
            raise UserError(self.stray)
        self.check_values(ctx)
        terminal.settings.check()
        if terminal.settings.verbose:
            _report_files(ctx.params)
        # The daemon logs it, and mail servers may take a line of `filter` on standard error for a failure.
        if "model" in ctx.params and self.name not in ("run", "filter"):
            _report_lost_selection(ctx.params["model"])
        return super().invoke(ctx)


class Group(_WithCommonOptions, TyperGroup):
    """A group of commands whose help lists its commands in panels."""

    def invoke(self, ctx: Any) -> Any:
        """Check the options, then run the group's own function and the command."""
        self.check_values(ctx)
        terminal.settings.check()
        return super().invoke(ctx)

    def _main_shell_completion(self, *_: Any) -> None:
        # Shells have static scripts (packaging/completions). Without this, a variable of the environment would end the
        # program with "Shell bash not supported".
        pass

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands, panel by panel."""
        commands = [(name, self.commands[name]) for name in self.list_commands(ctx)]
        width = formatter.width - 6 - max(len(name) for name, _ in commands)
        panels: dict[str, list[tuple[str, str]]] = {}
        for name, command in commands:
            panel = getattr(command, "rich_help_panel", None)
            title = panel if isinstance(panel, str) else "Commands"
            panels.setdefault(title, []).append((name, command.get_short_help_str(width)))
        for title, rows in panels.items():
            with formatter.section(title):
                formatter.write_dl(rows)


def _common_options() -> list[TyperOption]:
    def option(*names: str, **settings: Any) -> TyperOption:
        return TyperOption(param_decls=list(names), expose_value=False, callback=_remember, **settings)

    return [
        option("-v", "--verbose", is_flag=True, help="Also report files in use, logged events and tracebacks."),
        option("-q", "--quiet", is_flag=True, help="Print only errors and requested results, not what was done."),
        option("--color", metavar="WHEN", help="Use colours: auto, always or never [default: auto]"),
    ]


def _remember(_context: Any, option: Any, value: Any) -> None:
    # The group and the command both have the common options. An option that is not given must not reset the value that
    # was given on the other level.
    if value not in (None, False):
        setattr(terminal.settings, option.name, value)


def _report_lost_selection(path: Any) -> None:
    from spamlstm.model.registry import lost_selection

    if why := lost_selection(path):
        terminal.report(why)


def _report_files(parameters: dict[str, Any]) -> None:
    from spamlstm.config.locations import find_config_file, state_dir

    if "config" in parameters:
        terminal.note(f"configuration: {find_config_file(parameters['config']) or 'none (the defaults are used)'}")
    if "state" in parameters:
        terminal.note(f"state folder: {parameters['state'] or state_dir()}")
    if "model" in parameters:
        from spamlstm.model.registry import find_bundle

        terminal.note(f"model folder: {find_bundle(parameters['model'])}")
