"""The commands, options and arguments of spamlstm as plain values, for the generated manual pages and completions."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer

from spamlstm.cli.app import app

PROGRAM = "spamlstm"
COMMON = ("--verbose", "--quiet", "--color", "--help")
"""The options that every command has. Their descriptions are in the page of the program only."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """An option or an argument of a command. `metavar` is empty for an option without a value."""

    names: tuple[str, ...]
    metavar: str
    help: str
    required: bool
    repeated: bool

    @property
    def is_option(self) -> bool:
        """Return whether the parameter is an option."""
        return self.names[-1].startswith("-")

    @property
    def is_common(self) -> bool:
        """Return whether every command has the option."""
        return self.names[-1] in COMMON

    @property
    def choices(self) -> tuple[str, ...]:
        """Return the possible values of an argument such as `spam|ham`, or an empty tuple."""
        return tuple(self.metavar.split("|")) if "|" in self.metavar else ()


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A command, or a group of commands. `path` has the words of the command line after the name of the program.

    `summary` is the first paragraph of the help, and `description` has the other paragraphs. A group with
    `runs_alone` is a command too. `panel` is the title under which --help lists the command.
    """

    path: tuple[str, ...]
    summary: str
    description: tuple[str, ...]
    examples: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    commands: "tuple[CommandLine, ...]"
    runs_alone: bool
    panel: str

    @property
    def words(self) -> str:
        """Return the path as text, such as `config init`."""
        return " ".join(self.path)

    @property
    def page(self) -> str:
        """Return the name of the manual page, such as `spamlstm-config-init`."""
        return "-".join((PROGRAM, *self.path))

    @property
    def options(self) -> tuple[Parameter, ...]:
        """Return the options, with the common options at the end."""
        return tuple(one for one in self.parameters if one.is_option)

    @property
    def arguments(self) -> tuple[Parameter, ...]:
        """Return the arguments in their order."""
        return tuple(one for one in self.parameters if not one.is_option)

    def walk(self) -> "Iterator[CommandLine]":
        """Yield this command and all commands below it."""
        yield self
        for one in self.commands:
            yield from one.walk()


def read_command_line() -> CommandLine:
    """Return the whole command line of the program."""
    return _read(typer.main.get_command(app), None, ())


def _read(command: Any, parent: Any, path: tuple[str, ...]) -> CommandLine:
    with command.make_context(path[-1] if path else PROGRAM, [], parent=parent, resilient_parsing=True) as context:
        parameters = tuple(map(_parameter, command.get_params(context)))
        below = getattr(command, "commands", {})
        commands = tuple(_read(one, context, (*path, name)) for name, one in below.items())
    summary, *description = (" ".join(paragraph.split()) for paragraph in command.help.split("\n\n"))
    examples = (command.epilog or "").split("\n\n")[0].splitlines()[1:]
    panel = getattr(command, "rich_help_panel", None)
    return CommandLine(
        path=path,
        summary=summary,
        description=tuple(description),
        examples=tuple(line.strip() for line in examples),
        parameters=parameters,
        commands=commands,
        runs_alone=bool(getattr(command, "invoke_without_command", False)),
        panel=panel if isinstance(panel, str) else "",
    )


def _parameter(parameter: Any) -> Parameter:
    is_flag = bool(getattr(parameter, "is_flag", False))
    return Parameter(
        names=tuple(sorted(parameter.opts, key=len)),  # typer gives the names of --help in a random order
        metavar="" if is_flag else parameter.metavar.strip("[]").removesuffix("..."),
        help=parameter.help,
        required=bool(parameter.required),
        repeated=parameter.nargs == -1 or bool(getattr(parameter, "multiple", False)),
    )
