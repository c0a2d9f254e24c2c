"""The commands that print passwords and tokens of IMAP accounts."""

import sys

import pytest

from spamlstm.daemon.imap.credentials import CredentialsError, secret_of


def python(code: str) -> tuple[str, ...]:
    return sys.executable, "-S", "-c", code


def test_the_first_line_is_the_password():
    """Further lines, such as those of pass, are ignored."""
    assert secret_of(python("print('geheim ß'); print('user: ann')"), setting="password_command") == "geheim ß"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("/does/not/exist",), "cannot be started (no such file"),
        (python("print('secret'); raise SystemExit(3)"), "failed with status 3"),
        (python(""), "printed no password"),
        (python("print('x' * 100000)"), "printed no password"),
        (python("import sys; sys.stdout.buffer.write(b'\\xff\\n')"), "printed no password"),
    ],
)
def test_a_command_that_fails_is_a_sentence_without_the_secret(command, words):
    """The error says what happened and never what was printed."""
    with pytest.raises(CredentialsError) as caught:
        secret_of(command, setting="password_command")
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_command_that_waits_is_ended():
    """A command that asks a person does not stop the account forever."""
    with pytest.raises(CredentialsError, match="did not end"):
        secret_of(python("import time; time.sleep(60)"), setting="password_command", seconds=0.2)
