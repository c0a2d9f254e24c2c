"""The units: systemd itself says that they are right, and how much they close."""

import os
import re
import shutil
import subprocess
import sys

import pytest

UNITS = ("spamlstm.service", "spamlstm-user.service", "spamlstm-retrain.service", "spamlstm-retrain-user.service")

systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")


@pytest.fixture
def unit(root, tmp_path):
    """A unit with a program that exists, as verify looks for it."""

    def copy(name):
        text = (root / "systemd" / name).read_text()
        (tmp_path / name).write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", text))
        return tmp_path / name

    return copy


def analyze(*arguments, tmp_path):
    environment = {"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)}
    command = ["systemd-analyze", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@systemd
@pytest.mark.parametrize("name", UNITS)
def test_the_unit_is_right(unit, tmp_path, name):
    """No unknown setting, no value that is none."""
    scope = "--user" if "user" in name else "--system"
    done = analyze(scope, "verify", "--man=no", unit(name), tmp_path=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@systemd
@pytest.mark.parametrize("name", UNITS)
def test_little_is_left_open(root, tmp_path, name):
    """The aim is an exposure of 1.2 at most; a setting that is lost by accident shows here."""
    done = analyze("security", "--offline=yes", root / "systemd" / name, tmp_path=tmp_path)
    told = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert told, done.stderr
    assert float(told[1]) <= 1.2


@systemd
@pytest.mark.parametrize("scope", ["--user", "--system"])
def test_the_timer_is_right(unit, root, tmp_path, scope):
    """It fits both services, which it finds by their common name."""
    copied = unit("spamlstm-retrain.timer")
    service = unit("spamlstm-retrain-user.service" if scope == "--user" else "spamlstm-retrain.service")
    service.rename(tmp_path / "spamlstm-retrain.service")
    done = analyze(scope, "verify", "--man=no", copied, tmp_path=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", UNITS)
def test_the_unit_runs_a_command_that_exists(root, name):
    """The options in ExecStart are those of the program."""
    (line,) = re.findall(r"(?m)^ExecStart=\S+/spamlstm (\w+)(.*)$", (root / "systemd" / name).read_text())
    command, options = line
    told = subprocess.run(
        [sys.executable, "-m", "spamlstm", command, "--help"], cwd=root, capture_output=True, text=True, check=False
    ).stdout
    assert [one for one in re.findall(r"--[a-z-]+", options) if one not in told] == []


@systemd
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
def test_users_and_folders(root, tmp_path):
    """The pair is in the words of sysusers.d and tmpfiles.d."""
    (tmp_path / "etc").mkdir()
    users = ["systemd-sysusers", f"--root={tmp_path}", str(root / "systemd/sysusers.conf")]
    assert subprocess.run(users, capture_output=True, text=True, check=False).returncode == 0
    assert "vmail:" in (tmp_path / "etc/passwd").read_text()
    folders = ["systemd-tmpfiles", "--create", f"--root={tmp_path}", str(root / "systemd/tmpfiles.conf")]
    done = subprocess.run(folders, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "etc/spamlstm").stat().st_mode & 0o777 == 0o750
