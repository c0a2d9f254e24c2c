"""The container image is built by `make image`, and podman runs it as the guide says."""

import json
import os
import re
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from booted import obstacle

OBSTACLE = obstacle()
pytestmark = [pytest.mark.peers, pytest.mark.timeout(600), pytest.mark.skipif(bool(OBSTACLE), reason=OBSTACLE)]

# GTUBE, which is spam by definition.
SPAM = "Subject: test\n\nXJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\n"
CONFIG = """
[daemon]
catch_up = "all"
[[maildir]]
path = "/var/vmail/*/*/Maildir"
[filter]
listen = "unix:/run/spamlstm/filter.sock"
"""

OWN_RUN = "mount --make-rprivate /; mount -t tmpfs tmpfs /run"
# A machine for podman, without services and with control groups of version 2 only, as crun needs them. The container is
# started by the command of the guide. `inside` runs a command in the container.
CONTAINER = """
set -eu
given=$1
cd "$given"
{own_run}
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
podman rm --force --ignore spamlstm
podman volume prune --force
podman volume create mail
mail=$(podman volume inspect mail --format '{{{{.Mountpoint}}}}')
cp -rT mail "$mail"
chown -R {user} "$mail"
inside() {{
    podman exec -i spamlstm "$@"
}}
until_true() {{
    for _ in $(seq 600); do sleep 0.1; if "$@"; then return; fi; done
    exit 1
}}
{before}
{run}
until_true podman healthcheck run spamlstm
{after}
podman stop spamlstm
podman logs spamlstm
podman inspect spamlstm --format 'exit status {{{{.State.ExitCode}}}}'
find "$mail" -type f -printf 'owner %U %P\\n'
"""
# Limits that need no right of the kernel's resources, and a health check without timers of systemd.
SETTINGS = """
[containers]
cgroups = "disabled"
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
CHECKS = """
until_true eval 'inside spamlstm status | grep "1 watched"'
inside spamlstm filter < message
inside spamlstm classify - < message
inside python3 -c 'open("/file", "w")' || true
inside python3 -c 'print(open("/proc/self/status").read())'
inside spamlstm retrain || true
inside python3 -c 'import json; json.loads("no")' || true
inside /usr/lib/spamlstm/bin/python3 -c '
from rich.console import Console
from rich.markdown import Markdown
Console().print(Markdown("~~~python\\ncode of a model card\\n~~~"))'
"""
# Postfix and Dovecot with the files of the example, in copies of /etc and /var that are in memory.
SERVERS = """
mount -t tmpfs tmpfs /mnt
for folder in etc var; do
    mkdir "/mnt/$folder" "/mnt/$folder.work"
    mount -t overlay overlay -o "lowerdir=/$folder,upperdir=/mnt/$folder,workdir=/mnt/$folder.work" "/$folder"
done
python3 - <<END # the loopback interface: SIOCSIFFLAGS with IFF_UP and IFF_RUNNING
import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sH14x", b"lo", 0x41))
END
echo 127.0.0.1 dovecot >> /etc/hosts
rm -rf /var/vmail /var/spool/postfix/{{incoming,active,deferred,maildrop}}/*
mkdir /var/vmail
mount --bind "$mail" /var/vmail
cp {compose}/postfix/* /etc/postfix/
cp {compose}/dovecot/* /etc/dovecot/
postconf -F '*/*/chroot=n'
dovecot
postfix start
sendmail -f a@example.net ann@example.org < message
until_true test -d /var/vmail/example.org/ann/Maildir/new
"""
JUNK = """
until_true sh -c "doveadm fetch -u ann@example.org hdr mailbox Junk | grep 'X-Spam-Flag: YES'"
"""


@dataclass(frozen=True)
class Image:
    """The built image: its path, its settings, its unpacked files, and the environment in which podman knows it."""

    path: Path
    config: dict[str, Any]
    files: Path
    podman: dict[str, str]


def make_image(root, folder, *, umask=0o022, **environment):
    """Run the script that makes the image from the Debian package; return the path of the image."""
    done = subprocess.run(
        ["packaging/image.sh", str(folder / "build"), str(folder / "dist")],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        umask=umask,
        env=os.environ | environment,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    (path,) = (folder / "dist").glob("*-image.tar.gz")
    return path


def commands_of_the_guide(root):
    """Return the commands that load the image and run a container."""
    text = (root / "docs/guide/container.md").read_text()
    (load,) = re.findall(r"(?m)^    (zcat .*podman load)\b", text)
    (run,) = re.findall(r"(?m)^    podman run (?:.*\\\n)*.*", text)
    return load, run


@pytest.fixture(scope="module")
def image(root, debian_build):
    """Unpack the image, and load it by the command of the guide."""
    folder = debian_build.folder
    debian_build.package()
    path = make_image(root, folder)
    unpacked, files = folder / "image", folder / "files"
    unpacked.mkdir()
    subprocess.run(["tar", "-C", str(unpacked), "-xf", str(path)], check=True)
    (manifest,) = json.loads((unpacked / "manifest.json").read_text())
    for layer in manifest["Layers"]:
        files.mkdir(exist_ok=True)
        subprocess.run(["tar", "-C", str(files), "--numeric-owner", "-xpf", str(unpacked / layer)], check=True)
    config = json.loads((unpacked / manifest["Config"]).read_text())["config"]

    settings = {"CONTAINERS_CONF": "containers.conf", "CONTAINERS_STORAGE_CONF": "storage.conf"}
    (folder / "containers.conf").write_text(SETTINGS)
    places = f'graphroot = "{folder}/storage"\nrunroot = "/run/storage"\n'
    (folder / "storage.conf").write_text(f'[storage]\ndriver = "vfs"\n{places}')
    paths = {name: str(folder / file) for name, file in settings.items()}
    podman = os.environ | paths | {"HOME": str(folder), "DISABLE_HC_SYSTEMD": "true"}
    script = f"set -e; {OWN_RUN}\n{commands_of_the_guide(root)[0]}"
    subprocess.run(["unshare", "--mount", "bash", "-c", script], cwd=folder, env=podman, check=True)
    return Image(path, config, files, podman)


def test_the_image_gives_no_rights(image):
    """The program is not root, and no file belongs to the program except its volumes. There is no shell."""
    assert image.config["User"] == "5000:5000"
    states = {str(path.relative_to(image.files)): path.lstat() for path in image.files.rglob("*")}
    assert {name for name, state in states.items() if state.st_uid} == {"run/spamlstm", "var/lib/spamlstm", "var/vmail"}
    assert [name for name, state in states.items() if stat.S_ISREG(state.st_mode) and state.st_mode & 0o6000] == []
    assert not (image.files / "bin/sh").exists()


@pytest.fixture
def container(image, root, tmp_path):
    """Run shell commands before and after podman starts the program in a container; return their output."""
    for name in ("mail", "config"):
        (tmp_path / name).mkdir()
    (tmp_path / "message").write_text(SPAM)

    def run(*, before="", after):
        script = CONTAINER.format(
            own_run=OWN_RUN, user=image.config["User"], before=before, run=commands_of_the_guide(root)[1], after=after
        )
        namespaces = ["unshare", "--mount", "--pid", "--net", "--ipc", "--mount-proc", "--fork", "--kill-child"]
        done = subprocess.run(
            [*namespaces, "bash", "-c", script, "bash", str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=image.podman,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


def test_the_image_is_small(image):
    """The unpacked files have at most 130 MB. The licences of the libraries are among them."""
    files = [path for path in image.files.rglob("*") if path.is_file() and not path.is_symlink()]
    assert sum(path.stat().st_size for path in files) <= 130_000_000
    # Since Debian 13 the package is libssl3t64.
    licensed = {path.parent.name.removesuffix("t64") for path in files if path.name == "copyright"}
    assert {"libc6", "libssl3"} <= licensed
    assert any(path.parent.parent.name.startswith("numpy-") and "LICENSE" in path.name for path in files)


def test_no_library_is_missing(image):
    """Each library that a program or a module of the image is linked with is in the image, whatever Debian built it."""
    files = [path for path in image.files.rglob("*") if path.is_file() and not path.is_symlink()]
    programs = [path for path in files if path.read_bytes()[:4] == b"\x7fELF"]
    listed = subprocess.run(["objdump", "-p", *programs], stdout=subprocess.PIPE, text=True, check=True).stdout
    present = {path.name for path in image.files.rglob("*")}
    assert set(re.findall(r"(?m)^ *NEEDED +(\S+)$", listed)) - present == set()


def test_the_program_runs_read_only(container, tmp_path):
    """By the guide's command, podman filters mail with a read-only root file system, and stops when it is told to.

    The program has no rights, its state is private, and the health check answers. What the image lacks leads to plain
    text or to an explanation: the colours of code, the trainer, source code.
    """
    maildir = tmp_path / "mail/example.org/ann/Maildir"
    for name in ("new", "cur", "tmp"):
        (maildir / name).mkdir(parents=True)
    (maildir / "new/1.spam").write_text(SPAM)
    (tmp_path / "config/config.toml").write_text(CONFIG)
    output = container(after=CHECKS)
    assert "Read-only file system: '/file'" in output
    assert re.findall(r"(?m)^(?:Uid|CapEff|CapBnd):\t(\w+)", output) == ["5000", "0" * 16, "0" * 16]
    assert "state-made-private" not in output
    assert "X-Spam-Flag: YES" in output
    assert re.search(r"(?m)^spam\t", output)
    assert "1 watched" in output
    assert "does not have the trainer" in output
    assert "code of a model card" in output
    assert 'json/decoder.py", line ' in output
    assert re.search(r"stopped .*1 filed.*\nexit status 0\n", output)
    assert re.search(r"(?m)^owner 5000 example.org/ann/Maildir/.Junk/new/", output)


def test_the_example_with_postfix_and_dovecot(container, root, tmp_path):
    """With the files of the example, Postfix and Dovecot deliver spam, and Dovecot then shows it in the junk folder."""
    example = root / "packaging/compose"
    named = re.findall(r"- \./([^:]+):", (example / "compose.yaml").read_text())
    assert [path for path in named if not (example / path).exists()] == []
    shutil.copy(example / "spamlstm/config.toml", tmp_path / "config")
    assert "X-Spam-Flag: YES" in container(before=SERVERS.format(compose=example), after=JUNK)


def test_two_builds_have_the_same_bytes(image, root, debian_build, tmp_path):
    """The image does not depend on the folder, the time zone, the language or the umask of the build."""
    (tmp_path / "another/dist").mkdir(parents=True)
    shutil.copy(debian_build.package(), tmp_path / "another/dist")
    second = make_image(root, tmp_path / "another", umask=0o077, TZ="Asia/Tokyo", LC_ALL="C")
    assert second.read_bytes() == image.path.read_bytes()
