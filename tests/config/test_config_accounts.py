"""The `[[imap]]` sections of a configuration."""

import pytest

from spamlstm.config import Action, AuthMethod, Config, ImapConfig, TlsMode
from spamlstm.config.reading import read_config
from spamlstm.config.writing import to_toml

LOGIN = 'host = "imap.example.org"\nuser = "ann@example.org"\n'
PLAIN = LOGIN + 'password_command = ["pass", "show", "mail"]\n'


def problems(text: str) -> dict[str, str]:
    return {one.key: one.sentence for one in read_config(text.encode())[1]}


def test_an_account_has_safe_defaults():
    """Without further settings, the connection is encrypted, and spam gets a keyword and is moved."""
    config, found = read_config(f"[[imap]]\n{PLAIN}".encode())
    assert found == []
    (account,) = config.accounts
    assert (account.tls, account.tcp_port, account.auth) == (TlsMode.TLS, 993, AuthMethod.PLAIN)
    assert (account.spam, account.unsure, account.ham) == ((Action.KEYWORD, Action.FILE), (), ())
    assert account.password_command == ("pass", "show", "mail")
    assert account.label == "imap.example.org"


def test_a_command_may_be_one_string():
    """A command is split into words as a shell does, and no shell runs it."""
    config, _ = read_config(f"[[imap]]\n{LOGIN}password_command = \"pass show 'my mail'\"\n".encode())
    assert config.accounts[0].password_command == ("pass", "show", "my mail")


def test_what_is_written_is_read_again():
    """`config show` writes accounts so that reading them gives the same configuration."""
    account = ImapConfig("h", "u", name="work", port=1143, auth=AuthMethod.XOAUTH2, token_command=("token", "a b"))
    config = Config(accounts=(account, ImapConfig("h2", "u", password_command=("p",), spam=())))
    assert read_config(to_toml(config).encode()) == (config, [])


@pytest.mark.parametrize(
    ("text", "seconds"), [("", None), ("check_seconds = 0.1\n", 0.1), ("check_seconds = 300\n", 300)]
)
def test_the_interval_of_questions_for_new_mail(text, seconds):
    """By default, no question is asked while the server tells of new mail. `config show` says so."""
    config, found = read_config(f"[[imap]]\n{PLAIN}{text}".encode())
    assert (found, config.accounts[0].check_seconds) == ([], seconds)
    assert read_config(to_toml(config).encode()) == (config, [])
    shown = (
        "# check_seconds: only if the server has no IDLE, each minute"
        if seconds is None
        else f"check_seconds = {seconds}"
    )
    assert shown in to_toml(config)


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        (f'[[imap]]\n{PLAIN}password = "x"\n', "imap[1].password", "use password_command"),
        (f"[[imap]]\n{LOGIN}", "imap[1]", "needs password_command"),
        (f'[[imap]]\n{PLAIN}auth = "xoauth2"\n', "imap[1]", "needs token_command"),
        (f'[[imap]]\n{PLAIN}token_command = "x"\n', "imap[1].token_command", "has no effect"),
        (f'[[imap]]\n{PLAIN}auth = "xoauth2"\ntoken_command = "x"\n', "imap[1].password_command", "has no effect"),
        (f'[[imap]]\n{PLAIN}folders = ["INBOX", "S"]\njunk = "S"\n', "imap[1].folders", "remove it from folders"),
        (f"[[imap]]\n{PLAIN}".replace(".org", ".org:993", 1), "imap[1].host", "setting of its own"),
        (f"[[imap]]\n{PLAIN}".replace("ann@", "ann\\u0000@", 1), "imap[1].user", "without control characters"),
        (f'[[imap]]\n{PLAIN}name = "my mail"\n', "imap[1].name", "without spaces"),
        (f"[[imap]]\n{PLAIN}".replace("imap.", "imaps://imap.", 1), "imap[1].host", "setting of its own"),
        (f'[[imap]]\n{PLAIN}auth = "cram"\n', "imap[1].auth", "must be one of"),
        (f'[[imap]]\n{PLAIN}tls = "none"\n', "imap[1].tls", "only for a server on localhost"),
        (f'[[imap]]\n{PLAIN}spam = ["tag", "file"]\n', "imap[1].spam", "use 'keyword'"),
        (f'[[imap]]\n{PLAIN}ham = ["file"]\n', "imap[1].ham", "would move ham"),
        (f"[[imap]]\n{PLAIN}folders = []\n", "imap[1].folders", "at least one folder"),
        (f"[[imap]]\n{PLAIN}port = 0\n", "imap[1].port", "from 1 to 65535"),
        (f"[[imap]]\n{LOGIN}password_command = []\n", "imap[1].password_command", "must be a command"),
        (f"[[imap]]\n{PLAIN}[[imap]]\n{PLAIN}", "imap[2]", "name ="),
        (f"[[imap]]\n{LOGIN}password_command = ['']\n", "imap[1].password_command", "must be a command"),
        (f"[[imap]]\n{PLAIN}[[imap]]\n{PLAIN}name = 'b'\n".replace("imap.", "IMAP.", 1), "imap[2]", "same account"),
        ('[[imap]]\nuser = "ann"\n', "imap[1]", "needs a host and a user"),
        ('[[imap]]\nhost = "h"\nusr = "ann"\n', "imap[1].usr", "did you mean 'user'?"),
        ('[[imap]]\nhost = "h"\nuser = ""\n', "imap[1].user", "1 to 255 characters"),
        (f"[imap]\n{PLAIN}", "imap", "[[imap]]"),
        *(
            (f"[[imap]]\n{PLAIN}check_seconds = {one}\n", "imap[1].check_seconds", "from 0.1 to 300 seconds")
            for one in ("0.09", "0", "-1", "301", "nan", "inf")
        ),
        (f'[[imap]]\n{PLAIN}check_seconds = "200ms"\n', "imap[1].check_seconds", "must be a number"),
        (f"[[imap]]\n{PLAIN}folder = 'INBOX'\n", "imap[1].folder", "did you mean 'folders'?"),
    ],
)
def test_a_mistake_is_named_with_its_key(text, key, words):
    """Each mistake in a section is one sentence that says what to write."""
    found = problems(text)
    assert words in found[key]
