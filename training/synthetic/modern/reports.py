# ruff: noqa: E501  # texts of reports are long lines
"""Mail of machines and of special programs: reports, bounces, cron output, encrypted mail. All of it is ham."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from .. import mime
from ..headers import encoded
from ..mime import Part
from ..organisations import coin
from ..tokens import alnum, base64, chance, digits, folded, hexes, public_ip
from .routes import Route
from .slots import Scene


def _plain(text: str) -> Part:
    return Part(("Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit"), _crlf(text))


def _typed(kind: str, text: str) -> Part:
    return Part((f"Content-Type: {kind}",), _crlf(text))


def _crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def _file(kind: str, name: str, data: bytes) -> Part:
    return mime.attachment_part(mime.Attachment(name, kind, data))


def dmarc(rng: Random, scene: Scene, route: Route) -> tuple[str, Part]:
    """Return a DMARC aggregate report: a compressed file and few or no words (RFC 7489)."""
    mine, sender, day = scene.recipient.domain, scene.org.domain, scene.arrived.strftime("%Y%m%d")
    subject = f"Report domain: {mine} Submitter: {sender} Report-ID: <{digits(rng, 10)}@{sender}>"
    end = rng.choice(("zip", "xml.gz"))
    kind = "application/zip" if end == "zip" else "application/gzip"
    data = _file(kind, f"{sender}!{mine}!{day}!{digits(rng, 10)}.{end}", mime.filler(rng, "application/zip"))
    route.display, route.sender = rng.choice(("", f"DMARC {sender}")), f"noreply-dmarc@{route.domain}"
    if chance(rng, 0.4):
        return subject, data
    return subject, mime.multipart(rng, "mixed", [_plain(f"This is a DMARC aggregate report for {mine}.\n"), data])


def arf(rng: Random, scene: Scene, _: Route) -> tuple[str, Part]:
    """Return an abuse report about a message of the recipient's server (RFC 5965)."""
    ip, mine = public_ip(rng), scene.recipient.domain
    text = f"This is an email abuse report for a message received from IP {ip} on {scene.day(-3, 0)}.\n"
    fields = (
        f"Feedback-Type: abuse\nUser-Agent: {scene.org.name}/1.{rng.randrange(9)}\nVersion: 1\n"
        f"Original-Mail-From: <news@{mine}>\nReported-Domain: {mine}\nSource-IP: {ip}\n"
    )
    message = f"From: <news@{mine}>\nTo: <{alnum(rng, 7).lower()}@{scene.org.domain}>\nSubject: {coin(rng)}\n\nHello\n"
    parts = [_plain(text), _typed("message/feedback-report", fields), _typed("message/rfc822", message)]
    return f"Abuse report: {ip}", mime.multipart(rng, "report; report-type=feedback-report", parts)


def bounce(rng: Random, scene: Scene, route: Route) -> tuple[str, Part]:
    """Return a notice that a message of the recipient could not be delivered (RFC 3464)."""
    address, reason = f"{scene.writer.local}@{scene.org.domain}", rng.choice((
        "550 5.1.1 User unknown", "552 5.2.2 Mailbox full", "554 5.7.1 Relay access denied", "450 4.2.0 Greylisted",
        "550 5.7.26 Unauthenticated email is not accepted",
    ))  # fmt: skip
    route.display, route.sender, route.envelope = "Mail Delivery System", f"MAILER-DAEMON@{route.domain}", ""
    text = f"Your message could not be delivered to one or more recipients.\n\n<{address}>: {reason}\n"
    status = f"Reporting-MTA: dns; {route.helo}\n\nFinal-Recipient: rfc822; {address}\nAction: failed\nStatus: {reason[4:9]}\n"
    original = f"From: {encoded(scene.recipient.name)} <{scene.recipient.address}>\nTo: <{address}>\nSubject: {encoded(scene.fill('item'))}\n"
    parts = [_plain(text), _typed("message/delivery-status", status), _typed("text/rfc822-headers", original)]
    subject = rng.choice(
        (
            "Undelivered Mail Returned to Sender",
            "Delivery Status Notification (Failure)",
            "Returned mail: see transcript",
        )
    )
    return subject, mime.multipart(rng, "report; report-type=delivery-status", parts)


def cron(rng: Random, scene: Scene, route: Route) -> tuple[str, Part]:
    """Return the output of a scheduled command on a machine of the recipient."""
    host = f"{coin(rng).lower()}{rng.randrange(9)}"
    _from_own_machine(scene, route, host)
    command, output = rng.choice(
        (
            (
                "/usr/local/bin/backup.sh",
                f"rsync: {digits(rng, 6)} files, {digits(rng, 4)} MB\ntotal size is {digits(rng, 9)}\n",
            ),
            (
                "certbot renew",
                f"Cert not yet due for renewal: {scene.recipient.domain} expires on {scene.day(20, 60)}\n",
            ),
            (
                "apt-get -q upgrade",
                f"{rng.randrange(2, 40)} upgraded, 0 newly installed, 0 to remove\nSetting up linux-image-6.1.{digits(rng, 2)}\n",
            ),
            (
                "run-parts /etc/cron.daily",
                f"/etc/cron.daily/logrotate:\nerror: stat of /var/log/{coin(rng).lower()}.log failed\n",
            ),
            ("df -h", f"/dev/sda1  {digits(rng, 3)}G  {digits(rng, 2)}G  {rng.randrange(50, 99)}% /\n"),
        )
    )
    return f"Cron <root@{host}> {command}", _plain(output)


def monitor(rng: Random, scene: Scene, route: Route) -> tuple[str, Part]:
    """Return a message of a monitoring system."""
    host, check = (
        f"{coin(rng).lower()}.{scene.recipient.domain}",
        rng.choice(("HTTP", "disk /", "load", "SMTP", "RAID", "UPS")),
    )
    if chance(rng, 0.6):
        _from_own_machine(scene, route, "monitor")
    state = rng.choice(("CRITICAL", "WARNING", "OK", "RECOVERY", "DOWN"))
    text = (
        f"***** {coin(rng)} *****\n\nService: {check}\nHost: {host}\nAddress: {public_ip(rng)}\nState: {state}\n\n"
        f"Date/Time: {scene.arrived:%Y-%m-%d %H:%M}\n\nAdditional info:\n\n{check} {state} - {digits(rng, 2)}.{digits(rng, 2)}\n"
    )
    return rng.choice(
        (f"** {state}: {host}/{check} **", f"[{state}] {check} on {host}", f"{host} {check} is {state}")
    ), _plain(text)


def _from_own_machine(scene: Scene, route: Route, host: str) -> None:
    """Let a machine of the recipient's own network send the message, unsigned."""
    domain = scene.recipient.domain
    route.display, route.sender, route.envelope = "", f"root@{host}.{domain}", f"root@{host}.{domain}"
    route.helo, route.message_id_host, route.signed = f"{host}.{domain}", f"{host}.{domain}", []
    route.spf = route.dmarc = "none"
    route.client_ip, route.service, route.unsubscribe, route.reply_to = (
        "192.168.1." + str(scene.rng.randrange(2, 250)),
        None,
        None,
        "",
    )


def smime_encrypted(rng: Random, scene: Scene, _: Route) -> tuple[str, Part]:
    """Return an S/MIME message that only the recipient can read."""
    headers = (
        'Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"',
        "Content-Transfer-Encoding: base64",
        'Content-Disposition: attachment; filename="smime.p7m"',
    )
    return rng.choice((scene.fill("item"), "...", "Re: " + scene.fill("item"))), Part(
        headers, mime.base64_lines(rng.randbytes(900))
    )


def pgp_encrypted(rng: Random, scene: Scene, _: Route) -> tuple[str, Part]:
    """Return a PGP/MIME message that only the recipient can read (RFC 3156)."""
    block = f"-----BEGIN PGP MESSAGE-----\n\n{folded(base64(rng, 700), 64, chr(10))}\n={alnum(rng, 4)}\n-----END PGP MESSAGE-----\n"
    if chance(rng, 0.3):
        return scene.fill("item"), _plain(block)
    parts = [
        _typed("application/pgp-encrypted", "Version: 1\n"),
        _typed('application/octet-stream; name="encrypted.asc"', block),
    ]
    subject = rng.choice(("...", "Encrypted Message", scene.fill("item")))
    return subject, mime.multipart(rng, 'encrypted; protocol="application/pgp-encrypted"', parts)


def receipt(rng: Random, scene: Scene, route: Route) -> tuple[str, Part]:
    """Return a read receipt for a message of the recipient (RFC 8098)."""
    text = f"This is a receipt for the mail that you sent to {route.sender} on {scene.day(-5, 0)}.\n"
    fields = f"Reporting-UA: {route.helo}\nFinal-Recipient: rfc822;{route.sender}\nDisposition: manual-action/MDN-sent-manually; displayed\n"
    parts = [_plain(text), _typed("message/disposition-notification", fields)]
    return f"Read: {scene.fill('item')}", mime.multipart(rng, "report; report-type=disposition-notification", parts)


def as_forwarded(rng: Random, scene: Scene, inner: bytes) -> Part:
    """Return a message with another message attached, as some programs forward mail."""
    note = _plain(rng.choice(("FYI\n", "", f"{scene.writer.first}\n", "fyi, see below\n")))
    name = rng.choice(("ForwardedMessage.eml", f"{hexes(rng, 6)}.eml"))
    attached = Part(("Content-Type: message/rfc822", f'Content-Disposition: attachment; filename="{name}"'), inner)
    return mime.multipart(rng, "mixed", [note, attached])


REPORTS: dict[str, Callable[[Random, Scene, Route], tuple[str, Part]]] = {
    "dmarc": dmarc, "arf": arf, "bounce": bounce, "cron": cron, "monitor": monitor, "receipt": receipt,
    "smime-encrypted": smime_encrypted, "pgp-encrypted": pgp_encrypted,
}  # fmt: skip
"""The reports, by the name of their kind."""
BY_PERSONS = ("smime-encrypted", "pgp-encrypted", "receipt")
"""Reports that a person's mail program sends."""
