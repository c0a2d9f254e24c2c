"""`spamlstm config`, and that `classify` finds the file by itself."""

import tomllib

import pytest
from tiny_bundle import SPAM

from spamlstm.cli import translate
from spamlstm.config import locations


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(locations, "SYSTEM", tmp_path / "etc" / "config.toml")
    return tmp_path


@pytest.fixture
def spamlstm(tiny, home, capfd, monkeypatch):
    """Run a command line in this process: gives (status, output, complaints)."""
    monkeypatch.setenv("SPAMLSTM_MODEL", str(tiny))

    def run(*arguments):
        status = translate.run([str(one) for one in arguments])
        return status, *capfd.readouterr()

    return run


def test_init_then_check(spamlstm, home):
    """The first file is right, and check says what it would watch."""
    status, out, err = spamlstm("config", "init")
    assert (status, err) == (0, "")
    assert out.startswith(f"{home}/xdg/spamlstm/config.toml is written")
    status, out, _ = spamlstm("config", "check")
    assert status == 0
    assert "~/Maildir: no Maildir is there now; spam: tag, file to the junk folder that is there;" in out
    for part in ("new", "cur", "tmp"):
        (home / "Maildir" / part).mkdir(parents=True)
    _, out, _ = spamlstm("config", "check")
    assert "~/Maildir: 1 Maildir;" in out
    assert f"\n    {home}/Maildir\n" in out


def test_check_asks_whose_mail_it_is(spamlstm, home):
    """Where several Maildirs learn together: one line, which another word in the configuration answers."""
    for name in ("ann", "bob"):
        for part in ("new", "cur", "tmp"):
            (home / "mail" / name / part).mkdir(parents=True)
    path = home / "c.toml"
    path.write_text(f'[[maildir]]\npath = "{home}/mail/*"\n')
    assert "judge the mail of all" in spamlstm("config", "check", "--config", path)[1]
    path.write_text(f'[learning]\nlabels = "per-maildir"\n[[maildir]]\npath = "{home}/mail/*"\n')
    assert "judge the mail of all" not in spamlstm("config", "check", "--config", path)[1]


def test_init_overwrites_nothing(spamlstm, home):
    """A sentence, a status, and the old file."""
    path = home / "mine.toml"
    assert spamlstm("config", "init", "--path", path)[0] == 0
    path.write_text("# mine")
    status, _, err = spamlstm("config", "init", "--path", path)
    assert (status, path.read_text()) == (64, "# mine")
    assert "exists already" in err


def test_check_tells_every_problem(spamlstm, home):
    """Each problem is a line with file and key, and the exit status is 78."""
    (home / "c.toml").write_text("[policy]\nalow = []\n[daemon]\ndry_run = 3\n[spamd]\n")
    status, out, _ = spamlstm("config", "check", "--config", home / "c.toml")
    assert status == 78
    problems = [line.split(": ")[:2] for line in out.splitlines()]
    assert problems == [[f"{home}/c.toml", key] for key in ("policy.alow", "daemon.dry_run", "spamd")]


def test_check_tells_who_could_change_it(spamlstm, home):
    """It is not even read, and the sentence says how to mend it."""
    (home / "c.toml").write_text("[policy]\n")
    (home / "c.toml").chmod(0o666)
    status, out, err = spamlstm("config", "check", "--config", home / "c.toml")
    assert (status, out) == (78, "")
    assert f"chmod go-w {home}/c.toml" in err


def test_check_without_a_file(spamlstm, home):
    """It says where it looked and how to begin."""
    status, _, err = spamlstm("config", "check")
    assert status == 78
    assert f"{home}/xdg/spamlstm/config.toml, {home}/etc/config.toml" in err
    assert "spamlstm config init" in err


def test_check_lists_ten_of_many(spamlstm, home):
    """Nobody reads the names of 10,000 Maildirs."""
    for number in range(12):
        (home / "mail" / str(number) / "new").mkdir(parents=True)
        (home / "mail" / str(number) / "cur").mkdir()
        (home / "mail" / str(number) / "tmp").mkdir()
    (home / "mail" / "no-maildir").mkdir()
    text = '[[maildir]]\npath = "~/mail/*"\njunk = "Spam"\nunsure = []\n[daemon]\ndry_run = true\n'
    (home / "c.toml").write_text(text)
    _, out, _ = spamlstm("config", "check", "--config", home / "c.toml")
    lines = out.splitlines()
    assert "12 Maildirs; spam: tag, file to Spam; unsure: nothing; ham: nothing; dry run" in lines[1]
    assert (len(lines), lines[12]) == (14, "    and 2 more")


def test_show(spamlstm, home):
    """What holds, where it comes from, as TOML."""
    _, out, _ = spamlstm("config", "show")
    assert out.startswith("# there is no configuration file (looked for: ")
    assert tomllib.loads(out)["daemon"] == {"scan_seconds": 45, "catch_up": "new", "dry_run": False}
    (home / "etc").mkdir()
    (home / "etc" / "config.toml").write_text('[[maildir]]\npath = "~/Maildir"\nspam = ["none"]\n')
    _, out, _ = spamlstm("config", "show")
    assert out.startswith(f"# from {home}/etc/config.toml\n")
    assert tomllib.loads(out)["maildir"][0]["spam"] == []


def test_classify_finds_the_configuration(spamlstm, home):
    """The user's allow list holds without an option; --config puts another file in its place."""
    (home / "spam.eml").write_bytes(SPAM)
    assert spamlstm("classify", home / "spam.eml")[1].startswith("spam")
    path = locations.user_file()
    path.parent.mkdir(parents=True)
    path.write_text('[policy]\nallow = ["ann@x.org"]')
    assert spamlstm("classify", home / "spam.eml")[1].startswith("ham")
    assert spamlstm("classify", "--config", "/dev/null", home / "spam.eml")[1].startswith("spam")
    path.write_text("[polcy]")
    status, _, err = spamlstm("classify", home / "spam.eml")
    assert status == 78
    assert f"{path}: polcy: " in err
