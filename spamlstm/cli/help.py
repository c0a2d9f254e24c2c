"""The form of --help, and the options that every command has.

Help is plain text: rich help takes 60 ms to load.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from spamlstm.cli import terminal

FILTER, LEARN, MODEL, MEASURE = "Filter mail", "Learn", "Model", "Measure"
"""The panels of `spamlstm --help`, in their order."""

_Function = TypeVar("_Function", bound=Callable[..., None])


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
    return [
        TyperOption(
            param_decls=["-v", "--verbose"],
            is_flag=True,
            expose_value=False,
            callback=_set("verbose"),
            help="Report more: files in use, log events, tracebacks.",
        ),
        TyperOption(
            param_decls=["-q", "--quiet"],
            is_flag=True,
            expose_value=False,
            callback=_set("quiet"),
            help="Report errors only: no progress, no notes.",
        ),
        TyperOption(
            param_decls=["--color"],
            metavar="WHEN",
            expose_value=False,
            callback=_set("color"),
            help="Use colours: auto, always or never [default: auto]",
        ),
    ]


def _set(name: str) -> Any:
    def remember(_context: Any, _option: Any, value: Any) -> None:
        # A group and its command both have these options: the default of one must not override the value of the other.
        if value:
            setattr(terminal.settings, name, value)

    return remember


def _report_files(parameters: dict[str, Any]) -> None:
    from spamlstm.config.locations import find_config_file, state_dir

    if "config" in parameters:
        terminal.note(f"configuration: {find_config_file(parameters['config']) or 'none; the defaults apply'}")
    if "state" in parameters:
        terminal.note(f"state directory: {parameters['state'] or state_dir()}")
    if "model" in parameters:
        from spamlstm.model.registry import find_bundle

        terminal.note(f"model directory: {find_bundle(parameters['model'])}")
