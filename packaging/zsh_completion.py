"""The completion script for zsh."""

import re
from collections.abc import Iterator

from command_line import CommandLine, Parameter
from completion_values import (
    COMMENT,
    FILES,
    FOLDERS,
    OTHER,
    first_sentence,
    fixed_values,
    kind_of,
)


def render_zsh(program: CommandLine) -> str:
    """Return the script for zsh."""
    functions = "\n".join("\n".join(_zsh_function(one)) for one in reversed(list(program.walk())))
    end = 'if [[ $funcstack[1] == _spamlstm ]]; then\n    _spamlstm "$@"\nelse\n    compdef _spamlstm spamlstm\nfi\n'
    return f"#compdef spamlstm\n{COMMENT}\n\n{functions}\n{end}"


def _zsh_function(command: CommandLine) -> Iterator[str]:
    yield f"_{command.page.replace('-', '_')}() {{"
    options = [f"        {_zsh_option(one)}" for one in command.options]
    if not command.commands:
        arguments = [f"        {_zsh_argument(place, one)}" for place, one in enumerate(command.arguments, start=1)]
        yield "    _arguments -s -S : \\"
        yield " \\\n".join((*options, *arguments))
        yield "}\n"
        return
    yield '    local curcontext="$curcontext" state line ret=1'
    yield "    local -a commands=("
    yield from (
        f"        {_single_quoted(f'{one.path[-1]}:{first_sentence(one.summary)}')}" for one in command.commands
    )
    yield "    )"
    yield "    _arguments -C -s -S : \\"
    yield " \\\n".join((*options, "        '1: :->command'", "        '*:: :->arguments' && ret=0"))
    yield "    case $state in"
    yield "        command) _describe command commands && ret=0 ;;"
    yield "        arguments)"
    yield '            curcontext="${curcontext%:*}-$line[1]:"'
    yield "            case $line[1] in"
    for one in command.commands:
        yield f"                {one.path[-1]}) _{one.page.replace('-', '_')} && ret=0 ;;"
    yield "            esac ;;"
    yield "    esac"
    yield "    return ret"
    yield "}\n"


def _zsh_option(option: Parameter) -> str:
    description = re.sub(r"([\\\[\]])", r"\\\1", first_sentence(option.help))
    value = f":{option.metavar}:{_zsh_action(option)}" if option.metavar else ""
    equals = "=" if option.metavar else ""
    repeated = "*" if option.repeated else ""
    if len(option.names) == 1:
        return _single_quoted(f"{repeated}{option.names[0]}{equals}[{description}]{value}")
    names = " ".join(option.names)
    return f"'({names})'{{{','.join(option.names)}}}{_single_quoted(f'{equals}[{description}]{value}')}"


def _zsh_argument(place: int, argument: Parameter) -> str:
    position = "*" if argument.repeated else str(place)
    name = "label" if argument.choices else argument.metavar
    return _single_quoted(f"{position}:{name}:{_zsh_action(argument)}")


def _zsh_action(parameter: Parameter) -> str:
    if values := fixed_values(parameter):
        return "(" + " ".join(value.replace(":", r"\:") for value in values) + ")"
    return {FOLDERS: "_directories", FILES: "_files", OTHER: " "}[kind_of(parameter)]


def _single_quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
