"""The services start as the guide says, on a machine that systemd has just booted, in their real sandbox.

The commands are those of docs/guide.md, so the page cannot become wrong unnoticed.
"""

import json
import re
import shutil
import time

import pytest
from booted import SPAM, booted, obstacle

from spamlstm.errors import ExitStatus

OBSTACLE = obstacle()
pytestmark = [pytest.mark.peers, pytest.mark.timeout(600), pytest.mark.skipif(bool(OBSTACLE), reason=OBSTACLE)]

CHECKOUT = "/root/checkout"
CONFIG = "/etc/spamlstm/config.toml"


@pytest.fixture(scope="module")
def guide(root):
    """Return the indented blocks of a section of the guide."""
    text = (root / "docs/guide.md").read_text()

    def blocks(heading):
        section = re.split(r"(?m)^##+ ", text.partition(f"# {heading}\n")[2])[0]
        found = re.findall(r"(?:(?:^|(?<=\n))    .*\n+)+", section)
        return [re.sub(r"(?m)^    ", "", block).strip() + "\n" for block in found]

    return blocks


@pytest.fixture(scope="module")
def machine(root, tmp_path_factory):
    """A machine with a checkout of root, two users who have a Maildir, and nothing of ours."""
    folder = tmp_path_factory.mktemp("machine") / "files"
    folder.mkdir()
    with booted(folder) as ours:
        files = f"/proc/{ours.process}/root{CHECKOUT}"
        no_sources = shutil.ignore_patterns(".*", "__pycache__", "without-*", "tests", "build", "dist")
        shutil.copytree(root, files, ignore=no_sources, symlinks=True)
        ours.run("chmod 700 /root; for name in ann bob; do useradd -m $name; chmod 700 /home/$name; done")
        for name in ("ann", "bob"):
            ours.run("mkdir -p ~/Maildir/new ~/Maildir/cur ~/Maildir/tmp", user=name)
        yield ours


@pytest.fixture(scope="module")
def installed(machine, guide):
    """Install the service as the guide says, up to the file that the administrator edits; return the blocks left."""
    install, configuration, start, *others = guide("As a system service")
    missing = "Network is unreachable|Temporary failure in name resolution|Connection refused"
    # Without the newest versions of libraries, which may differ from day to day. Many servers have this umask.
    settings = f"export PIP_CONSTRAINT={CHECKOUT}/constraints.txt; umask 077"
    output = machine.run(f"{settings}\n{install}", folder=CHECKOUT, check=False)
    if re.search(missing, output):
        pytest.skip("pip cannot download packages here")
    assert f"{CONFIG} written" in output, output
    machine.run("mkdir -p /var/vmail/example.org/ann/Maildir/new /var/vmail/example.org/ann/Maildir/cur")
    machine.run("mkdir -p /var/vmail/example.org/ann/Maildir/tmp; chown -R vmail: /var/vmail/*")
    edit(machine, configuration)
    return start, others


def edit(machine, text, path=CONFIG):
    """Change the text of a file, as an editor does, which keeps owner and mode."""
    assert text.startswith("[[maildir]]")
    machine.run(f"cat > {path} <<'END'\n{text}END")


def deliver(machine, maildir, *, owner, name="1.spam"):
    """Deliver spam to a Maildir."""
    machine.run(f"cat > tmp/{name} <<'END'\n{SPAM.format(name=name)}END", folder=maildir)
    machine.run(f"chmod 600 tmp/{name}; chown {owner} tmp/{name}; mv tmp/{name} new/", folder=maildir)


def filed(machine, maildir):
    """Wait until a message is in the junk folder, and return its owner and mode."""
    machine.wait(f"stat {maildir}/.Junk/new/* >/dev/null 2>&1")
    return machine.run(f"stat -c '%U %a' {maildir}/.Junk/new/*").strip()


def shown(machine, *names, scope="--system", user="root"):
    """Return properties of the unit."""
    text = machine.run(f"systemctl {scope} show spamlstm -p {','.join(names)}", user=user)
    return dict(line.split("=", 1) for line in text.splitlines())


def logged(machine, *options):
    """Return the messages of the unit in the journal."""
    lines = machine.run(f"journalctl --sync; journalctl -q -u spamlstm -o json {' '.join(options)}").splitlines()
    return [json.loads(line) for line in lines]


def is_fine(machine):
    """Return whether the daemon runs and was never started again."""
    return shown(machine, "ActiveState", "NRestarts") == {"ActiveState": "active", "NRestarts": "0"}


def test_virtual_users(machine, installed):
    """With the guide's steps the daemon of vmail files mail, reloads, satisfies the watchdog, and stops cleanly."""
    start, (undo, upgrade) = installed
    machine.run("mkdir -p /etc/systemd/system/spamlstm.service.d")
    machine.run("printf '[Service]\nWatchdogSec=2s\n' > /etc/systemd/system/spamlstm.service.d/watchdog.conf")
    assert "1 watched" in machine.run(start, folder=CHECKOUT)
    began = time.monotonic()
    maildir = "/var/vmail/example.org/ann/Maildir"
    deliver(machine, maildir, owner="vmail:vmail")
    assert filed(machine, maildir) == "vmail 600"
    (done,) = [line for line in logged(machine) if line["MESSAGE"].startswith("done ")]
    assert (done["PRIORITY"], done["SYSLOG_IDENTIFIER"]) == ("6", "spamlstm")
    assert f"done maildir={maildir} base=1.spam " in done["MESSAGE"]
    assert logged(machine, "-p", "warning") == []

    edit(machine, '[[maildir]]\npath = "/var/vmail/*/*/Maildir"\nspam = []\n')
    machine.run("systemctl reload spamlstm")
    deliver(machine, maildir, owner="vmail:vmail", name="2.spam")
    machine.wait("journalctl -q -u spamlstm | grep -q base=2.spam")
    assert "2.spam" in machine.run(f"ls {maildir}/new")

    listeners = '[filter]\nlisten = "unix:/run/spamlstm/filter.sock"\n'
    edit(machine, f'[[maildir]]\npath = "/var/vmail/*/*/Maildir"\nspam = []\n{listeners}')
    machine.run("systemctl reload spamlstm; usermod -aG vmail bob")
    machine.wait("journalctl -q -u spamlstm | grep -q 'listening listener=filter'")
    machine.run(f"cp {maildir}/new/2.spam /tmp/mail; chmod 644 /tmp/mail")
    assert "X-Spam-Flag: YES" in machine.run("/opt/spamlstm/bin/spamlstm filter < /tmp/mail", user="bob")
    machine.wait("spamlstm status --state /var/lib/spamlstm | grep -q 'listener filter.*: 1 classified (1 spam)'")

    assert "would be undone" in machine.run(undo)
    machine.run(f"sleep {max(0, began + 4 - time.monotonic())}")  # two periods of the watchdog
    assert is_fine(machine)
    assert "systemctl restart spamlstm" in upgrade
    machine.run("systemctl stop spamlstm")
    assert shown(machine, "Result", "ExecMainStatus") == {"Result": "success", "ExecMainStatus": "0"}


def test_retraining(machine, installed, root):
    """With the steps in its file, but without the large packages of the first, the timer's service says what to do."""
    header = (root / "systemd/spamlstm-retrain.service").read_text().partition("[Unit]")[0]
    steps = re.findall(r"(?m)^#   (?!.*pip install)(.*)$", header)
    edit(machine, '[[maildir]]\npath = "/var/vmail/*/*/Maildir"\n')
    machine.run(installed[0], folder=CHECKOUT)
    machine.run("\n".join(steps), folder=CHECKOUT, check=False)
    output = machine.run("journalctl --sync; journalctl -u spamlstm-retrain")
    assert "/opt/spamlstm/bin/python3 -m pip install" in output, output
    assert is_fine(machine)
    machine.run("systemctl disable --now spamlstm-retrain.timer")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("mv {config} {config}.away", "spamlstm config init --path {config}"),
        ("chmod 600 {config}", "chmod g+r {config}"),
        ("chmod 666 {config}", "chmod go-w {config}"),
        ("echo '[polcy]' >> {config}", "did you mean 'policy'?"),
        ("mv /opt/spamlstm/lib /opt/lib", "No module named 'spamlstm'"),
        ("mv /opt/spamlstm /opt/away", "status=203/EXEC"),
        ("mv /var/vmail /var/away", "status=226/NAMESPACE"),
    ],
)
def test_a_wrong_setup_fails_once_and_says_why(machine, installed, change, words):
    """The service does not restart again and again, and `systemctl status` shows what to do."""
    machine.run(
        f"systemctl stop spamlstm; systemctl reset-failed; cp -p {CONFIG} {CONFIG}.good; {change.format(config=CONFIG)}"
    )
    try:
        machine.run("! systemctl start spamlstm")
        state = shown(machine, "ActiveState", "NRestarts", "ExecMainStatus")
        assert (state["ActiveState"], state["NRestarts"]) == ("failed", "0")
        assert words.format(config=CONFIG) in machine.run("systemctl status -l spamlstm --no-pager", check=False)
        if "config" in change:
            assert state["ExecMainStatus"] == str(ExitStatus.CONFIG.value)
            assert words.format(config=CONFIG) in logged(machine, "-p", "err", "-n", "1")[0]["MESSAGE"]
    finally:
        machine.run(f"mv {CONFIG}.good {CONFIG}")
        for away, place in (
            ("/var/away", "/var/vmail"),
            ("/opt/away", "/opt/spamlstm"),
            ("/opt/lib", "/opt/spamlstm/lib"),
        ):
            machine.run(f"! test -d {away} || mv {away} {place}")


def test_the_mail_of_all_users(machine, installed, guide):
    """With the guide's steps one daemon files each user's mail as that user, without the rights of root."""
    machine.run("systemctl disable --now spamlstm; rm -r /etc/spamlstm /var/lib/spamlstm")
    prepare, configuration, start = guide("Several users")
    machine.run(prepare)
    edit(machine, configuration)
    assert "2 watched" in machine.run(start, folder=CHECKOUT)
    for name in ("ann", "bob"):
        deliver(machine, f"/home/{name}/Maildir", owner=f"{name}:{name}")
        assert filed(machine, f"/home/{name}/Maildir") == f"{name} 600"
    process = shown(machine, "MainPID")["MainPID"]
    rights = int(re.search(r"CapEff:\s+(\w+)", machine.run(f"cat /proc/{process}/status"))[1], 16)
    assert rights == 1 << 2 | 1 << 6 | 1 << 7  # CAP_DAC_READ_SEARCH, CAP_SETGID, CAP_SETUID
    assert is_fine(machine)
    machine.run("systemctl disable --now spamlstm; rm -r /home/*/Maildir/.Junk")


@pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="dbus is not installed here")
def test_the_mail_of_one_user(machine, installed, guide):
    """With the guide's steps the daemon of one user files mail and reloads, in a sandbox without network."""
    install = guide("Install")[0]
    # `installed` really runs pip, which takes half a minute. Here its result is used.
    used = "ls -d /opt/spamlstm/lib/python3*/site-packages > $(echo ~/spamlstm/lib/python3*/site-packages)/used.pth"
    program = "sed s,/opt,$HOME, /opt/spamlstm/bin/spamlstm > ~/spamlstm/bin/spamlstm; chmod +x ~/spamlstm/bin/spamlstm"
    install, count = re.subn("~/spamlstm/bin/pip install .*", f"{used}; {program}", install)
    assert count == 1
    start, linger = guide("As a user service")
    machine.run(f"systemctl start dbus systemd-logind; cp -r {CHECKOUT} /home/ann/; chown -R ann: /home/ann; {linger}")
    machine.wait("test -S /run/user/$(id -u ann)/systemd/private")
    output = machine.run(install + start, user="ann", folder="/home/ann/checkout")
    assert "1 watched" in output
    deliver(machine, "/home/ann/Maildir", owner="ann:ann")
    assert filed(machine, "/home/ann/Maildir") == "ann 600"
    machine.run("systemctl --user reload spamlstm", user="ann")
    loaded = 'until test "$(systemctl --user show -P ActiveState spamlstm)" = active; do sleep 0.1; done'
    machine.run(f"timeout 60 sh -c '{loaded}'", user="ann")
    state = shown(machine, "ActiveState", "NRestarts", "MainPID", scope="--user", user="ann")
    assert (state["ActiveState"], state["NRestarts"]) == ("active", "0")
    network = machine.run(f"readlink /proc/{state['MainPID']}/ns/net /proc/1/ns/net").split()
    assert network[0] != network[1]
