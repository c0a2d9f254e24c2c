"""The completion script for fish."""

from collections.abc import Iterator

from command_line import CommandLine, Parameter
from completion_values import (
    COMMENT,
    FILES,
    FOLDERS,
    fill_in,
    first_sentence,
    fixed_values,
    kind_of,
    options_with,
)

_FISH = r"""
# fish completion of spamlstm.

# Print the command before the cursor, such as `config init`, and each of its arguments in a further line.
function __spamlstm_words
    set -l command
    set -l arguments
    set -l takes_value
    for word in (commandline -opc)[2..]
        if test -n "$takes_value"
            set takes_value
            continue
        end
        switch "$command:$word"
@COMMANDS@
            case @VALUES@
                set takes_value 1
            case '*:-*'
            case '*'
                set -a arguments "$word"
        end
    end
    printf '%s\n' "$command" $arguments
end

# Return whether the command before the cursor is the first argument, and has as many arguments as the second one says.
function __spamlstm_at
    set -l words (__spamlstm_words)
    test "$words[1]" = "$argv[1]"; and begin
        not set -q argv[2]; or test (count $words) -eq (math $argv[2] + 1)
    end
end

complete -c spamlstm -f
"""


def render_fish(program: CommandLine) -> str:
    """Return the script for fish."""
    commands = [one for one in program.walk() if one.path]
    below = "\n".join(
        f"            case '{' '.join(one.path[:-1])}:{one.path[-1]}'\n"
        f"                set command '{one.words}'\n"
        "                set arguments"
        for one in commands
    )
    takes_value = " ".join(f"'{words}:{name}'" for words, name in options_with(program, lambda option: option.metavar))
    text = fill_in(f"{COMMENT}{_FISH}", COMMANDS=below, VALUES=takes_value)
    return text + "".join(f"complete -c spamlstm {line}\n" for one in program.walk() for line in _fish_lines(one))


def _fish_lines(command: CommandLine) -> Iterator[str]:
    for one in command.commands:
        where = _fish_condition(command, 0)
        yield f"{where} -a {one.path[-1]} -d {_fish_quoted(first_sentence(one.summary))}"
    for option in command.options:
        names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
        value = f" {_fish_value(option, option=True)}" if option.metavar else ""
        yield f"{_fish_condition(command)} {names}{value} -d {_fish_quoted(first_sentence(option.help))}"
    for position, argument in enumerate(command.arguments):
        value = _fish_value(argument, option=False)
        if value:
            yield f"{_fish_condition(command, None if argument.repeated and not position else position)} {value}"


def _fish_condition(command: CommandLine, position: int | None = None) -> str:
    at = f'__spamlstm_at "{command.words}"' + ("" if position is None else f" {position}")
    return f"-n '{at}'"


def _fish_value(parameter: Parameter, *, option: bool) -> str:
    required = "-x " if option else ""
    if values := fixed_values(parameter):
        return f"{required}-a '{' '.join(values)}'"
    if kind_of(parameter) == FOLDERS:
        return f"{required}-a '(__fish_complete_directories)'"
    if kind_of(parameter) == FILES:
        return "-r -F" if option else "-F"
    return required.strip()


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
