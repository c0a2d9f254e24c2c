"""Logins on a real Dovecot: encrypted, with names that have spaces, and with access tokens."""

import contextlib
import http.server
import json
import re
import shutil
import subprocess
import threading
import urllib.parse
from dataclasses import replace

import pytest
from dovecot import running
from imap_account import SPECIAL, account_of, served
from ports import free_port
from watching import until

from spamlstm.config import AuthMethod, TlsMode
from spamlstm.daemon.imap.answers import AccountUnavailableError, LoginRefusedError
from spamlstm.daemon.imap.connection import ImapConnection

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(shutil.which("dovecot") is None, reason="dovecot is not installed here"),
]
TLS = """
ssl = {ssl}
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
service imap-login {{
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
"""
# Writes each attempt to log in to the log.
AUDIT = "auth_debug = yes\n"
OAUTH = """
auth_mechanisms = plain xoauth2 oauthbearer
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {folder}/oauth2.conf
}}
"""
INTROSPECTION = """
introspection_mode = get
introspection_url = http://127.0.0.1:{port}/?token=
username_attribute = user
active_attribute = active
active_value = yes
"""


def certificate(folder, name):
    """Make a certificate for `name` that signs itself, with its key."""
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    files = ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    subject = ["-subj", "/CN=test", "-addext", f"subjectAltName={name}"]
    subprocess.run([*command, *files, *subject], check=True, capture_output=True)
    return folder / "cert.pem"


@contextlib.contextmanager
def encrypted(folder, name="IP:127.0.0.1"):
    """Run a server that takes passwords by encrypted connections only. Give it with its port for each kind of TLS."""
    certificate(folder, name)
    port = free_port()
    with running(SPECIAL + AUDIT + TLS.format(folder=folder, port=port, ssl="required")) as server:
        yield server, {TlsMode.TLS: port, TlsMode.STARTTLS: server.port}


def assert_no_login(server):
    """Wait until the server has noticed the end of the only connection. It got no name and no password."""
    log = server.folder / "dovecot.log"
    until(lambda: re.search(r"imap-login: .*[Dd]isconnected", log.read_text()))
    assert "client in: AUTH" not in log.read_text()


@pytest.mark.parametrize("tls", [TlsMode.TLS, TlsMode.STARTTLS])
def test_an_encrypted_account_is_served(tls, tiny, tmp_path, monkeypatch):
    """An account is served by TLS and by STARTTLS if a trusted authority has signed for the name of the host."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    with (
        encrypted(tmp_path) as (server, ports),
        served(server, tmp_path / "state", tiny, port=ports[tls], tls=tls) as account,
    ):
        server.deliver(1)
        until(lambda: account.places()["Junk"] == [1])
        assert "client in: AUTH" in (server.folder / "dovecot.log").read_text()


@pytest.mark.parametrize("tls", [TlsMode.TLS, TlsMode.STARTTLS])
@pytest.mark.parametrize("kind", ["authority", "name"])
def test_no_password_is_sent_to_a_server_that_cannot_prove_its_name(tls, kind, tmp_path, monkeypatch):
    """An unknown authority and the name of another host end the connection before the login, with a sentence."""
    if kind == "name":
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    with encrypted(tmp_path, "DNS:other.example" if kind == "name" else "IP:127.0.0.1") as (server, ports):
        with pytest.raises(AccountUnavailableError, match="certificate of"):
            ImapConnection.open(account_of(ports[tls], tls=tls), "secret")
        assert_no_login(server)


def test_no_password_is_sent_if_the_server_has_no_tls():
    """A server, or somebody between, that does not offer STARTTLS does not get the password."""
    with running(AUDIT) as server:
        with pytest.raises(AccountUnavailableError, match="does not offer STARTTLS"):
            ImapConnection.open(account_of(server.port, tls=TlsMode.STARTTLS), "secret")
        assert_no_login(server)


def test_a_name_with_spaces_logs_in():
    """Any printable name is sent whole."""
    with running('auth_username_chars =\nauth_username_format = "%u"\n') as server:
        for user in ("ann lee", 'a"b', "änn@example.org"):
            connection = ImapConnection.open(replace(account_of(server.port), user=user), "secret")
            assert connection.folders()
            connection.close()
        assert server.complaints() == []


class Introspection(http.server.BaseHTTPRequestHandler):
    """The part of an authority for tokens that tells a mail server whose token it got."""

    def do_GET(self):
        (token,) = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)["token"]
        body = json.dumps({"active": "yes" if token == "good+/=" else "no", "user": "ann"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Keep quiet."""


@pytest.mark.parametrize("auth", [AuthMethod.XOAUTH2, AuthMethod.OAUTHBEARER])
def test_a_token_logs_in(auth, tiny, tmp_path):
    """The token that a command prints logs in, and a token that has expired is a refused login.

    Dovecot asks an HTTP server of this test whose token it is (RFC 7662).
    """
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Introspection) as authority:
        threading.Thread(target=authority.serve_forever, daemon=True).start()
        (tmp_path / "oauth2.conf").write_text(INTROSPECTION.format(port=authority.server_port))
        with running(SPECIAL + OAUTH.format(folder=tmp_path)) as server:
            token = {"auth": auth, "password_command": None, "token_command": ("printf", "good+/=")}
            with served(server, tmp_path / "state", tiny, **token) as account:
                server.deliver(1)
                until(lambda: account.places()["Junk"] == [1])
            with pytest.raises(LoginRefusedError, match="refused the login"):
                ImapConnection.open(account_of(server.port, **token), "expired")
        authority.shutdown()
