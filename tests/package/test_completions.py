"""The completion scripts: they are those of the present command line, and the shells offer what it accepts."""

import completion_values
import completions
import pytest
from command_line import read_command_line
from shells import bash_offers, fish_offers, open_zsh

COMMANDS = list(read_command_line().walk())
SCRIPTS = {"bash": "spamlstm.bash", "zsh": "_spamlstm", "fish": "spamlstm.fish"}
FILES, FOLDERS = {"default", "mail", "folder"}, {"dirnames", "folder"}

# A command line, and what is offered for its last word.
CASES = [
    ("spamlstm cl", {"classify"}),
    ("spamlstm -v --color never stat", {"status"}),
    ("spamlstm --color ", {"auto", "always", "never"}),
    ("spamlstm classify --color n", {"never"}),
    ("spamlstm config ", {"init", "check", "show"}),
    ("spamlstm config init --path x --gr", {"--group"}),
    ("spamlstm config init --group ", set()),
    ("spamlstm label ", {"spam", "ham"}),
    ("spamlstm label spam ", FILES),
    ("spamlstm label --yes --model x spam ", FILES),
    ("spamlstm labels ex", {"export"}),
    ("spamlstm scan ", FOLDERS),
    ("spamlstm scan --config ", FILES),
    ("spamlstm run folder ", FOLDERS),
    ("spamlstm status --state ", FOLDERS),
    ("spamlstm trec-jig classify ", FILES),
    ("spamlstm evaluate --feedback er", {"errors:"}),
    ("spamlstm evaluate --json ", FILES),
    ("spamlstm evaluate --json x --on", {"--online"}),
    ("spamlstm adopt --json --un", {"--undo"}),
]


@pytest.fixture(scope="module", params=SCRIPTS)
def offers(request, tmp_path_factory):
    """Return a function from the words of a command line to what a real shell offers, in a folder with two entries."""
    script, folder = completions.FOLDER / SCRIPTS[request.param], tmp_path_factory.mktemp("shell")
    (folder / "folder").mkdir()
    (folder / "mail").touch()
    if request.param == "zsh":
        with open_zsh(script, folder) as zsh:
            yield zsh.offers
    else:
        ask = {"bash": bash_offers, "fish": fish_offers}[request.param]
        yield lambda *words: ask(script, *words, folder=folder)


def test_the_scripts_are_current():
    """The scripts in the repository are those of the present command line.

    If this fails, run `python packaging/completions.py`.
    """
    written = {path.name: path.read_text() for path in completions.FOLDER.iterdir()}
    assert written == completions.render_completions()


def test_the_fixed_values_are_those_of_the_help():
    """The help of an option names each value that is offered for it."""
    texts = {one.names[-1]: one.help for command in COMMANDS for one in command.options}
    for option, values in completion_values.CHOICES.items():
        assert [value for value in values if value not in texts[option]] == []


@pytest.mark.peers
def test_every_command_and_option_is_offered(offers):
    """After each command, the shell offers its commands and exactly its options."""
    for command in COMMANDS:
        words = ("spamlstm", *command.path)
        assert offers(*words, "-") == {name for option in command.options for name in option.names}, words
        if command.commands:
            assert offers(*words, "") == {one.path[-1] for one in command.commands}, words


@pytest.mark.peers
def test_values_and_arguments(offers):
    """The shell offers fixed values, files or folders where they belong, and nothing where anything may stand."""
    for line, expected in CASES:
        found = {one.rstrip("/") for one in offers(*line.split(" "))} - {"found", "start", "functions"}
        # bash finds files and folders itself, so its own words stand for them here.
        assert found in (expected, expected - {"mail", "folder"}, expected - {"default", "dirnames"}), line


@pytest.mark.peers
def test_an_option_with_an_equals_sign_in_bash(tmp_path):
    """Bash divides --option=value into three words, and its value is completed like that of --option value."""
    script = completions.FOLDER / SCRIPTS["bash"]
    for words, expected in (
        (("--color", "=", "al"), {"always"}),
        (("--color", "="), {"auto", "always", "never"}),
        (("--color", "=", "never", "stat"), {"status"}),
        (("classify", "--model", "="), {"dirnames"}),
    ):
        assert bash_offers(script, "spamlstm", *words, folder=tmp_path) == expected


@pytest.mark.peers
def test_bash_with_hostile_words(tmp_path):
    """No word of the command line is run or expanded, and settings of the shell do not matter."""
    settings = "IFS=:; set -fu\n"
    script = tmp_path / "script"
    script.write_text(settings + (completions.FOLDER / SCRIPTS["bash"]).read_text())
    for word in ("$(touch made)", "`touch made`", "*", "-*", "a;touch made", "x'"):
        offered = bash_offers(script, "spamlstm", word, "", folder=tmp_path)
        assert offered == ({one.path[0] for one in COMMANDS[0].commands} if word.startswith("-") else set())
        assert bash_offers(script, "spamlstm", word, folder=tmp_path) == set()
        assert bash_offers(script, "spamlstm", "--state", word, "stat", folder=tmp_path) == {"status"}
    assert not (tmp_path / "made").exists()
