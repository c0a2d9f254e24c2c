"""The container image is built by `make image`, and its program runs as podman and docker run it with --read-only."""

import json
import shlex
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
! inside {health}
inside {program} &
for _ in $(seq 600); do sleep 0.1; if inside {health}; then break; fi; done
inside spamlstm filter < "$given/message"
inside python3 -c 'open("/file", "w")' || true
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
    assert path.stat().st_size < 130_000_000
    return json.loads((unpacked / manifest["Config"]).read_text())["config"], files


def test_the_image_gives_no_rights(image):
    """The program is not root, and no file belongs to the program except its volumes. There is no shell."""
    config, files = image
    assert config["User"] == "5000:5000"
    states = {str(path.relative_to(files)): path.lstat() for path in files.rglob("*")}
    assert {name for name, state in states.items() if state.st_uid} == {"run/spamlstm", "var/lib/spamlstm", "var/vmail"}
    assert [name for name, state in states.items() if stat.S_ISREG(state.st_mode) and state.st_mode & 0o6000] == []
    assert not (files / "bin/sh").exists()


def test_the_program_runs_read_only(image, tmp_path):
    """The image's command filters mail with a read-only root file system, and the image's health check answers."""
    config, files = image
    maildir = tmp_path / "mail/example.org/ann/Maildir"
    for name in ("new", "cur", "tmp"):
        (maildir / name).mkdir(parents=True)
    (maildir / "new/1.spam").write_text(SPAM)
    (tmp_path / "message").write_text(SPAM)
    subprocess.run(["chown", "-R", config["User"], str(tmp_path / "mail")], check=True)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.toml").write_text(CONFIG)
    assert config["Healthcheck"]["Test"][0] == "CMD"
    script = CONTAINER.format(
        environment=shlex.join(config["Env"]),
        user=config["User"],
        health=shlex.join(config["Healthcheck"]["Test"][1:]),
        program=shlex.join(config["Entrypoint"] + config["Cmd"]),
    )
    namespaces = ["unshare", "--mount", "--pid", "--net", "--ipc", "--fork", "--kill-child"]
    done = subprocess.run(
        [*namespaces, "bash", "-c", script, "bash", str(files), str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "Read-only file system: '/file'" in done.stdout
    assert "X-Spam-Flag: YES" in done.stdout
    assert "1 watched" in done.stdout
    (filed,) = (maildir / ".Junk/new").iterdir()
    assert filed.stat().st_uid == 5000
