"""The container image is built by `make image`, and its program runs as podman and docker run it with --read-only."""

import json
import re
import shlex
import shutil
import stat
import subprocess
import tarfile

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

# A container: own processes and no network, the root file system read-only, and volumes. `inside` runs a command in the
# container as the user of the image, without any right of root. The health check is repeated until it succeeds.
CONTAINER = """
set -eu
root=$1 given=$2 chroot=$(command -v chroot)
mount --make-rprivate /
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=700,uid=5000,gid=5000 tmpfs "$root/var/lib/spamlstm"
mount -t tmpfs -o mode=755,uid=5000,gid=5000 tmpfs "$root/run/spamlstm"
mount --bind "$given/mail" "$root/var/vmail"
mount --bind "$given/config" "$root/etc/spamlstm"
inside() {{
    env -i {environment} setpriv --no-new-privs "$chroot" --userspec={user} --groups= "$root" "$@"
}}
until_true() {{
    for _ in $(seq 600); do sleep 0.1; if "$@"; then return; fi; done
    exit 1
}}
{before}
! inside {health}
inside {program} &
until_true inside {health}
{after}
"""
CHECKS = """
until_true eval 'inside spamlstm status | grep "1 watched"'
inside spamlstm filter < "$given/message"
inside python3 -c 'open("/file", "w")' || true
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
mount -t tmpfs tmpfs /run
python3 - <<END # the loopback interface: SIOCSIFFLAGS with IFF_UP and IFF_RUNNING
import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sH14x", b"lo", 0x41))
END
echo 127.0.0.1 dovecot >> /etc/hosts
rm -rf /var/vmail /var/spool/postfix/{{incoming,active,deferred,maildrop}}/*
mkdir /var/vmail
mount --bind "$given/mail" /var/vmail
cp {compose}/postfix/* /etc/postfix/
cp {compose}/dovecot/* /etc/dovecot/
postconf -F '*/*/chroot=n'
dovecot
postfix start
sendmail -f a@example.net ann@example.org < "$given/message"
until_true test -d /var/vmail/example.org/ann/Maildir/new
"""
JUNK = """
until_true sh -c "doveadm fetch -u ann@example.org hdr mailbox Junk | grep 'X-Spam-Flag: YES'"
"""


@pytest.fixture(scope="module")
def image(root, debian_build):
    """Unpack the image; return its configuration and the folder of its files."""
    debian_build.package()
    folders = [str(debian_build.folder / name) for name in ("build", "dist")]
    done = subprocess.run(
        ["packaging/image.sh", *folders],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    (path,) = (debian_build.folder / "dist").glob("*-image.tar.gz")
    unpacked, files = debian_build.folder / "image", debian_build.folder / "files"
    with tarfile.open(path) as archive:
        archive.extractall(unpacked, filter="data")
    (manifest,) = json.loads((unpacked / "manifest.json").read_text())
    for layer in manifest["Layers"]:
        files.mkdir(exist_ok=True)
        subprocess.run(["tar", "-C", str(files), "--numeric-owner", "-xpf", str(unpacked / layer)], check=True)
    return json.loads((unpacked / manifest["Config"]).read_text())["config"], files


def test_the_image_gives_no_rights(image):
    """The program is not root, and no file belongs to the program except its volumes. There is no shell."""
    config, files = image
    assert config["User"] == "5000:5000"
    states = {str(path.relative_to(files)): path.lstat() for path in files.rglob("*")}
    assert {name for name, state in states.items() if state.st_uid} == {"run/spamlstm", "var/lib/spamlstm", "var/vmail"}
    assert [name for name, state in states.items() if stat.S_ISREG(state.st_mode) and state.st_mode & 0o6000] == []
    assert not (files / "bin/sh").exists()


@pytest.fixture
def container(image, tmp_path):
    """Run shell commands before and after the start of the program in a container; return their output."""
    config, files = image
    for name in ("mail", "config"):
        (tmp_path / name).mkdir()
    (tmp_path / "message").write_text(SPAM)

    def run(*, before="", after):
        subprocess.run(["chown", "-R", config["User"], str(tmp_path / "mail")], check=True)
        script = CONTAINER.format(
            environment=shlex.join(config["Env"]),
            user=config["User"],
            health=shlex.join(config["Healthcheck"]["Test"][1:]),
            program=shlex.join(config["Entrypoint"] + config["Cmd"]),
            before=before,
            after=after,
        )
        namespaces = ["unshare", "--mount", "--pid", "--net", "--ipc", "--mount-proc", "--fork", "--kill-child"]
        command = [*namespaces, "bash", "-c", script, "bash", str(files), str(tmp_path)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


def test_the_image_is_small(image):
    """The unpacked files have at most 130 MB. The licences of the libraries are among them."""
    files = [path for path in image[1].rglob("*") if path.is_file() and not path.is_symlink()]
    assert sum(path.stat().st_size for path in files) <= 130_000_000
    assert {"libc6", "libssl3"} <= {path.parent.name for path in files if path.name == "copyright"}
    assert any(path.parent.parent.name.startswith("numpy-") and "LICENSE" in path.name for path in files)


def test_the_program_runs_read_only(container, tmp_path):
    """The image's command filters mail with a read-only root file system, and the image's health check answers.

    What the image lacks leads to plain text or to an explanation: the colours of code, the trainer, source code.
    """
    maildir = tmp_path / "mail/example.org/ann/Maildir"
    for name in ("new", "cur", "tmp"):
        (maildir / name).mkdir(parents=True)
    (maildir / "new/1.spam").write_text(SPAM)
    (tmp_path / "config/config.toml").write_text(CONFIG)
    output = container(after=CHECKS)
    assert "Read-only file system: '/file'" in output
    assert "X-Spam-Flag: YES" in output
    assert "1 watched" in output
    assert "does not have the trainer" in output
    assert "code of a model card" in output
    assert 'json/decoder.py", line ' in output
    (filed,) = (maildir / ".Junk/new").iterdir()
    assert filed.stat().st_uid == 5000


def test_the_example_with_postfix_and_dovecot(container, root, tmp_path):
    """With the files of the example, Postfix and Dovecot deliver spam, and Dovecot then shows it in the junk folder."""
    example = root / "packaging/compose"
    named = re.findall(r"- \./([^:]+):", (example / "compose.yaml").read_text())
    assert [path for path in named if not (example / path).exists()] == []
    shutil.copy(example / "spamlstm/config.toml", tmp_path / "config")
    assert "X-Spam-Flag: YES" in container(before=SERVERS.format(compose=example), after=JUNK)
