"""The login to an IMAP server: a connection with limits, TLS, and a password or token."""

import contextlib
import imaplib
from typing import Any

from spamlstm.config import AuthMethod, ImapConfig, TlsMode
from spamlstm.daemon.imap.allowance import Allowance, tls_context
from spamlstm.daemon.imap.answers import AccountUnavailableError, LoginRefusedError, response_code
from spamlstm.daemon.imap.limited_imap import LimitedImap


def logged_in(account: ImapConfig, secret: str, allowance: Allowance) -> Any:
    """Return a client of imapclient that is logged in with the password or token `secret`.

    The connection is encrypted if `tls` says so. Raises LoginRefusedError if the server refuses the secret, and any
    other error of a connection or a server.
    """
    client = _connected(account, allowance)
    try:
        client._imap.debug = 0  # noqa: SLF001  imapclient would format all commands for a log
        allowance.renew()
        if account.tls is TlsMode.STARTTLS:
            _encrypt(client, account, allowance)
        _log_in(client, account, secret)
        allowance.renew()
        client.capabilities()
        if client.has_capability("CONDSTORE") and client.has_capability("ENABLE"):
            client.enable("CONDSTORE")
    except BaseException:
        with contextlib.suppress(Exception):
            client.shutdown()
        raise
    return client


def _connected(account: ImapConfig, allowance: Allowance) -> Any:
    from imapclient import IMAPClient

    class LimitedClient(IMAPClient):  # type: ignore[misc]  # imapclient has no type information
        def _create_IMAP4(self) -> imaplib.IMAP4:  # noqa: N802  its name
            return LimitedImap(account, allowance)

        def _set_read_timeout(self) -> None:
            """Keep the timeouts of the allowance."""

    client = LimitedClient(account.host, account.tcp_port, ssl=account.tls is TlsMode.TLS)
    client.normalise_times = False
    return client


def _encrypt(client: Any, account: ImapConfig, allowance: Allowance) -> None:
    if not client.has_capability("STARTTLS"):
        where = f"{account.host} port {account.tcp_port}"
        raise AccountUnavailableError(f'{where} does not offer STARTTLS; the usual encryption is tls = "tls"')
    client.starttls(tls_context(allowance))
    client._imap.untagged_responses.clear()  # noqa: SLF001  they were not encrypted, and may be anybody's


def _log_in(client: Any, account: ImapConfig, secret: str) -> None:
    try:
        match account.auth:
            case AuthMethod.XOAUTH2:
                client.oauth2_login(account.user, secret)
            case AuthMethod.OAUTHBEARER:
                client.oauthbearer_login(account.user, secret)
            case AuthMethod.PLAIN if client.has_capability("AUTH=PLAIN"):
                client.plain_login(account.user, secret)
            case AuthMethod.PLAIN:
                _log_in_by_command(client, account.user, secret)
    except imaplib.IMAP4.abort:
        raise
    except (imaplib.IMAP4.error, UnicodeError) as error:
        if isinstance(error.__context__, imaplib.IMAP4.abort):  # the connection ended
            raise error.__context__ from None
        raise LoginRefusedError(f"{account.host} refused the login{response_code(error)}") from None


def _log_in_by_command(client: Any, user: str, secret: str) -> None:
    """Send LOGIN. imaplib would not quote the name, and refuses characters beyond ASCII, which RFC 9051 permits."""
    imap = client._imap  # noqa: SLF001
    status, data = imap._simple_command("LOGIN", _quoted(user), _quoted(secret))  # noqa: SLF001
    client._checkok("LOGIN", status, data)  # noqa: SLF001
    imap.state = "AUTH"


def _quoted(text: str) -> bytes:
    """Return a quoted string of RFC 9051."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'.encode()
