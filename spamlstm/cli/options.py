"""Declare commands: the form of --help, the options of all commands, and those that several commands share.

Help is plain text: rich help takes 60 ms to load.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from spamlstm.cli import terminal

FILTER, LEARN, MODEL, MEASURE = "Filter mail", "Learn", "Model", "Measure"
"""The panels of `spamlstm --help`, in their order."""

ModelOption = Annotated[
    Path | None,
    typer.Option("--model", metavar="DIR", help="Model directory [default: the model in use; see 'model list']"),
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
    Path | None, typer.Option("--state", metavar="DIR", help="State directory [default: ~/.local/state/spamlstm]")
]
MaildirOption = Annotated[
    Path | None,
    typer.Option("--maildir", metavar="DIR", help='Use the labels of this Maildir, if labels = "per-maildir".'),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only report what would be done.")]
MailArgument = Annotated[
    list[str], typer.Argument(metavar="PATHS...", help="Mail files, folders, Maildirs or mboxes; - is standard input.")
]

_Function = TypeVar("_Function", bound=Callable[..., int | None])


def commands(**settings: Any) -> typer.Typer:
    """Return an empty group of commands with help in plain text."""
    return typer.Typer(cls=Group, rich_markup_mode=None, **settings)


def command(app: typer.Typer, name: str, *lines: str, panel: str | None = None) -> Callable[[_Function], _Function]:
    """Return a decorator that adds a command to a group, with example command lines and a panel of --help."""
    return app.command(name, cls=Command, rich_help_panel=panel, epilog=examples(*lines))


def examples(*lines: str) -> str:
    """Return the end of a command's help: example command lines."""
    return "Examples:\n" + "\n".join(f"  {line}" for line in lines)


class _WithCommonOptions:
    """The options and the form of help that commands and groups share."""

    epilog: str | None

    def get_params(self, ctx: Any) -> list[Any]:
        """Add the options of all commands. They are created for the command that runs only: a start is faster."""
        # The next class has this method.
        *own, help_option = super().get_params(ctx)  # type: ignore[misc]
        return [*own, *_common_options(), help_option]

    def format_epilog(self, _ctx: Any, formatter: Any) -> None:
        """Write the examples as they are, without indentation."""
        if self.epilog:
            formatter.write_paragraph()
            formatter.write(f"{self.epilog}\n")


class Command(_WithCommonOptions, TyperCommand):
    """A command."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; with --verbose first report which files it uses."""
        terminal.settings.check()
        if terminal.settings.verbose:
            _report_files(ctx.params)
        return super().invoke(ctx)


class Group(_WithCommonOptions, TyperGroup):
    """A group of commands, listed in panels."""

    def invoke(self, ctx: Any) -> Any:
        """Run the group's own function and the command."""
        terminal.settings.check()
        return super().invoke(ctx)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a list of commands for each panel."""
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
        option("-v", "--verbose", is_flag=True, help="Report more: files in use, log events, tracebacks."),
        option("-q", "--quiet", is_flag=True, help="Report errors only: no progress, no notes."),
        option("--color", metavar="WHEN", help="Use colours: auto, always or never [default: auto]"),
    ]


def _remember(_context: Any, option: Any, value: Any) -> None:
    # A group and its command both have these options: the default of one must not override the value of the other.
    if value:
        setattr(terminal.settings, option.name, value)


def _report_files(parameters: dict[str, Any]) -> None:
    from spamlstm.config.locations import find_config_file, state_dir

    if "config" in parameters:
        terminal.note(f"configuration: {find_config_file(parameters['config']) or 'none; the defaults apply'}")
    if "state" in parameters:
        terminal.note(f"state directory: {parameters['state'] or state_dir()}")
    if "model" in parameters:
        from spamlstm.model.registry import find_bundle

        terminal.note(f"model directory: {find_bundle(parameters['model'])}")
