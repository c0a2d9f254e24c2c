# ruff: noqa: E501  # a table: one service, two lines
"""Delivery services, which send bulk mail of both labels."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from .tokens import Weighted, alnum, digits, hexes, letters, urlsafe, uuid


@dataclass(frozen=True)
class Service:
    """The host names of one service. `{d}` is the customer's domain; `fill` replaces the other slots at random."""

    name: str
    envelope: str
    helo: str
    dkim: str
    tracker: str
    path: str
    address: str  # the first half of its servers' IP addresses
    headers: tuple[str, ...] = ()


_ALL = (
    (Service("ses", "{u}@amazonses.com", "a{n}-{n}.smtp-out.amazonses.com", "amazonses.com",
             "{h}.r.us-east-1.awstrack.me", "/L0/{t}", "54.240", ("X-SES-Outgoing: {day}-{ip}",
             "Feedback-ID: 1.us-east-1.{b}=:AmazonSES")), 16),
    (Service("ses-own", "{u}@bounces.{d}", "a{n}-{n}.smtp-out.eu-west-1.amazonses.com", "amazonses.com",
             "click.{d}", "/L0/{t}", "54.240", ("X-SES-Outgoing: {day}-{ip}",)), 6),
    (Service("sendgrid", "bounces+{n}{n}-{x}@em{n}.{d}", "o{n}.ptr{n}.{d}", "sendgrid.net", "u{n}{n}.ct.sendgrid.net",
             "/ls/click?upn={t}", "167.89", ("X-SG-EID: {t}", "X-Entity-ID: {b}==")), 12),
    (Service("sendgrid-shared", "bounces+{n}{n}-{x}@sendgrid.net", "s.{h}.outbound-mail.sendgrid.net", "sendgrid.net",
             "u{n}{n}.ct.sendgrid.net", "/wf/click?upn={t}", "149.72", ("X-SG-EID: {t}",)), 5),
    (Service("mailchimp", "bounce-mc.us{n}_{n}{n}.{n}{n}-{x}@mail{n}.{s}.mcsv.net", "mail{n}.{s}.mcsv.net", "{s}.mcsv.net",
             "{h}.us{n}.list-manage.com", "/track/click?u={x}{x}&id={x}&e={x}", "198.2", ("X-Mailer: MailChimp Mailer - **CID{x}**",
             "X-Campaign: mailchimp{x}.{x}", "X-MC-User: {x}{x}")), 12),
    (Service("mandrill", "bounce-md_{n}{n}.{x}.v1-{x}{x}@mandrillapp.com", "mail{n}-{n}.atl81.mandrillapp.com",
             "mandrillapp.com", "mandrillapp.com", "/track/click/{n}{n}/{d}?p={t}", "198.2", ("X-Mandrill-User: md_{n}{n}",)), 5),
    (Service("mailgun", "bounce+{x}.{x}-user={x}.example@mg.{d}", "m{n}-{n}.mailgun.net", "mailgun.org", "email.mg.{d}",
             "/c/{t}", "69.72", ("X-Mailgun-Sid: {b}", "X-Mailgun-Sending-Ip: {ip}")), 7),
    (Service("sparkpost", "msprvs1={n}{h}=bounces-{n}@bounces.{d}", "mta-{n}-{n}.sparkpostmail.com", "sparkpostmail.com",
             "post.spmailtechno.com", "/f/a/{t}", "147.253", ("X-MSFBL: {t}",)), 5),
    (Service("salesforce", "bounce-{n}_HTML-{n}{n}-{n}{n}-{n}{n}-{n}@bounce.e.{d}", "mta{n}.e.{d}", "e.{d}",
             "click.e.{d}", "/?qs={x}{x}{x}{x}", "13.111", ("x-job: {n}{n}_{n}{n}", "X-CSA-Complaints: csa-complaints@eco.de")), 12),
    (Service("klaviyo", "bounces+{n}{n}-{x}@k1.{d}", "o{n}.kmail.{d}", "klaviyomail.com", "ctrk.klclick{n}.com", "/l/{t}",
             "168.245", ("X-Kmail-Account: {h}", "X-Kmail-Message: {h}")), 7),
    (Service("mailjet", "{x}.{t}@a{n}.bnc3.mailjet.com", "o{n}.p{n}.mailjet.com", "mailjet.com", "{h}.mjt.lu", "/lnk/{t}",
             "87.253", ("X-MJ-Mid: {t}", "X-CSA-Complaints: whitelist-complaints@eco.de")), 5),
    (Service("brevo", "bounces-{n}-{x}@{h}.mailin.fr", "{h}.d.mailin.fr", "sendinblue.com", "{h}.r.{h}.d.sendibm3.com",
             "/mk/cl/f/sh/{t}", "77.32", ("X-Mailer: Sendinblue", "X-Mailin-EID: {t}")), 7),
    (Service("cleverreach", "bounce-{n}-{n}-{n}@bounce.crsend.com", "mail{n}.crsend.com", "crsend.com", "{n}.seu2.cleverreach.com",
             "/c/{n}{n}/{x}", "213.174", ("X-Mailer: CleverReach", "X-CSA-Complaints: csa-complaints@eco.de")), 5),
    (Service("hubspot", "1axc{h}@bf{n}x.hubspotemail.net", "bid{n}.hubspotemail.net", "hubspotemail.net", "hs-{n}.s.hubspotemail.net",
             "/e3t/Ctc/{t}", "143.244", ("X-HS-Cid: {x}",)), 4),
    (Service("postmark", "pm_bounces@pm-bounces.{d}", "mta{n}a-ord.mtasv.net", "pm.mtasv.net", "click.pstmrk.it",
             "/3s/{d}/{t}", "50.31", ("X-PM-Message-Id: {u}",)), 5),
    (Service("mailerlite", "bounces-{n}@bounce.mlsend.com", "ml{n}.mlsend.com", "ml.mlsend.com", "click.mlsend.com",
             "/link/c/{t}", "185.136", ()), 3),
    (Service("constantcontact", "{t}==_{n}_{x}==@in.constantcontact.com", "ccm{n}.constantcontact.com", "auth.ccsend.com",
             "{h}.rs6.net", "/tn.jsp?f={t}", "208.75", ("X-Campaign-Activity-ID: {u}",)), 4),
    (Service("emarsys", "{x}@bounce.news.{d}", "mta{n}.emarsys.net", "news.{d}", "link.news.{d}", "/u/nrd.php?p={t}", "217.175",
             ("X-EMarSys-Identify: {x}", "X-CSA-Complaints: csa-complaints@eco.de")), 5),
    (Service("optivo", "{h}@srv{n}.{d}", "mail{n}.srv2.de", "srv2.de", "tr.{d}", "/rd/{t}", "178.15", ("X-ulpe: {t}",)), 3),
)  # fmt: skip
SERVICES: Weighted[Service] = Weighted(dict(_ALL))


def fill(rng: Random, pattern: str, domain: str) -> str:
    """Return a host, address or path of a service, with fresh random parts."""
    out = pattern.replace("{d}", domain)
    for key, make in _RANDOM.items():
        while key in out:
            out = out.replace(key, make(rng), 1)
    return out


_RANDOM = {
    "{n}": lambda rng: str(rng.randrange(1, 999)),
    "{x}": lambda rng: hexes(rng, 10),
    "{h}": lambda rng: letters(rng, 1) + alnum(rng, 7).lower(),
    "{s}": lambda rng: rng.choice(("atl11", "wdc01", "suw15", "sea31", "atl261")),
    "{t}": lambda rng: urlsafe(rng, rng.randrange(24, 90)),
    "{b}": lambda rng: urlsafe(rng, 16),
    "{u}": lambda rng: "010" + hexes(rng, 13) + "-" + uuid(rng) + "-000000",
    "{ip}": lambda rng: f"54.240.{rng.randrange(1, 250)}.{rng.randrange(1, 250)}",
    "{day}": lambda rng: f"20{rng.randrange(15, 27)}.{rng.randrange(1, 13):02}.{digits(rng, 2)[:1]}1",
}
