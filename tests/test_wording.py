"""Numbers and paths in sentences for users."""

from pathlib import Path

import pytest

from spamlstm.wording import counted, in_shell, is_or_are


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 labels are"), (1, "1 label is"), (2, "2 labels are"), (2000, "2,000 labels are")]
)
def test_a_number_and_its_noun(number, words):
    """One thing is singular, everything else plural."""
    assert f"{counted(number, 'label')} {is_or_are(number)}" == words


def test_a_path_in_a_command():
    """A copied command means the path, whatever characters are in it; usual paths are shown as they are."""
    assert in_shell(Path("/var/lib/x-1")) == "/var/lib/x-1"
    assert in_shell("/home/ann/a b;$(id)") == "'/home/ann/a b;$(id)'"
