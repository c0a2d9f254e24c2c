"""The completion script for bash."""

from collections.abc import Callable, Iterator

from command_line import CommandLine, Parameter
from completion_values import COMMENT, FILES, FOLDERS, OTHER, fill_in, fixed_values, kind_of, options_with

_BASH = r"""
# bash completion of spamlstm.

# Print the command and the number of its arguments before the cursor, such as `config init:0`.
_spamlstm_command() {
    local word command= takes_value= arguments=0
    for word; do
        if [[ $takes_value ]]; then
            [[ $word == = ]] || takes_value=
            continue
        fi
        case "$command:$word" in
@COMMANDS@
            @VALUES@) takes_value=1 ;;
            *:-*) ;;
            *) arguments=$((arguments + 1)) ;;
        esac
    done
    printf '%s:%s' "$command" "$arguments"
}

_spamlstm() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command arguments words= is_value=
    local IFS=$' \t\n' # the shell divides words by it
    # The shell divides --option=value into three words.
    [[ $previous == = ]] && previous=${COMP_WORDS[COMP_CWORD - 2]}
    [[ $current == = ]] && current=
    command=$(_spamlstm_command "${COMP_WORDS[@]:1:COMP_CWORD-1}")
    arguments=${command##*:} command=${command%:*}
    COMPREPLY=()
    case "$command:$previous" in
@OPTION_VALUES@
    esac
    if [[ $is_value ]]; then
        :
    elif [[ $current == -* ]]; then
        case $command in
@OPTIONS@
        esac
    else
        case "$command:$arguments" in
@ARGUMENTS@
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _spamlstm spamlstm
"""


def render_bash(program: CommandLine) -> str:
    """Return the script for bash."""
    commands = [one for one in program.walk() if one.path]
    below = "\n".join(
        f'            "{" ".join(one.path[:-1])}:{one.path[-1]}") command="{one.words}" arguments=0 ;;'
        for one in commands
    )
    return fill_in(
        f"{COMMENT}{_BASH}",
        COMMANDS=below,
        VALUES=_bash_pattern(program, lambda option: option.metavar),
        OPTION_VALUES="\n".join(_bash_option_values(program)),
        OPTIONS="\n".join(_bash_options(one) for one in program.walk()),
        ARGUMENTS="\n".join(line for one in program.walk() for line in _bash_arguments(one)),
    )


def _bash_pattern(program: CommandLine, test: Callable[[Parameter], object]) -> str:
    patterns = options_with(program, test)
    return " | ".join(f"*:{name}" if words == "*" else f'"{words}:{name}"' for words, name in patterns)


def _bash_action(parameter: Parameter) -> str:
    """Return the command that completes the value of a parameter."""
    if values := fixed_values(parameter):
        return f'words="{" ".join(values)}"'
    return {FOLDERS: "compopt -o dirnames", FILES: "compopt -o default", OTHER: "words="}[kind_of(parameter)]


def _bash_option_values(program: CommandLine) -> Iterator[str]:
    options = [option for command in program.walk() for option in command.options if option.metavar]
    for action in dict.fromkeys(map(_bash_action, options)):

        def has_action(option: Parameter, action: str = action) -> bool:
            return bool(option.metavar) and _bash_action(option) == action

        yield f"        {_bash_pattern(program, has_action)})"
        yield f"            {action}"
        yield "            is_value=1 ;;"


def _bash_options(command: CommandLine) -> str:
    names = " ".join(name for option in command.options for name in option.names)
    return f'            "{command.words}") words="{names}" ;;'


def _bash_arguments(command: CommandLine) -> Iterator[str]:
    if command.commands:
        yield f'            "{command.words}:0") words="{" ".join(one.path[-1] for one in command.commands)}" ;;'
    for position, argument in enumerate(command.arguments):
        place = "*" if argument.repeated else str(position)
        yield f'            "{command.words}:"{place}) {_bash_action(argument)} ;;'
