"""Dress a text as one delivered message: draw people, dates and a route, fill the slots, and assemble the bytes."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any

from .. import mime
from ..headers import Letter
from ..links import Link
from ..organisations import Organisation
from ..people import slug
from ..receiver_headers import draw_style
from ..tokens import chance, digits, letters
from .attachments import as_signed, body_of, draw_attachment, draw_endings
from .drafts import Draft
from .evasions import evade
from .false_routes import dishonest, from_impostor, seller
from .filler import Filler
from .habits import adorn
from .letters import write_letter
from .locales import draw_domain, draw_organisation, draw_person, locale
from .material import Material, Text
from .own_texts import OwnText
from .pages import Page, lead_links, write_page
from .reports import BY_PERSONS, REPORTS, as_forwarded
from .routes import Route, from_person, honest, hosted_page, relay_by_marketplace, send_from
from .sending import header_lines
from .slots import Scene

FIRST_DAY, DAYS = datetime(2021, 1, 1, 5, tzinfo=UTC), 2130
DISGUISED = 1 / 3
"""The share of spam that is disguised, and of ham that has a habit that looks like a disguise."""

_OF_NO_BRAND = frozenset(
    "bounce campaign change charity club conference gateway job joined mailbox money newsletter office outage press"
    " received renewal threat".split()
)
_NOTICES = frozenset("bank bounce callback crypto mailbox offer parcel sold streaming tax".split())
"""Kinds of mail that a program of an organisation sends, also as plain text."""

_OFFERS = frozenset("casino dating health loan offer offers pills promotion tipsheet wholesale".split())
"""Kinds of spam in which the sender offers something under a name of its own."""

_AT_HOME = frozenset(("bounce", "gateway", "mailbox", "payroll", "shared"))
"""Kinds of mail that come from the recipient's organisation, or claim to."""
_AT_WORK = frozenset(("ham/office", "ham/press", "ham/support", "ham/trade"))
"""Kinds of letters that people write for their organisation, and hardly ever from a mailbox of their own."""

RELAYED = 0.03
"""The share of the letters that a marketplace delivers, in both classes."""

WITH_FILE = 0.06
"""The share of the texts of this project without files of their own that get one, in both classes."""

SIGNED = 0.04
"""The share of the mail from mailboxes that S/MIME or PGP signs, in both classes."""


@dataclass(frozen=True)
class Dressed:
    """A generated message, with the choices made for it. All messages of one `kin` are made from one text."""

    label: str
    source: str
    kin: str
    kind: str
    lang: str
    route: str
    disguise: str
    form: str
    style: str
    raw: bytes


@dataclass(frozen=True)
class _Plan:
    """The parts from which one message is made."""

    label: str
    text: Text
    scene: Scene
    route: Route


class Dresser:
    """Dresses texts as mail, with the shells and words of one material."""

    def __init__(self, material: Material) -> None:
        self.material = material
        self.filler = Filler(material)

    def template(self, rng: Random, text: Text, label: str, *, disguised: bool = True) -> Dressed:
        """Dress a template or newsletter: as its organisation sends it (ham), or as a copy of that (spam).

        Without `disguised`, no message gets a disguise or a habit.
        """
        scene = self._scene(rng, text, real=0.25)
        if text.publisher:
            _as_publisher(scene, text)
        if site := _senders()["site"].get(text.source):
            scene.org = Organisation(site[0], site[1], "forum", real=True)
        route = (honest if label == "ham" else dishonest)(rng, scene.org, scene.recipient, scene.where)
        page = write_page(rng, text, scene, route, self.material)
        if text.publisher and (label == "spam" or (route.service and chance(rng, 0.7))):
            # A copy has its own first links. A mail service replaces all links.
            lead_links(page, route, most=rng.choice((3, 8, None)) if label == "spam" else None)
        return self._finish(_Plan(label, text, scene, route), page, disguised=disguised)

    def own(self, rng: Random, own: OwnText, label: str, *, disguised: bool = True) -> Dressed:
        """Dress a text of this project, as a page of an organisation or as a letter."""
        text = _with_mark(rng, own.expand(rng))
        # A brand sends no such offers, and hardly ever mail of these kinds.
        is_seller = own.seller or (label == "spam" and own.name in _OFFERS)
        real = 0.0 if is_seller else 0.1 if own.name in _OF_NO_BRAND else 0.6
        scene = self._scene(rng, text, real=real)
        # A text may name the ending '' for a message without a file.
        endings = own.attach or (draw_endings(rng, label) if chance(rng, WITH_FILE) else ("",))
        ending = rng.choice(endings)
        attached = (draw_attachment(scene, ending, disguised=label == "spam"),) if ending else ()
        if own.page or own.seller:
            route = _organisation_route(label, scene, is_seller=is_seller)
            page = write_page(rng, text, scene, route, self.material)
            return self._finish(_Plan(label, text, scene, route), page, attached, disguised=disguised)
        if own.name in _NOTICES:
            route = _organisation_route(label, scene, is_seller=is_seller)
            route.unsubscribe, route.service, route.system = None, None, "machine"
        else:
            route = _letter_route(own, label, scene)
        answers = own.thread or own.kind == "spam/hijack"
        quoted = self.filler.words(rng, text.lang, rng.randrange(8, 70)) if answers and chance(rng, 0.8) else ""
        page = write_letter(rng, text, scene, route, quoted=quoted)
        if own.kind == "ham/empty":
            page.html = ""
        return self._finish(_Plan(label, text, scene, route), page, attached, disguised=disguised)

    def report(self, rng: Random, name: str) -> Dressed:
        """Dress a report, such as a bounce. All reports are ham."""
        lang = rng.choice(("en", "en", "de", "fr", "es", "ja"))
        text = Text(f"own:{name}", f"ham/{name}", f"ham/{name}", lang, "", "", "")
        scene = self._scene(rng, text, real=0.5)
        if name in BY_PERSONS:
            route = from_person(rng, scene.writer, scene.recipient)
        else:
            route = honest(rng, scene.org, scene.recipient, scene.where)
            route.unsubscribe, route.service, route.system = None, None, "machine"
        subject, body = REPORTS[name](rng, scene, route)
        return _assemble(_Plan("ham", text, scene, route), subject, body)

    def forwarded(self, rng: Random, inner: Dressed) -> Dressed:
        """Return ham in which a person forwards a message as an attachment."""
        text = Text("own:forwarded", "ham/forwarded", "ham/forwarded", inner.lang, "", "", "")
        scene = self._scene(rng, text, real=0.5)
        route = from_person(rng, scene.writer, scene.recipient)
        body = as_forwarded(rng, scene, inner.raw.replace(b"\n", b"\r\n"))
        return _assemble(_Plan("ham", text, scene, route), f"Fwd: {scene.fill('item')}", body)

    def _scene(self, rng: Random, text: Text, *, real: float) -> Scene:
        where = locale(text.lang)
        sector = _senders()["sector"].get(text.kind.rpartition("/")[2], "software")
        org = draw_organisation(rng, where, sector, real=real)
        is_at_own_domain = chance(rng, 0.75)
        recipient = draw_person(rng, where, draw_domain(rng, where) if is_at_own_domain else None)
        if text.kind.rpartition("/")[2] in _AT_HOME and is_at_own_domain:
            org = _at_home(rng, org, recipient.domain)
        at_work = 0.9 if text.kind in _AT_WORK else 0.5
        writer = draw_person(rng, where, org.domain if chance(rng, at_work) else None)
        arrived = FIRST_DAY + timedelta(days=rng.randrange(DAYS), seconds=rng.randrange(70_000))
        return Scene(rng, where, org, recipient, writer, arrived, self.filler.sentences(text.lang))

    def _finish(
        self, plan: _Plan, page: Page, attached: Sequence[mime.Attachment] = (), *, disguised: bool = True
    ) -> Dressed:
        """Disguise a third of the messages, or give them a habit, and assemble them."""
        rng, lang = plan.scene.rng, plan.text.lang
        form = "alternative" if page.plain and page.html else "html" if page.html else "plain"
        route, disguise = plan.route, ""
        draft = Draft(
            page, route.domain, plan.scene.recipient.domain, lambda count: self.filler.words(rng, lang, count)
        )
        if disguised and chance(rng, DISGUISED):
            disguise = (evade if plan.label == "spam" else adorn)(rng, draft)
            route.display = draft.display or route.display
            if draft.aligned:
                send_from(rng, route, draft.aligned)
        body = body_of(rng, page, lang, attached, draft.files)
        if plan.route.system == "mailbox" and chance(rng, SIGNED):
            body = as_signed(rng, body)
        message = _assemble(plan, page.subject, body, draft.lines)
        return replace(message, disguise=disguise, form=form)


def _assemble(plan: _Plan, subject: str, body: mime.Part, lines: Sequence[str] = ()) -> Dressed:
    """Return the message as a receiving server stores it. `lines` are further header lines of the sender."""
    rng, text, scene = plan.scene.rng, plan.text, plan.scene
    style = draw_style(rng)
    letter = Letter(plan.route, scene.recipient, scene.arrived, subject, bulk=plan.route.system != "mailbox")
    head = [*header_lines(rng, letter, plan.route, style, lines), "MIME-Version: 1.0", *body.headers]
    raw = ("\r\n".join(head).encode("utf-8", "replace") + b"\r\n\r\n" + body.body).replace(b"\r\n", b"\n")
    case = plan.route.case
    return Dressed(plan.label, text.source, text.kin, text.kind, text.lang, case, "", "other", style, raw)


def _at_home(rng: Random, org: Organisation, domain: str) -> Organisation:
    """Return an organisation with a name as administrators have, in half of the cases at the recipient's domain."""
    names = ("Webmail", "Mail Administrator", "IT Support", "Postmaster", "Mail Delivery System", "HR")
    own = (domain, f"{domain} Support", f"Admin {domain}", domain.partition(".")[0].title())
    name = rng.choice((rng.choice(names), rng.choice(own), org.name))
    return replace(org, name=name, domain=domain if chance(rng, 0.5) else org.domain, real=False)


def _with_mark(rng: Random, text: Text) -> Text:
    """Return a text of this project with or without a mark or an addition in its subject, alike in both classes."""
    subject = text.subject
    if chance(rng, 0.12):
        subject += rng.choice((" – {{org}}", " ({{code}})", " #{{code}}", " | {{org}}", " – {{date}}", " – {{item}}"))
    if chance(rng, 0.15):
        subject += rng.choice(("!", "!", "!!", " ❗", "...", " ✔", " 🎁", "?"))
    if chance(rng, 0.03):
        subject = subject if "{{" in subject else subject.upper()
    return replace(text, subject=subject)


@cache
def _senders() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("texts", "senders.toml").read_text("utf-8"))


def _as_publisher(scene: Scene, text: Text) -> None:
    """Let the publisher of a newsletter send it, on the day of the issue."""
    name = text.publisher.partition(" – ")[0]
    known = _senders()["news"].get(name)
    domain = known or draw_domain(scene.rng, scene.where, slug(name)[:20])
    scene.org = Organisation(text.publisher, domain, "media", real=bool(known))
    parts = [int(part) for part in text.date.split("-") if part.isdigit()]  # some issues have only a year, or no date
    if parts:
        year, month, day = (*parts, scene.rng.randrange(1, 13), scene.rng.randrange(1, 29))[:3]
        scene.arrived = datetime(year, month, day, 6, tzinfo=UTC) + timedelta(seconds=scene.rng.randrange(60_000))


def _organisation_route(label: str, scene: Scene, *, is_seller: bool) -> Route:
    make = honest if label == "ham" else seller if is_seller else dishonest
    return make(scene.rng, scene.org, scene.recipient, scene.where)


def _letter_route(own: OwnText, label: str, scene: Scene) -> Route:
    rng = scene.rng
    if own.to == "self":
        route = from_person(rng, scene.recipient, scene.recipient)
    elif label == "ham":
        route = from_person(rng, scene.writer, scene.recipient)
    else:
        own_address = own.kind == "spam/sextortion" and chance(rng, 0.5)
        route = from_impostor(rng, scene.writer, scene.recipient, scene.where, own_address=own_address)
    if label == "ham":
        route.cta = route.other = route.shown = _sent_link(scene)
    if own.thread or (own.kind == "spam/hijack" and chance(rng, 0.7)):
        route.threaded = chance(rng, 0.85)
    elif own.to != "self" and chance(rng, RELAYED):
        relay_by_marketplace(rng, route)
    return route


def _sent_link(scene: Scene) -> Link:
    """Return a maker of a link as people send them: to a well-known site, to their own site, or to an open host."""
    rng = scene.rng
    sites = ("www.youtube.com/watch?v=", "maps.app.goo.gl/", "photos.app.goo.gl/", "docs.google.com/document/d/")
    link = rng.choice((
        f"https://{rng.choice(sites)}{letters(rng, 9)}",
        f"https://www.{scene.writer.domain}/{letters(rng, 6)}",
        f"https://www.{scene.org.domain}/{letters(rng, 6)}/{digits(rng, 4)}",
        hosted_page(rng),
    ))  # fmt: skip
    return lambda: link
