"""`spamlstm config`, and that `classify` finds the file."""

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import maildirs
import pytest
from tiny_bundle import SPAM, UNSURE

from spamlstm.cli.config import check_config
from spamlstm.config import locations
from spamlstm.errors import ConfigError


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(locations, "SYSTEM", tmp_path / "etc" / "config.toml")
    return tmp_path


def test_check_shows_the_listeners(spamlstm, tmp_path):
    """A correct configuration is summed up with its listeners, their groups and what clients may do."""
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text("secret\n")
    (tmp_path / "c.toml").write_text(
        '[spamd]\nlisten = "127.0.0.1:783"\nallow_tell = true\n[filter]\nlisten = "unix:/run/f"\ngroup = "mail"\n'
        f'[http]\nlisten = "[::1]:11333"\npassword_file = "{password}"\n'
        '[milter]\nlisten = "127.0.0.1:7357"\nquarantine_above = 15\nreject_above = 25.5\n'
    )
    status, output, _ = spamlstm("config", "check", "--config", tmp_path / "c.toml")
    assert status == 0
    assert output.splitlines()[-5:] == [
        "Listeners:",
        "  filter: unix:/run/f, for members of the group mail",
        "  http: [::1]:11333, clients with the password can label mail",
        "  milter: 127.0.0.1:7357, spam above 15 points is quarantined, spam above 25.5 points is rejected",
        "  spamd: 127.0.0.1:783, clients can label mail",
    ]


def test_check_says_why_the_daemon_cannot_open_a_listener(spamlstm, tmp_path):
    """A group that does not exist and a password that cannot be read are shown, with what to do, before the start."""
    (tmp_path / "c.toml").write_text(
        '[filter]\nlisten = "unix:/run/f"\ngroup = "no-such"\n'
        f'[http]\nlisten = "[::1]:11333"\npassword_file = "{tmp_path}/missing"\n'
    )
    status, output, _ = spamlstm("config", "check", "--config", tmp_path / "c.toml")
    assert (status, "has 2 problems, see 'cannot' and 'not used' below. No Maildirs" in output) == (78, True)
    reasons = [line.strip() for line in output.splitlines() if line.startswith("    ")]
    assert reasons == [
        "cannot listen: there is no group 'no-such'; name an existing group, or create it",
        (
            f"cannot listen: the file {tmp_path}/missing with the password cannot be read: no such file or directory;"
            " name a file that only this user can read"
        ),
    ]


@pytest.mark.parametrize("program", ["hunter2", "~no-such-user/hunter2"])
def test_check_names_a_folder_or_program_that_is_missing(spamlstm, tmp_path, program):
    """The folder of a socket or metrics file and the program with a password are found before the daemon needs them.

    systemd creates some folders when the daemon starts. The program is not named, as it may be the password itself.
    """
    (tmp_path / "c.toml").write_text(
        f'[metrics]\ntextfile = "{tmp_path}/none/s.prom"\n[filter]\nlisten = "unix:{tmp_path}/none/f"\n'
        '[spamd]\nlisten = "unix:/run/no-such-folder/s"\n' + ACCOUNT.replace("cat", program)
    )
    status, output, _ = spamlstm("config", "check", "--config", tmp_path / "c.toml")
    assert (status, "has 3 problems" in output, "hunter2" in output) == (78, True, False)
    assert [line.strip() for line in output.splitlines() if line.startswith("    ")] == [
        f"cannot listen: the folder {tmp_path}/none does not exist; create it, or name another folder",
        "not used: the program of password_command is not found; install it, or write its full path",
        f"cannot write: the folder {tmp_path}/none does not exist; create it, or name another folder",
    ]


def test_check_does_not_promise_a_group_on_an_ip_address(spamlstm, tmp_path):
    """A group restricts a Unix socket only, so the summary of another listener says that everybody can connect."""
    (tmp_path / "c.toml").write_text('[spamd]\nlisten = "127.0.0.1:783"\ngroup = "mail"\n')
    _, output, _ = spamlstm("config", "check", "--config", tmp_path / "c.toml")
    assert "for all users of this machine, because the group mail has an effect on a Unix socket only" in output


ACCOUNT = '[[imap]]\nhost = "imap.example.org"\nuser = "ann"\nname = "work"\npassword_command = "cat mail"\n'


def test_check_shows_the_accounts(spamlstm, tmp_path):
    """A correct configuration is summed up with its IMAP accounts and what happens to their mail."""
    (tmp_path / "c.toml").write_text(ACCOUNT)
    status, output, _ = spamlstm("config", "check", "--config", tmp_path / "c.toml")
    assert status == 0
    assert output.splitlines()[-2:] == [
        "IMAP accounts:",
        (
            "  work: ann at imap.example.org port 993, TLS; new mail in INBOX; spam: set the junk keyword, file to the"
            " junk folder; unsure: nothing; ham: nothing"
        ),
    ]


def test_an_account_without_its_package_says_what_to_install(spamlstm, tmp_path, monkeypatch):
    """`config check` and `run` name the command that installs imapclient."""
    monkeypatch.setitem(sys.modules, "imapclient", None)
    (tmp_path / "c.toml").write_text(ACCOUNT)
    status, output, _ = spamlstm("config", "check", "--config", tmp_path / "c.toml")
    assert (status, "has 1 problem, see" in output, "pip install 'imapclient" in output) == (78, True, True)
    status, _, error = spamlstm("run", "--config", tmp_path / "c.toml", "--state", tmp_path / "state")
    assert status == 69
    assert "pip install 'imapclient" in error
    assert error.count("\n") == 1


def test_a_configuration_without_work_says_what_to_add(spamlstm, tmp_path):
    """An empty table of a listener gives `run` nothing to do: `check` and `run` name the settings that do."""
    file = tmp_path / "c.toml"
    file.write_text("[filter]\n")
    add = "a [[maildir]] or [[imap]] section, or 'listen' in a table such as [filter]"
    status, out, _ = spamlstm("config", "check", "--config", file)
    assert (status, f"For 'spamlstm run', name a Maildir, or add {add}." in out) == (0, True)
    status, _, err = spamlstm("run", "--config", file, "--state", tmp_path / "state")
    assert (status, err) == (78, f"spamlstm: there is nothing to do: name a Maildir, or add to {file} {add}\n")
    file.write_text('[filter]\nlisten = "127.0.0.1:9"\n')
    assert "For 'spamlstm run'" not in spamlstm("config", "check", "--config", file)[1]


def test_init_then_check(spamlstm, home):
    """The file that `init` writes has no problems, and `check` lists what it watches."""
    status, out, err = spamlstm("config", "init")
    assert (status, err) == (0, "")
    assert out.startswith(f"{home}/xdg/spamlstm/config.toml written")
    status, out, _ = spamlstm("config", "check")
    assert status == 0
    assert "has no problems, but 1 Maildir does not exist yet. Watched Maildirs:\n" in out
    assert "~/Maildir: no Maildir exists; spam: tag, file to the junk folder;" in out
    maildirs.make(home / "Maildir")
    _, out, _ = spamlstm("config", "check")
    assert "has no problems. Watched Maildirs:\n" in out
    assert "~/Maildir: 1 Maildir;" in out
    assert f"\n    {home}/Maildir: junk folder .Junk (will be created)\n" in out


def test_check_warns_of_shared_labels(spamlstm, home):
    """If several Maildirs share their labels, a line says so."""
    for name in ("ann", "bob"):
        maildirs.make(home / "mail" / name)
    path = home / "c.toml"
    path.write_text(f'[[maildir]]\npath = "{home}/mail/*"\n')
    assert "apply to all" in spamlstm("config", "check", "--config", path)[1]
    path.write_text(f'[learning]\nlabels = "per-maildir"\n[[maildir]]\npath = "{home}/mail/*"\n')
    assert "apply to all" not in spamlstm("config", "check", "--config", path)[1]


def test_init_overwrites_nothing(spamlstm, home):
    """An existing file is an error of usage, as --path can name another one; the file stays as it is."""
    path = home / "mine.toml"
    assert spamlstm("config", "init", "--path", path)[0] == 0
    path.write_text("# mine")
    status, _, err = spamlstm("config", "init", "--path", path)
    assert (status, path.read_text()) == (64, "# mine")
    assert "already exists" in err


@pytest.mark.parametrize("folder", ["typo", "typo/deeper", "file"])
def test_init_creates_no_other_folder(spamlstm, home, folder):
    """A path in a folder that does not exist is an error of usage that says what to do, and nothing is created."""
    (home / "file").touch()
    before = sorted(home.rglob("*"))
    status, out, err = spamlstm("config", "init", "--path", home / folder / "c.toml")
    what = "is not a folder" if folder == "file" else "does not exist"
    assert (status, out) == (64, "")
    assert err == (
        f"spamlstm: {home}/{folder} {what}, so {home}/{folder}/c.toml is not written; create the folder, or correct"
        " --path\n"
    )
    assert sorted(home.rglob("*")) == before


def test_init_creates_the_folders_of_the_default_files(spamlstm, home):
    """The folders of the user and of the machine, which the guide does not create before, are created if missing."""
    for path in (home / "xdg" / "spamlstm" / "config.toml", home / "etc" / "config.toml"):
        assert spamlstm("config", "init", "--path", path)[0] == 0
        assert path.parent.stat().st_mode & 0o777 == 0o700


def test_check_reports_every_problem(spamlstm, home):
    """Each problem is a line with file and key, and the exit status is 78."""
    (home / "c.toml").write_text("[policy]\nalow = []\n[daemon]\ndry_run = 3\n[milter]\nport = 1\n")
    status, out, _ = spamlstm("config", "check", "--config", home / "c.toml")
    assert status == 78
    problems = [line.split(": ")[:2] for line in out.splitlines()]
    assert problems == [[f"{home}/c.toml", key] for key in ("policy.alow", "daemon.dry_run", "milter.port")]


def test_check_refuses_a_file_that_others_can_change(spamlstm, home):
    """A file that others can change is not read, and the sentence has the command that helps."""
    (home / "c.toml").write_text("[policy]\n")
    (home / "c.toml").chmod(0o666)
    status, out, err = spamlstm("config", "check", "--config", home / "c.toml")
    assert (status, out) == (78, "")
    assert f"chmod go-w {home}/c.toml" in err


def test_check_without_a_file(spamlstm, home):
    """`check` names the default files and `config init`."""
    status, _, err = spamlstm("config", "check")
    assert status == 78
    assert f"{home}/xdg/spamlstm/config.toml, {home}/etc/config.toml" in err
    assert "spamlstm config init" in err


def test_check_names_the_junk_folders(spamlstm, home):
    """`check` says for each Maildir where its spam goes, whether that folder exists, and why spam cannot be filed."""
    for name in ("a/.Spam", "a/.Bulk", "b/.Sent", "c", "d/.&BCEEPwQwBDw-", "e", "f/.Spam"):
        maildirs.make(home / name.partition("/")[0])
        maildirs.make(home / name)
    (home / "c" / ".Junk").symlink_to(home / "a")
    (home / "c.toml").write_text(
        "".join(
            f'[[maildir]]\npath = "{home}/{name}"\n{more}\n'
            for name, more in {
                **dict.fromkeys("abcd", ""),
                "e": 'spam = ["tag"]',
                "f": 'junk = "INBOX.Spam"',
            }.items()
        )
    )
    status, out, _ = spamlstm("config", "check", "--config", home / "c.toml")
    assert (status, "has 1 problem, see" in out) == (78, True)
    assert f"{home}/a: junk folder .Spam (exists; not used: .Bulk)\n" in out
    assert f"{home}/b: junk folder .Junk (will be created)\n" in out
    assert (
        f"{home}/c: spam cannot be filed (.Junk is a symbolic link, and links in a Maildir are not followed)\n" in out
    )
    assert f"{home}/d: junk folder .&BCEEPwQwBDw- (\u0421\u043f\u0430\u043c) (exists)\n" in out
    assert f"    {home}/e\n" in out
    assert f"{home}/f: junk folder .Spam (exists)\n" in out


def test_check_lists_all_problems_of_many_maildirs(spamlstm, home):
    """Only ten Maildirs are listed, and behind them each further one with a problem."""
    for number in range(12):
        maildirs.make(home / "mail" / f"{number:02}")
    (home / "mail" / "11" / ".Junk").symlink_to(home)
    (home / "c.toml").write_text('[[maildir]]\npath = "~/mail/*"\n[learning]\nlabels = "per-maildir"\n')
    status, out, _ = spamlstm("config", "check", "--config", home / "c.toml")
    lines = out.splitlines()
    assert (status, len(lines), "has 1 problem, see" in lines[0]) == (78, 14, True)
    assert "/mail/11: spam cannot be filed (" in lines[12]


def test_check_lists_ten_of_many(spamlstm, home):
    """Ten Maildirs are listed, further ones counted."""
    for number in range(12):
        maildirs.make(home / "mail" / str(number))
    (home / "mail" / "no-maildir").mkdir()
    text = '[[maildir]]\npath = "~/mail/*"\njunk = "Spam"\nunsure = []\n[daemon]\ndry_run = true\n'
    (home / "c.toml").write_text(text)
    _, out, _ = spamlstm("config", "check", "--config", home / "c.toml")
    lines = out.splitlines()
    assert "12 Maildirs; spam: tag, file to Spam; unsure: nothing; ham: nothing; dry run" in lines[1]
    assert (len(lines), lines[12]) == (14, "    and 2 more")


def test_show(spamlstm, home):
    """The configuration that applies is printed as TOML, with its origin."""
    _, out, _ = spamlstm("config", "show")
    assert out.startswith("# there is no configuration file (searched: ")
    assert tomllib.loads(out)["daemon"] == {"scan_seconds": 45, "catch_up": "new", "dry_run": False}
    (home / "etc").mkdir()
    (home / "etc" / "config.toml").write_text('[[maildir]]\npath = "~/Maildir"\nspam = ["none"]\n')
    _, out, _ = spamlstm("config", "show")
    assert out.startswith(f"# from {home}/etc/config.toml\n")
    assert tomllib.loads(out)["maildir"][0]["spam"] == []


def test_classify_finds_the_configuration(spamlstm, home):
    """The user's file is used without an option; --config names another."""
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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a link of another user")
def test_check_lists_refused_maildirs(spamlstm, home):
    """A Maildir behind the link of another user is listed as not used, with the reason."""
    maildirs.make(home / "real")
    (home / "link").symlink_to("real")
    os.chown(home / "link", 20_001, 20_001, follow_symlinks=False)
    (home / "c.toml").write_text(f'[[maildir]]\npath = "{home}/link"\n')
    status, out, _ = spamlstm("config", "check", "--config", home / "c.toml")
    assert (status, "has 1 problem, see" in out) == (78, True)
    assert "no Maildir exists" in out
    assert f"    not used: {home}/link (link leads along a symbolic link of another user" in out


@pytest.mark.parametrize(
    ("policy", "shown"),
    [
        (
            "",
            (
                "ham up to 0.2, spam from 0.98 (from the model); scores of mail like your labelled mail are adjusted to"
                " max_false_positive_rate"
            ),
        ),
        (
            "costs = { false_positive = 5, false_negative = 1, unsure = 0.1 }",
            "ham up to 0.1, spam from 0.98 (computed from the costs in the configuration)",
        ),
        ("thresholds = { ham = 0.3, spam = 0.7 }", "ham up to 0.3, spam from 0.7 (set in the configuration)"),
    ],
)
def test_the_thresholds_in_force_are_shown(spamlstm, tmp_path, policy, shown):
    """`config show`, `model show` and `classify --json` show the thresholds in force and where they come from."""
    file = locations.user_file()
    file.parent.mkdir(parents=True)
    file.write_text(f"[policy]\n{policy}\n")
    assert f"# thresholds in force: {shown}\n" in spamlstm("config", "show")[1]
    words = shown.partition(";")[0]
    assert f"in force: {words}\n" in spamlstm("model", "show")[1]
    (tmp_path / "a.eml").write_bytes(UNSURE)
    thresholds = json.loads(spamlstm("classify", "--json", tmp_path / "a.eml")[1])["thresholds"]
    assert f"ham up to {thresholds['ham']:g}, spam from {thresholds['spam']:g}" in shown


def test_thresholds_without_a_model(spamlstm, tmp_path, monkeypatch):
    """`config show` also works if the model cannot be used."""
    monkeypatch.setenv("SPAMLSTM_MODEL", str(tmp_path / "none"))
    status, out, _ = spamlstm("config", "show")
    assert (status, "# thresholds in force: unknown, as the model cannot be used" in out) == (0, True)


def test_check_names_a_maildir_that_is_missing(spamlstm, home):
    """A path without wildcards that is no Maildir is named with what to do; a wildcard may match nothing."""
    (home / "plain").mkdir()
    (home / "c.toml").write_text("".join(f'[[maildir]]\npath = "{home}/{name}"\n' for name in ("typo", "plain", "x*")))
    status, out, _ = spamlstm("config", "check", "--config", home / "c.toml")
    assert (status, "has no problems, but 2 Maildirs do not exist yet." in out) == (0, True)
    assert [line.strip() for line in out.splitlines() if "not watched" in line] == [
        f"not watched yet: {home}/typo does not exist; correct the path, or create the Maildir, and it is watched",
        f"not watched yet: {home}/plain is not a Maildir, as new, cur or tmp is missing; it is watched once they exist",
    ]


def test_check_names_a_section_for_the_folder_of_another(spamlstm, home):
    """A link to the Maildir of another section has no effect, and is a problem that names the other path."""
    maildirs.make(home / "Maildir")
    (home / "link").symlink_to("Maildir")
    (home / "c.toml").write_text(f'[[maildir]]\npath = "{home}/link"\n[[maildir]]\npath = "{home}/Maildir"\n')
    status, out, _ = spamlstm("config", "check", "--config", home / "c.toml")
    assert (status, "has 1 problem, see" in out) == (78, True)
    assert f"    not used: {home}/link is the same folder as {home}/Maildir; remove one of the two sections\n" in out


def test_check_names_a_maildir_in_a_maildir(spamlstm, home):
    """A folder of a Maildir is no Maildir of its own, as for the commands that take a Maildir."""
    maildirs.make(home / "Maildir")
    maildirs.make(home / "Maildir" / ".Archive")
    (home / "c.toml").write_text('[[maildir]]\npath = "~/Maildir/.*"\n')
    status, out, _ = spamlstm("config", "check", "--config", home / "c.toml")
    assert (status, "has 1 problem, see" in out) == (78, True)
    why = f"it is a folder of the Maildir {home}/Maildir, whose inbox alone is filtered; name that Maildir instead"
    assert f"    {home}/Maildir/.Archive: cannot be used as a Maildir, as {why}\n" in out


def test_check_names_files_in_the_place_of_others(spamlstm, tmp_path):
    """A file in the place of a socket, and a folder in the place of the metrics, are found; `run` says the same."""
    (tmp_path / "file").touch()
    (tmp_path / "s.prom").mkdir()
    (tmp_path / "c.toml").write_text(
        f'[metrics]\ntextfile = "{tmp_path}/s.prom"\n[spamd]\nlisten = "unix:{tmp_path}/file"\n'
    )
    status, out, _ = spamlstm("config", "check", "--config", tmp_path / "c.toml")
    why = f"{tmp_path}/file exists and is not a socket; remove it, or name another path"
    assert status == 78
    assert [line.strip() for line in out.splitlines() if line.startswith("    ")] == [
        f"cannot listen: {why}",
        f"cannot write: {tmp_path}/s.prom is a folder; name a file",
    ]
    status, _, error = spamlstm("run", "--config", tmp_path / "c.toml")
    assert (status, f"[spamd] cannot listen on unix:{tmp_path}/file: {why}\n" in error) == (69, True)


def test_check_refuses_entries_that_match_nothing(spamlstm, home):
    """A negated entry and an IP address are errors; the address of a list is not."""
    (home / "c.toml").write_text('[policy]\nallow = ["list:a@x.org", "!b@x.org", "192.0.2.1"]\n')
    status, out, _ = spamlstm("config", "check", "--config", home / "c.toml")
    assert (status, len(out.splitlines())) == (78, 2)
    assert "cannot be negated" in out
    assert "IP addresses cannot be listed" in out


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to a group")
def test_init_names_a_folder_that_the_group_may_not_enter(spamlstm, tmp_path):
    """The file is of no use to a group that may not enter its folder. After the printed command the group may."""
    folder = tmp_path / "etc"
    folder.mkdir(mode=0o750)
    _, out, _ = spamlstm("config", "init", "--path", folder / "config.toml", "--group", "mail")
    why, _, advice = out.splitlines()[1].partition("run as root: ")
    assert f"the group mail may not enter {folder} (mode 0750)" in why
    subprocess.run(["sh", "-c", advice], check=True)
    _, out, _ = spamlstm("config", "init", "--path", folder / "other.toml", "--group", "mail")
    assert len(out.splitlines()) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_check_names_a_folder_that_you_may_not_enter(monkeypatch):
    """A configuration in a folder that this user may not enter is not just called missing."""
    with tempfile.TemporaryDirectory() as base:
        Path(base).chmod(0o755)
        folder = Path(base) / "etc"
        folder.mkdir(mode=0o750)
        (folder / "config.toml").touch()
        monkeypatch.setattr(locations, "SYSTEM", folder / "config.toml")
        groups = os.getgroups()
        os.setgroups(())
        os.setegid(54_321)
        os.seteuid(54_321)
        try:
            with pytest.raises(ConfigError, match=f"; you may not enter {folder}"):
                check_config(None)
        finally:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups(groups)
