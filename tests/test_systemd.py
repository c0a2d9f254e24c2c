"""The units are valid, and their sandbox is rated as tight, by systemd itself."""

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
    """Copy a unit, with a program that exists, as verify checks that."""

    def copy(name):
        text = (root / "systemd" / name).read_text()
        (tmp_path / name).write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", text))
        return tmp_path / name

    return copy


def analyze(*arguments, tmp_path):
    environment = {"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)}
    command = ["systemd-analyze", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def exposure(unit, *, tmp_path):
    """Return systemd's rating of the sandbox of a unit."""
    done = analyze("security", "--offline=yes", unit, tmp_path=tmp_path)
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert level, done.stderr
    return float(level[1])


@systemd
@pytest.mark.parametrize("name", UNITS)
def test_the_unit_is_valid(unit, tmp_path, name):
    """Each setting and value is known to systemd."""
    scope = "--user" if "user" in name else "--system"
    done = analyze(scope, "verify", "--man=no", unit(name), tmp_path=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_unit_names_documentation_that_does_not_exist(root):
    """A Documentation= line leads to a file or page that exists; there is none now."""
    for path in (root / "systemd").iterdir():
        assert "Documentation=http" not in path.read_text()


@pytest.mark.parametrize("page", ["http", "milter", "spamd"])
def test_the_page_of_a_listener_names_both_ways_to_an_ip_address(root, page):
    """The unit has no network. The page links the socket that systemd opens and the drop-in that allows a network."""
    text = (root / "docs" / "guide" / f"{page}.md").read_text()
    settings = (root / "docs" / "guide" / "recipes" / "milter.md").read_text() if page == "milter" else text
    assert 'listen = "127.0.0.1:' in settings
    for name in ("spamlstm.socket", "spamlstm-network.conf"):
        assert f"[{name}](../../systemd/{name})" in text
        assert (root / "systemd" / name).is_file()


@systemd
@pytest.mark.parametrize("name", UNITS)
def test_the_sandbox_is_tight(root, tmp_path, name):
    """The exposure is at most 1.2, so that a lost setting is noticed."""
    assert exposure(root / "systemd" / name, tmp_path=tmp_path) <= 1.2


@systemd
@pytest.mark.parametrize("scope", ["--user", "--system"])
def test_the_timer_is_valid(unit, root, tmp_path, scope):
    """The timer works with both services, which have the same name once installed."""
    copied = unit("spamlstm-retrain.timer")
    service = unit("spamlstm-retrain-user.service" if scope == "--user" else "spamlstm-retrain.service")
    service.rename(tmp_path / "spamlstm-retrain.service")
    done = analyze(scope, "verify", "--man=no", copied, tmp_path=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@systemd
def test_the_socket_is_valid(unit, root, tmp_path):
    """The socket is valid together with the service for which it is opened."""
    unit("spamlstm.service")
    copied = shutil.copy(root / "systemd/spamlstm.socket", tmp_path)
    done = analyze("--system", "verify", "--man=no", copied, tmp_path=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", UNITS)
def test_the_unit_runs_a_command_that_exists(root, name):
    """The program has each option in ExecStart."""
    (line,) = re.findall(r"(?m)^ExecStart=\S+/spamlstm (\w+)(.*)$", (root / "systemd" / name).read_text())
    command, options = line
    shown = subprocess.run(
        [sys.executable, "-m", "spamlstm", command, "--help"], cwd=root, capture_output=True, text=True, check=False
    ).stdout
    assert [one for one in re.findall(r"--[a-z-]+", options) if one not in shown] == []


@pytest.mark.parametrize("name", UNITS)
def test_the_libraries_see_the_processor(root, name):
    """No unit hides /proc/cpuinfo: ONNX Runtime would log warnings at each start and may use slower code."""
    assert "\nProcSubset=pid\n" not in (root / "systemd" / name).read_text()


@systemd
@pytest.mark.parametrize(
    ("names", "most"),
    [
        (["network"], 0.9),
        (["group"], 0.9),
        (["network", "group"], 1.0),
        (["all-users"], 1.6),  # root without the rights of root
    ],
)
def test_the_sandbox_is_tight_with_drop_ins(root, tmp_path, names, most):
    """The drop-ins for listeners and for the mail of all users give few rights."""
    files = ["spamlstm.service", *(f"spamlstm-{name}.conf" for name in names)]
    (tmp_path / "spamlstm.service").write_text("".join((root / "systemd" / name).read_text() for name in files))
    assert exposure(tmp_path / "spamlstm.service", tmp_path=tmp_path) <= most


@systemd
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
def test_users_and_folders(root, tmp_path):
    """The two files are accepted by systemd-sysusers and systemd-tmpfiles."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "var/vmail").mkdir(parents=True, mode=0o770)
    users = ["systemd-sysusers", f"--root={tmp_path}", str(root / "systemd/sysusers.conf")]
    assert subprocess.run(users, capture_output=True, text=True, check=False).returncode == 0
    assert "vmail:" in (tmp_path / "etc/passwd").read_text()
    folders = ["systemd-tmpfiles", "--create", f"--root={tmp_path}", str(root / "systemd/tmpfiles.conf")]
    done = subprocess.run(folders, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    made, existing = (tmp_path / "etc/spamlstm").stat(), (tmp_path / "var/vmail").stat()
    assert (made.st_mode & 0o777, made.st_uid) == (0o750, 0)
    assert made.st_gid > 0
    # Existing mail folders keep their owner and mode.
    assert (existing.st_mode & 0o777, existing.st_uid, existing.st_gid) == (0o750, 0, 0)
