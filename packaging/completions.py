"""Write the completion of commands, options and values for bash, zsh and fish into packaging/completions.

    python packaging/completions.py

The scripts are made from the command line. They do not start spamlstm, so that a completion takes no time.
"""

from pathlib import Path

from bash_completion import render_bash
from command_line import read_command_line
from fish_completion import render_fish
from zsh_completion import render_zsh

FOLDER = Path(__file__).parent / "completions"


def render_completions() -> dict[str, str]:
    """Return the scripts by file name."""
    program = read_command_line()
    return {
        "spamlstm.bash": render_bash(program),
        "_spamlstm": render_zsh(program),
        "spamlstm.fish": render_fish(program),
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file_name, script in render_completions().items():
        (FOLDER / file_name).write_text(script)
        print(FOLDER / file_name)
