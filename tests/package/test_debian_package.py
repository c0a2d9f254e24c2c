"""The Debian package is built by `make deb` and installed on a clean Debian, which systemd boots in namespaces.

The package is built while the clean Debian is downloaded. Both take half a minute, and each uses one core.
"""

import re
import shutil

import pytest
from booted import SPAM, booted, obstacle
from clean_debian import unpack_debian

OBSTACLE = obstacle()
pytestmark = [pytest.mark.peers, pytest.mark.timeout(600), pytest.mark.skipif(bool(OBSTACLE), reason=OBSTACLE)]

CONFIG = "/etc/spamlstm/config.toml"
MAILDIR = "/var/vmail/example.org/ann/Maildir"
DROP_INS = "/usr/share/spamlstm"


@pytest.fixture(scope="module")
def machine(root, debian_build, tmp_path_factory):
    """A clean Debian with the package and a message in its root folder. The package is not yet installed."""
    folder = tmp_path_factory.mktemp("machine")
    unpack_debian(folder / "debian", kept=root / "build")
    shutil.copy(debian_build.package(), folder / "debian/spamlstm.deb")
    (folder / "memory").mkdir()
    with booted(folder / "memory", system=folder / "debian") as ours:
        ours.run(f"cat > /mail <<'END'\n{SPAM}END")
        yield ours


@pytest.fixture(scope="module")
def installed(machine):
    """The machine after dpkg has installed the package, with a Maildir of vmail."""
    machine.run("dpkg -i /spamlstm.deb")
    machine.run(f"mkdir -p {MAILDIR}/{{new,cur,tmp}}; chown -R vmail: /var/vmail/*")
    return machine


def deliver(machine, name):
    machine.run(f"cat > tmp/{name} <<'END'\n{SPAM.format(name=name)}END", folder=MAILDIR)
    machine.run(f"chmod 600 tmp/{name}; chown vmail: tmp/{name}; mv tmp/{name} new/", folder=MAILDIR)


def state(machine, *, unit="spamlstm"):
    return machine.run(f"systemctl show {unit} -p ActiveState --value").strip()


def header(machine, unit="spamlstm.service"):
    """Return the commands in the first lines of an installed unit."""
    text = machine.run(f"cat /lib/systemd/system/{unit}").partition("[Unit]")[0]
    return "\n".join(re.findall(r"(?m)^#   (.*)$", text))


def test_it_classifies_after_one_command(machine, installed):
    """The package needs nothing but what a clean Debian with Python has, and judges mail when dpkg has ended."""
    assert machine.run("spamlstm classify /mail").startswith("spam")
    assert machine.run("spamlstm classify /mail --exit-code", check=False).startswith("spam")
    assert "X-Spam-Flag: YES" in machine.run("spamlstm filter < /mail")


def test_nothing_runs_without_a_configuration(installed):
    """The service is enabled, not started, and its start does nothing before there is a configuration."""
    assert state(installed) == "inactive"
    assert installed.run("systemctl is-enabled spamlstm").strip() == "enabled"
    installed.run("systemctl start spamlstm")
    assert state(installed) == "inactive"
    assert CONFIG in installed.run("systemctl status spamlstm", check=False)
    installed.run("test ! -e /etc/systemd/user/default.target.wants/spamlstm.service")


def test_the_service_starts_by_its_own_header(installed):
    """The commands in the first lines of the unit start the daemon, which files mail as vmail."""
    installed.run(header(installed))
    installed.run(f"""sed -i 's|^path = .*|path = "/var/vmail/*/*/Maildir"|' {CONFIG}; systemctl reload spamlstm""")
    installed.wait("spamlstm status --state /var/lib/spamlstm | grep -q '1 watched'")
    deliver(installed, "1.spam")
    installed.wait(f"stat {MAILDIR}/.Junk/new/* >/dev/null 2>&1")
    assert installed.run(f"stat -c '%U %a' {MAILDIR}/.Junk/new/*").strip() == "vmail 600"
    assert installed.run("systemd-analyze verify --man=no spamlstm.service") == ""


def exposure(machine):
    """Return how systemd rates the running unit, from 0 to 10."""
    rated = machine.run("systemd-analyze security --no-pager spamlstm.service")
    return float(re.findall(r"exposure level for spamlstm.service: ([\d.]+)", rated)[0])


def ask(machine, port, request):
    """Return the first bytes of an answer on the loopback interface, which is the only one of the machine."""
    client = f's = socket.create_connection(("127.0.0.1", {port})); s.sendall(b"{request}\\r\\n\\r\\n")'
    return machine.run(f"nsenter --net -t 1 python3 -c 'import socket; {client}; print(s.recv(100))'")


def test_listeners_work_in_the_sandbox(installed):
    """Members of a group use the Unix socket, and programs of the machine use port 783, which systemd opens.

    The unit then has no network and no rights: systemd rates it at 0.5 of 10 or better. For an address that the daemon
    opens, it has a drop-in, with 1.0 or better.
    """
    used = "/etc/systemd/system/spamlstm.service.d"
    installed.run(f"mkdir {used}; cp {DROP_INS}/spamlstm-group.conf {used}")
    listeners = '[filter]\nlisten = "unix:/run/spamlstm/filter.sock"\n[spamd]\nlisten = "127.0.0.1:783"\n'
    installed.run(f"""sed -i '/^.filter.$/d; /^.spamd.$/d' {CONFIG}; echo '{listeners}' >> {CONFIG}""")
    installed.run(
        "test ! -e /etc/systemd/system/sockets.target.wants/spamlstm.socket; useradd -m -G mail bob; useradd -m eve"
    )
    installed.run(f"systemctl daemon-reload\n{header(installed, 'spamlstm.socket')}")
    assert installed.run("stat -c '%U %G %a' /run/spamlstm/filter.sock").strip() == "vmail mail 660"
    assert exposure(installed) <= 0.5

    installed.run("chmod 644 /mail")
    for user in ("bob", "eve"):
        assert "X-Spam-Flag: YES" in installed.run("spamlstm filter < /mail", user=user)
    assert "filter.sock: 1 classified (1 spam)" in installed.run("spamlstm status --state /var/lib/spamlstm")
    assert "PONG" in ask(installed, 783, "PING SPAMC/1.5")

    installed.run(f"cp {DROP_INS}/spamlstm-network.conf {used}")
    installed.run(f"""sed -i '/^.http.$/d' {CONFIG}; printf '[http]\nlisten = "127.0.0.1:11333"\n' >> {CONFIG}""")
    installed.run("systemctl daemon-reload; systemctl restart spamlstm")
    assert exposure(installed) <= 1.0
    assert "200 OK" in ask(installed, 11333, "GET /ping HTTP/1.0")
    assert "PONG" in ask(installed, 783, "PING SPAMC/1.5")


def test_an_upgrade_restarts_it_and_keeps_the_configuration(installed):
    """The daemon is replaced, its port stays open, and a changed configuration is neither replaced nor asked about."""
    before = installed.run(f"systemctl show spamlstm -p MainPID; cat {CONFIG}")
    installed.run("dpkg -i /spamlstm.deb < /dev/null")
    after = installed.run(f"systemctl show spamlstm -p MainPID; cat {CONFIG}")
    assert [state(installed), state(installed, unit="spamlstm.socket")] == ["active", "active"]
    assert after.partition("\n")[0] != before.partition("\n")[0]
    assert after.partition("\n")[2] == before.partition("\n")[2]


def test_remove_and_purge_keep_mail(installed):
    """Remove stops the daemon and keeps all data. Purge removes the configuration, and asks whether to remove state.

    The state may be a file system of its own.
    """
    kept = f"{MAILDIR}/.Junk/new/* /var/lib/spamlstm/*.sqlite"
    installed.run("dpkg -r spamlstm")
    assert state(installed) == "inactive"
    installed.run(f"ls {kept} {CONFIG}; test ! -e /usr/bin/spamlstm; test ! -e /usr/lib/spamlstm")
    assert "/var/lib/spamlstm" in installed.run("DEBIAN_FRONTEND=noninteractive dpkg -P spamlstm")
    installed.run(f"ls {kept}; test ! -e /etc/spamlstm; getent passwd vmail")

    purge = "DEBIAN_FRONTEND=readline script -qec 'dpkg -P spamlstm' /dev/null"
    for answer in ("n", "y"):
        installed.run("dpkg -i /spamlstm.deb; test -e /var/lib/spamlstm")
        assert "Remove what spamlstm learned?" in installed.run(f"echo {answer} | {purge}")
    installed.run(f"ls {MAILDIR}/.Junk/new/*; test ! -e /var/lib/spamlstm")

    installed.run("dpkg -i /spamlstm.deb; mkdir /var/lib/spamlstm; mount -t tmpfs tmpfs /var/lib/spamlstm")
    installed.run("touch /var/lib/spamlstm/labels.sqlite")
    installed.run("echo 'spamlstm spamlstm/remove-state boolean true' | debconf-set-selections")
    installed.run("DEBIAN_FRONTEND=noninteractive dpkg -P spamlstm")
    assert installed.run("ls -A /var/lib/spamlstm") == ""
    installed.run(f"ls {MAILDIR}/.Junk/new/*; umount /var/lib/spamlstm; rmdir /var/lib/spamlstm")
    assert installed.run("find / -xdev -name '*spamlstm*' -not -name '*.deb'") == ""


def test_the_daemon_behind_the_recipes(root, machine):
    """By the page of recipes, programs of the group `mail` ask the daemon, and read the configuration without it."""
    page = (root / "docs/guide/recipes.md").read_text().partition("\n## The daemon behind the recipes\n")[2]
    commands, config = re.findall(r"(?m)(?:^    .*\n|^\n(?=    ))+", page)[:2]
    machine.run(f"dpkg -i /spamlstm.deb; {re.sub('(?m)^    ', '', commands)}")
    config = re.sub("(?m)^    ", "", config) + '[policy]\nallow = ["a@example.org"]\n'
    machine.run(f"cat > {CONFIG} <<'END'\n{config}END")
    assert "spamlstm-group.conf" in machine.run("! systemctl start spamlstm; systemctl status -l spamlstm || true")

    used = "/etc/systemd/system/spamlstm.service.d"
    machine.run(f"mkdir -p {used}; cp {DROP_INS}/spamlstm-group.conf {used}; sed -i '/^group/d' {CONFIG}")
    machine.run("systemctl daemon-reload; systemctl start spamlstm")
    asked = "setpriv --reuid=mail --regid=mail --clear-groups spamlstm filter < /mail"
    for action in ("", "systemctl stop spamlstm"):
        assert "SPAMLSTM_ALLOW" in machine.run(f"{action}\n{asked}")


def test_a_socket_in_the_folder_of_postfix(root, machine):
    """By the page of the milter, the group postfix can connect to a socket of the service in the folder of Postfix."""
    page = (root / "docs/guide/milter.md").read_text()
    (command,) = re.findall(r"(?m)^    (install -d .*)$", page)
    (listen,) = re.findall(r'"unix:(/[^"]+)"', page)
    (setting,) = re.findall(r"`(ReadWritePaths=[^`]+)`", page)
    machine.run(f"dpkg -i /spamlstm.deb; groupadd -f postfix; mkdir -p /var/spool/postfix\n{command}")
    machine.run("mkdir -p /etc/systemd/system/spamlstm.service.d")
    machine.run(f"printf '[Service]\n{setting}\n' > /etc/systemd/system/spamlstm.service.d/milter.conf")
    machine.run(f"""rm -f {CONFIG}; spamlstm config init --path {CONFIG} --group vmail""")
    machine.run(f"""printf '[milter]\nlisten = "unix:{listen}"\n' > {CONFIG}; systemctl daemon-reload""")
    machine.run("systemctl restart spamlstm")
    assert machine.run(f"stat -c '%U %G %a' {listen}").strip() == "vmail postfix 660"
