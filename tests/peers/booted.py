"""A machine for one test: the files of this system, booted by their systemd in namespaces. The real files stay."""

import contextlib
import os
import pwd
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SYSTEMD = Path("/lib/systemd/systemd")
PROGRAMS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Changes go to a file system in memory. The services of the real machine are hidden, as are the settings of its kernel
# and the units, file systems and sockets that an administrator added.
BOOT = """
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
cd "$1"
mkdir upper work root
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
cd root
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t tmpfs tmpfs sys/fs/cgroup
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for name in null zero full random urandom tty; do
    touch dev/$name
    mount --bind /dev/$name dev/$name
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for number in 0 1 2; do ln -s /proc/self/fd/$number dev/std$(echo in out err | cut -d" " -f$((number + 1))); done
for folder in run etc/systemd/system etc/systemd/user home opt srv var/log; do
    mount -t tmpfs -o mode=755 tmpfs $folder
done
mount -t tmpfs -o mode=1777 tmpfs tmp
rm -rf etc/fstab etc/spamlstm opt/spamlstm usr/local/bin/spamlstm var/lib/spamlstm var/vmail
mkdir .old
pivot_root . .old
cd /
umount -l /.old
exec env -i container=test PATH="$2" /lib/systemd/systemd --unit=basic.target --log-target=console --show-status=no
"""


@dataclass(frozen=True)
class Machine:
    """A booted machine. `process` is the number of its systemd on the real machine."""

    process: int

    def run(self, script: str, *, user: str = "root", folder: str = "/", check: bool = True) -> str:
        """Run a script with bash, as after a login of `user`, and return all its output. Fails like `bash -e`."""
        home = "/root" if user == "root" else f"/home/{user}"
        environment = [f"HOME={home}", f"USER={user}", f"PATH={PROGRAMS}", "LANG=C.UTF-8", *_settings_of_pip()]
        if user != "root":
            environment.append(f"XDG_RUNTIME_DIR=/run/user/{self.run(f'id -u {user}').strip()}")
        # The network of the real machine, as pip downloads packages; the machine itself has none.
        namespaces = ["--mount", "--pid", "--uts", "--ipc", "--cgroup", "--root"]
        command = ["nsenter", "-t", str(self.process), *namespaces, "env", "-i", *environment]
        if user != "root":
            command += ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        command += ["bash", "-euc", f"cd {shlex.quote(folder)}\n{script}"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        assert not check or done.returncode == 0, f"{script}\n{done.stdout}"
        return done.stdout

    def wait(self, condition: str) -> None:
        """Wait until a command succeeds; fails after two minutes."""
        self.run(f"for _ in $(seq 1200); do if {condition}; then exit; fi; sleep 0.1; done; exit 1")


def obstacle() -> str:
    """Return why no machine can be booted here, or an empty string."""
    if os.geteuid():
        return "only root can boot a system in namespaces"
    missing = [name for name in ("unshare", "nsenter", "setpriv") if shutil.which(name) is None]
    if not SYSTEMD.exists() or missing:
        return f"{', '.join(missing) or 'systemd'} is not installed here"
    python = subprocess.run(["/usr/bin/python3", "-c", "import ensurepip, venv"], capture_output=True, check=False)
    if python.returncode:
        return "the system's Python cannot create virtual environments"
    groups = _cgroups()
    if groups is None or not os.access(groups, os.W_OK):
        return "there is no cgroup2 file system here that root can change"
    tried = ["unshare", "--mount", "--pid", "--fork", "mount", "--make-rprivate", "/"]
    return "" if subprocess.run(tried, capture_output=True, check=False).returncode == 0 else "namespaces are forbidden"


@contextlib.contextmanager
def booted(folder: Path) -> Iterator[Machine]:
    """Boot a machine, whose files are in memory below `folder`."""
    group = _cgroups() / f"machine-{os.getpid()}"
    group.mkdir()
    try:
        namespaces = ["--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--fork", "--kill-child"]
        command = ["unshare", *namespaces, "sh", "-c", BOOT, "sh", str(folder), PROGRAMS]
        # The shell joins the control group of the machine before unshare makes it the root of the machine's groups.
        join = ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(group)]
        with (folder.parent / "boot.log").open("w+") as log:
            process = subprocess.Popen([*join, *command], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            yield _ready(process, folder.parent / "boot.log")
        finally:
            process.kill()  # and with it the first process of the machine, which ends all others
            process.wait()
    finally:
        _remove(group)


def _ready(process: subprocess.Popen[bytes], log: Path) -> Machine:
    for _ in range(600):
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if children and Path(f"/proc/{children[0]}/comm").read_text().strip() == "systemd":
            machine = Machine(int(children[0]))
            if "running" in machine.run("systemctl is-system-running || true"):
                return machine
        assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def _cgroups() -> Path | None:
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    return next((Path(mount[1]) for mount in mounts if mount[2] == "cgroup2"), None)


def _settings_of_pip() -> list[str]:
    """Return the variables with which pip reaches its index here, and its cache."""
    names = [name for name in os.environ if name.startswith(("PIP_", "SSL_")) or name.lower().endswith("_proxy")]
    cache = Path(pwd.getpwuid(os.geteuid()).pw_dir, ".cache/pip")
    return [f"PIP_CACHE_DIR={cache}", *(f"{name}={os.environ[name]}" for name in names)]


def _remove(group: Path) -> None:
    """Remove a control group and those in it, once their processes have ended."""
    for _ in range(600):
        with contextlib.suppress(OSError):
            for below, _, _ in os.walk(group, topdown=False):
                os.rmdir(below)  # noqa: PTH106
            return
        time.sleep(0.1)
    raise AssertionError(f"processes of the machine in {group} did not end")
