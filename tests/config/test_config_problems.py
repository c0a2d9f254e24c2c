"""The problems of a configuration: all are reported together, each with its key."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.config import load_config, reading, values
from spamlstm.config.reading import ProblemsError, read_config
from spamlstm.errors import ConfigError

ALL_WRONG = """\
[policy]
alow = []
deny = [
  "@bad.org",
  "bad@*.org",  # no entry
]
thresholds = { ham = 0.9, spam = "x" }

[milter]
port = 783

[[maildir]]
path = "/var/vmail/*/Maildir"
spam = ["tag", "none"]
unsure = ["tagg"]
ham = ["file"]

[[maildir]]
junk = "../Junk"
dry_run = "yes"

[[maildir]]
path = "/var/vmail/ann/Maildir"

[deamon]
scan_seconds = 1
"""


def written(tmp_path, text):
    path = tmp_path / "config.toml"
    path.write_text(text)
    return path


def problems(text):
    return [str(problem) for problem in read_config(text.encode())[1]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[policy]\nalow = []", "policy.alow: is not a setting; did you mean 'allow'?"),
        ("dry_run = true", "dry_run: is not a setting here; it belongs below [[maildir]] or [[imap]] or [daemon]"),
        ("[[maildir]]\npath = '/m'\nallow = []", "maildir[1].allow: is not a setting here; it belongs below [policy]"),
        ("[polic]", "did you mean 'policy'"),
        ("policy = 1", "must be a table"),
        ("[policy]\nallow = 'x'", "list of strings"),
        ("[policy]\nallow = ['a@b@c']", "more than one @"),
        ("[policy]\nallow = ['Ann <ann@x.org>']", "write only the address, 'ann@x.org'"),
        ("[policy]\nthresholds = { ham = 0.9, spam = 0.1 }", "0 <= ham <= spam <= 1"),
        ("[policy]\nthresholds = { ham = 0.9 }", "policy.thresholds.spam"),
        ("[policy]\nthresholds = 3", "must be a table"),
        (f"[policy]\nthresholds = {{ ham = 1{'0' * 400}, spam = 1 }}", "too large"),
        ("[policy]\ncosts = { false_positive = nan, false_negative = 1, unsure = 1 }", "finite"),
        ("[policy", "not valid TOML"),
        ("[policy]\nallow = []\n[policy]", "there are two tables [policy]; write all settings of the table below one"),
        ("[policy]\nallow = []\nallow = []", "this name occurs twice; remove one"),
        (
            "[[maildir]]\npath = '/a'\n[maildir]\npath = '/b'",
            "two tables [maildir]; write [[maildir]] in double brackets",
        ),
        (
            "[imap]\nhost = 'a'\n[[imap]]\nhost = 'b'",
            ":3: this is not valid TOML: this name occurs twice; write [[imap]] in",
        ),
        ('["it\'s"]\n["it\'s"]', "two tables [it's]"),
        ("[[maildir]]\npath = ~/Maildir", "Invalid value; a text needs quotes"),
        ("[learning]\nlabels = 'user'", '"shared", "per-maildir"'),
        ("[learning]\nlearn_from_moves = 'yes'", "true or false"),
        ("[learning]\nmax_false_positive_rate = 1", "a share from 0 to 0.1"),
        ("[learning]\nmax_false_positive_rate = nan", "a share from 0 to 0.1"),
        ("[learning]\nignore_folders = 'Trash'", "a list of names"),
        ("[learning]\nignore_folders = ['a//b']", "name of a folder"),
        ("[learning]\nmoves = true", "learning.moves: 'moves' is now called 'learn_from_moves'"),
        ("[learning]\nlayer = 'shared'", "learning.layer: 'layer' is now called 'labels'"),
        ("[learning]\nlayer = 'maildir'", 'is now called \'labels\', and its value "maildir" is now "per-maildir"'),
        ("[learning]\nlabels = 'maildir'", 'learning.labels: "maildir" is now called "per-maildir"'),
        ("[learning]\nham_filed = 0.001", "'ham_filed' is now called 'max_false_positive_rate'"),
        ("[learning]\nsilent = []", "'silent' is now called 'ignore_folders'"),
        ("[daemon]\nsilent = []", "daemon.silent: is not a setting"),
        ("[[milter]]", "milter: must be a table"),
        ("milter.reject_above = 4.9", "must be from 5 to 99; spam has 5 points or more"),
        ("milter.quarantine_above = nan", "must be from 5 to 99"),
        ("[milter]\nquarantine_above = 9", "milter.listen: is missing"),
        ("[http]\npassword_file = '/p'", "http.listen: is missing"),
        ("[spamd]\nallow_tell = true", "spamd.listen: is missing"),
        ("[filter]\nlisten = '127.0.0.1:3'", "filter.listen: must be a Unix socket"),
        ("[milter]\nquarantine_above = 9\nreject_above = 9", "milter.quarantine_above: must be below reject_above"),
        ("milter.allow_tell = true", "is not a setting"),
        ("spamd.listen = 'unix:/run/s'\nmilter.listen = 'unix:/run/x/../s'", "is also the address of [milter]"),
        (
            "spamd.listen = 'localhost:783'\nhttp.listen = '127.0.0.1:783'",
            "spamd.listen: is also the address of [http]",
        ),
        ("http.listen = '127.0.0.1:9469'\nmetrics.listen = '127.0.0.1:9469'", "is also the address of [http]"),
        (
            "[http]\nlisten = '[::]:783'\nallow_remote = true\n[spamd]\nlisten = '127.0.0.1:783'",
            "spamd.listen: is also the address of [http]",
        ),
        ("spamd.listen = 783", "a Unix socket or an IP address with a port"),
        ("spamd.listen = '/run/spamd.sock'", 'needs "unix:" before the path of a Unix socket: "unix:/run/spamd.sock"'),
        ("spamd.listen = 'unix:spamd.sock'", "a Unix socket or an IP address with a port"),
        ("spamd.listen = 'unix:/' + 200 * 'x'", "not valid TOML"),
        (f"spamd.listen = 'unix:/{200 * 'x'}'", "a Unix socket or an IP address with a port"),
        ("spamd.listen = 'mail.example.org:783'", "a Unix socket or an IP address with a port"),
        ("spamd.listen = '::1:783'", "a Unix socket or an IP address with a port"),
        ("spamd.listen = '[127.0.0.1]:783'", "a Unix socket or an IP address with a port"),
        ("spamd.listen = '[::1:783'", "a Unix socket or an IP address with a port"),
        ("spamd.listen = '[[::1]]:783'", "a Unix socket or an IP address with a port"),
        ("spamd.listen = '127.0.0.1]:783'", "a Unix socket or an IP address with a port"),
        ("spamd.listen = '[::ffff:0.0.0.0]:783'", "spamd.listen: is an address that other machines can reach"),
        ("spamd.listen = '0.0.0.0:783'", "spamd.listen: is an address that other machines can reach"),
        ("spamd.listen = '[::]:783'", "or permit it with allow_remote = true"),
        ("filter.listen = '192.0.2.1:783'\nfilter.allow_remote = false", "that other machines can reach"),
        ("spamd.group = 'a b'", "the name of a group"),
        ("spamd.allow_tell = 'yes'", "true or false"),
        ("http.password_file = 'password'", "the path of a file that begins with / or ~"),
        ("http.password = 'secret'", "http.password: is not a setting; did you mean 'password_file'?"),
        ("http.listen = '0.0.0.0:11333'", "http.listen: is an address that other machines can reach"),
        ("filter.allow_tell = true", "is not a setting"),
        ("[learning]\nuser_maildir = '/var/vmail/{name}'", "must contain {user}, or {local} and {domain}"),
        ("[learning]\nuser_maildir = '/var/vmail'", "must contain {user}, or {local} and {domain}"),
        ("[learning]\nuser_maildir = '{user}/Maildir'", "begins with / or ~"),
        ("metrics.listen = 1", "a loopback address with a port"),
        ("metrics.listen = '0.0.0.0:9469'", "a loopback address with a port"),
        ("metrics.listen = '127.0.0.1:0'", "a loopback address with a port"),
        ("metrics.textfile = 'spamlstm.prom'", "the path of a file"),
        ("metrics.textfile = '/x/spamlstm.txt'", "ends in .prom"),
        ("metrics.port = 1", "use one of: textfile, listen"),
        ("[maildir]\npath = '/m'", "[[maildir]] in double brackets"),
        ("[[maildir]]", "needs a path"),
        ("[[maildir]]\npath = 'Maildir'", "begins with / or ~"),
        ("[[maildir]]\npath = '/var/**/Maildir'", "one * for each level"),
        ("[[maildir]]\npath = '~no-such-user-here/Maildir'", "there is no user"),
        ("[[maildir]]\npath = '/m'\njunk = ''", "name of a folder"),
        ("[[maildir]]\npath = '/m'\njunk = '/Junk'", "name of a folder"),
        ("[[maildir]]\npath = '/m'\njunk = 'INBOX'", "cannot be the junk folder"),
        ("[[maildir]]\npath = '/m'\nspam = 'tag'", 'such as ["tag", "file"]'),
        ("[[maildir]]\npath = '/m'\nspam = ['fiel']", "did you mean 'file'?"),
        ("[[maildir]]\npath = '/m'\nspam = [1]", "a word in quotes"),
        ("[[maildir]]\npath = '/m'\nspam = ['tag', 'tag']", "twice"),
        ("[[maildir]]\npath = '/m'\nspam = ['tag', 'none']", "contradicts"),
        ("[[maildir]]\npath = '/m'\nham = ['file']", "would move ham"),
        (
            "[[maildir]]\npath = '/m'\n[[maildir]]\npath = '/x/../m/'",
            "maildir[2].path: '/x/../m/' is also the path of maildir[1]",
        ),
        (
            "[[maildir]]\npath = '/m/*'\n[[maildir]]\npath = '/m/ann'",
            "maildir[2].path: maildir[1] matches this path too",
        ),
        ("[daemon]\nscan_seconds = 29", "from 30 to 60"),
        ("[daemon]\nscan_seconds = nan", "from 30 to 60"),
        ("[daemon]\nscan_seconds = true", "must be a number"),
        ("[daemon]\ncatch_up = 'nothing'", '"new", "unseen", "all"'),
        ("[daemon]\ndry_run = 1", "true or false"),
        ("a = " + "[" * 5000, "not valid TOML"),
        ("a = " + "1" * 5000, "not valid TOML"),
    ],
)
def test_a_mistake_is_reported(tmp_path, text, words):
    """The sentence names the file, the key and the problem."""
    with pytest.raises(ConfigError, match=r"config\.toml") as caught:
        load_config(written(tmp_path, text))
    assert words in str(caught.value)


def test_all_problems_are_reported_together(tmp_path):
    """One report shows all that is wrong in the file: it names the key of each problem, in the order of the file."""
    path = written(tmp_path, ALL_WRONG)
    with pytest.raises(ProblemsError) as caught:
        load_config(path)
    assert [problem.key for problem in caught.value.problems] == [
        "policy.alow",
        "policy.deny[2]",
        "policy.thresholds.spam",
        "milter.port",
        "maildir[1].spam",
        "maildir[1].unsure[1]",
        "maildir[1].ham",
        "maildir[2].junk",
        "maildir[2].dry_run",
        "maildir[2]",
        "maildir[3].path",
        "deamon",
    ]
    assert str(caught.value).splitlines()[1].startswith(f"{path}: policy.alow: ")


@pytest.mark.parametrize(
    ("raw", "line"),
    [(b"\n\n[policy\n", 3), (b'[policy]\nallow = ["x"\n', 3), (b"# fine\n# \xff", 2), (b"[policy]\n\n[policy]", 3)],
)
def test_a_syntax_error_has_its_line(raw, line):
    """A syntax error has its line, also if the file ends too soon."""
    ((problem),) = read_config(raw)[1]
    assert problem.line == line
    assert "line" not in problem.sentence


def test_a_strange_key_stays_on_one_line():
    """A problem is one line, whatever is in its key or value."""
    (problem,) = problems('[policy]\n"a\\nb.c" = 1')
    assert problem.startswith(': policy."a\\nb.c": ')


def test_a_missing_file(tmp_path):
    """A named file that does not exist is an error, and not replaced by the defaults."""
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.toml")


def test_thousands_of_sections_are_read_at_once():
    """2,000 sections are compared with each other without a problem."""
    raw = b"".join(b'[[maildir]]\npath = "/m/%d"\n' % number for number in range(2000))
    config, wrong = read_config(raw)
    assert (len(config.maildirs), wrong) == (2000, [])


KEYS = st.sampled_from(
    "policy maildir daemon learning learn_from_moves labels ignore_folders allow deny thresholds costs ham spam "
    "unsure path junk dry_run catch_up scan_seconds false_positive x '' \"a.b\"".split()
)


SCALARS = st.sampled_from(
    ["1", "0.5", "nan", "-inf", "true", '"tag"', "'none'", '"~/M"', '"/m/*"', "1979-05-27 07:32:00", '"""a\n"b" """']
)


VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda ones: "[\n" + ",\n".join(ones) + "]"),
        st.dictionaries(KEYS, inner, max_size=3).map(
            lambda table: "{" + ", ".join(f"{key} = {value}" for key, value in table.items()) + "}"
        ),
    ),
    max_leaves=6,
)


STATEMENTS = st.one_of(
    st.builds("{} = {}".format, st.lists(KEYS, min_size=1, max_size=3).map(".".join), VALUES),
    st.lists(KEYS, min_size=1, max_size=2).map(lambda keys: f"[{'.'.join(keys)}]"),
    KEYS.map("[[{}]]".format),
    st.just("# [policy]"),
)


TEXTS = st.one_of(st.lists(STATEMENTS, max_size=8).map("\n".join), st.text())


@given(TEXTS)
def test_any_text_is_a_configuration_or_a_list_of_problems(text):
    """No text causes a traceback; each problem is one line and names a key, or a line of the file."""
    config, wrong = read_config(text.encode("utf-8", "surrogatepass"))
    assert isinstance(config, values.Config)
    for problem in wrong:
        assert problem.key or 1 <= problem.line <= text.count("\n") + 1
        assert len(str(problem).splitlines()) == 1
        assert problem.sentence


def test_a_configuration_that_is_a_pipe(tmp_path):
    """A FIFO is refused at once: no command waits for it. /dev/null is an empty configuration."""
    os.mkfifo(tmp_path / "config.toml")
    with pytest.raises(ConfigError, match="it is not a regular file"):
        reading.load_file(tmp_path / "config.toml")
    assert reading.load_file(Path("/dev/null")) == values.Config()


@pytest.mark.parametrize(
    "listen",
    ["127.0.0.1:783", "localhost:783", "[::1]:783", "[::ffff:127.0.0.1]:783", "unix:/run/spamlstm/spamd.sock"],
)
def test_addresses_on_this_machine_need_no_permission(listen):
    """A loopback address or a Unix socket is accepted."""
    config, problems = read_config(f"spamd.listen = '{listen}'".encode())
    assert (config.spamd.listen, problems) == (listen, [])


def test_an_address_for_other_machines_is_permitted_by_name():
    """With allow_remote = true, other addresses are accepted."""
    config, problems = read_config(b"[spamd]\nlisten = '0.0.0.0:783'\nallow_remote = true")
    assert (config.spamd.listen, problems) == ("0.0.0.0:783", [])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("unix:/run/a", "unix:/run/b"),
        ("unix:/run/a", "127.0.0.1:783"),
        ("127.0.0.1:783", "127.0.0.1:784"),
        ("127.0.0.1:783", "[::1]:783"),
        ("127.0.0.1:783", "127.0.0.2:783"),
    ],
)
def test_listeners_on_different_addresses(one, other):
    """Listeners may share a host or a port."""
    assert read_config(f"spamd.listen = '{one}'\nhttp.listen = '{other}'".encode())[1] == []


def test_paths_that_the_locale_cannot_write():
    """Each path with a character that the encoding of the locale lacks is a problem, and says what to set."""
    text = (
        '[metrics]\ntextfile = "/\u20ac.prom"\n[filter]\nlisten = "unix:/\u20ac"\n[learning]\n'
        'user_maildir = "/\u20ac/{user}"\n[http]\npassword_file = "/\u20ac"\n[[maildir]]\npath = "/\u20ac"\n'
    )
    script = (
        f"from spamlstm.config.reading import read_config\nfor one in read_config({text!a}.encode())[1]: print(one)"
    )
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, **locale}, capture_output=True, text=True, check=True
    )
    keys = ("metrics.textfile", "learning.user_maildir", "filter.listen", "http.password_file", "maildir[1].path")
    what = "has the character '\\u20ac', which the encoding of the locale (ascii) lacks; set LC_ALL=C.UTF-8"
    assert sorted(done.stdout.splitlines()) == sorted(f": {key}: {what}" for key in keys)
