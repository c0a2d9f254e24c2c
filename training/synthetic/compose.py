"""Generate one message: draw its kind, people, alignment and layout, and assemble the bytes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random

from . import headers, layouts, mime, receiver_headers
from .alignment import Alignment
from .ham_alignment import ham_bulk, ham_person
from .kinds import FORMS, KINDS, Kind
from .organisations import Organisation, coin, organisation
from .people import Person, person, slug
from .spam_alignment import spam_bulk, spam_person
from .texts import Language, Scene, language
from .tokens import Weighted, chance, digits, uuid
from .writing import available, disguise, forget_recipient, scene_for, words, write

LANGUAGES = Weighted({
    "en": 50.0, "de": 11.0, "fr": 8.0, "es": 8.0, "it": 4.0, "pt": 4.0, "nl": 3.0, "pl": 2.5, "sv": 2.0, "ja": 3.0,
    "zh": 2.5, "ru": 2.0,
})  # fmt: skip
_FORM = Weighted(FORMS)
_YEAR = Weighted(dict(zip(range(2015, 2027), (2, 2, 2, 3, 5, 7, 9, 12, 14, 16, 16, 12), strict=True)))
# Structure and weight: drawn by form alone, so that the structure does not depend on the label.
_STRUCTURE = {
    "bulk": Weighted({"alternative": 56.0, "html": 34.0, "related": 4.0, "plain": 6.0}),
    "person": Weighted({"alternative": 46.0, "html": 10.0, "related": 4.0, "plain": 40.0}),
    "notice": Weighted({"alternative": 27.0, "html": 23.0, "plain": 50.0}),
}
_FILES = {
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "jpg": "image/jpeg",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ics": "text/calendar",
    "zip": "application/zip",
    "htm": "text/html",
    "iso": "application/octet-stream",
    "docm": "application/vnd.ms-word.document.macroEnabled.12",
    "rar": "application/x-rar-compressed",
}


@dataclass(frozen=True)
class Sample:
    """A generated message, with the choices made for it."""

    label: str
    kind: str
    language: str
    layout: str  # empty if there is no HTML
    style: str
    structure: str
    case: str
    raw: bytes


@cache
def _kinds(label: str, form: str, code: str) -> Weighted[Kind]:
    """Return the kinds of a label and form for which a language has text."""
    weights = {
        kind: kind.weight
        for kind in KINDS
        if kind.label == label and kind.form == form and available(language(code), kind)
    }
    return Weighted(weights)


def sample(rng: Random, label: str) -> Sample:
    """Generate a message of a label, 'ham' or 'spam'."""
    speech = language(LANGUAGES.draw(rng))
    form, style = _FORM.draw(rng), receiver_headers.draw_style(rng)
    layout, structure = layouts.draw_layout(rng, form), _STRUCTURE[form].draw(rng)
    kind = _kinds(label, form, speech.code).draw(rng)
    arrived = _moment(rng)
    recipient = person(
        rng, speech, f"{slug(coin(rng))}.{rng.choice(('net', 'org', 'de', 'com', 'name', 'me', 'eu', 'fr'))}"
    )
    org = organisation(rng, speech, rng.choice(kind.sectors), kind.real)
    writer = person(
        rng,
        speech,
        None if chance(rng, 0.5) else f"{slug(coin(rng))}.{rng.choice(('com', 'net', 'de', 'org', 'eu', 'co.uk'))}",
    )
    alignment = _alignment(rng, kind, org=org, writer=writer, recipient=recipient, speech=speech)
    scene = scene_for(rng, speech, org=org, writer=writer, recipient=recipient, now=arrived.strftime("%Y-%m-%d"))
    if label == "spam" and form != "person":
        forget_recipient(scene, rng)
    subject, content = write(scene, kind, alignment, words(scene, speech, kind))
    if label == "spam":
        subject = disguise(scene, subject, content)
    letter = headers.Letter(alignment, recipient, arrived, subject, bulk=form != "person")
    body = _body(rng, kind, content, layout=layout, structure=structure, scene=scene)
    lines = [*receiver_headers.as_stored(rng, letter, style), "MIME-Version: 1.0", *body.headers]
    raw = "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n" + body.body
    shown = "" if structure == "plain" else layout
    return Sample(label, kind.name, speech.code, shown, style, structure, alignment.case, raw.replace(b"\r\n", b"\n"))


def _moment(rng: Random) -> datetime:
    start = datetime(_YEAR.draw(rng), 1, 1, 5, tzinfo=UTC)
    return start + timedelta(days=rng.randrange(365), seconds=rng.randrange(70_000))


def _alignment(
    rng: Random, kind: Kind, *, org: Organisation, writer: Person, recipient: Person, speech: Language
) -> Alignment:
    if kind.form == "person":
        make = ham_person if kind.label == "ham" else spam_person
        return make(rng, writer, recipient, speech)
    if kind.label == "spam":
        # Such mail often claims to be from the recipient's postmaster.
        if kind.name == "spam/mailbox" and chance(rng, 0.5):
            org = Organisation(recipient.domain, recipient.domain, "mailhost", real=False)
        return spam_bulk(rng, org, recipient, speech, kind.claims)
    alignment = ham_bulk(rng, org, recipient, speech)
    _as_notice(rng, kind, alignment, writer=writer)
    return alignment


def _as_notice(rng: Random, kind: Kind, alignment: Alignment, *, writer: Person) -> None:
    """Give automatic notices the senders in which they differ from mail of shops."""
    if kind.name == "ham/bounce":
        alignment.display, alignment.sender, alignment.envelope = (
            "Mail Delivery System",
            f"MAILER-DAEMON@{alignment.domain}",
            "",
        )
        alignment.reply_to = ""
    elif kind.name == "ham/out-of-office":
        alignment.display, alignment.sender = writer.name, f"{writer.local}@{alignment.domain}"
        alignment.envelope, alignment.threaded = rng.choice(("", alignment.sender)), chance(rng, 0.8)
    elif kind.name in ("ham/code-host", "ham/tracker", "ham/forum", "ham/calendar", "ham/shared-file") and chance(
        rng, 0.6
    ):
        alignment.display = writer.name if chance(rng, 0.7) else f"{writer.name} ({alignment.display})"
        alignment.threaded = chance(rng, 0.5)
    elif kind.name == "ham/support":
        alignment.threaded = chance(rng, 0.6)


def _body(rng: Random, kind: Kind, content: layouts.Content, *, layout: str, structure: str, scene: Scene) -> mime.Part:
    """Return the MIME tree of a structure, with the attachments of the kind."""
    code = content.language
    content.photo = "jpg" in kind.attach and structure == "related"
    inline = mime.inline_id(rng) if structure == "related" else ""
    content.inline_image = inline

    def markup() -> mime.Part:
        return mime.text_part(
            rng, layouts.html(rng, content, layouts.LAYOUTS[kind.form][layout], layouts.draw_theme(rng)), "html", code
        )

    if structure == "plain":
        part = mime.text_part(rng, layouts.plain(content), "plain", code)
    elif structure == "html":
        part = markup()
    else:
        part = mime.multipart(
            rng, "alternative", [mime.text_part(rng, layouts.plain(content), "plain", code), markup()]
        )
    if inline:
        picture = mime.Attachment("image001.png", "image/png", mime.filler(rng, "image/png"), inline)
        part = mime.multipart(rng, "related", [part, mime.attachment_part(picture)])
    if kind.attach and chance(rng, kind.attach_chance):
        files = [_attachment(rng, scene, rng.choice(kind.attach)) for _ in range(rng.choice((1, 1, 1, 2)))]
        part = mime.multipart(rng, "mixed", [part, *map(mime.attachment_part, files)])
    return part


def _attachment(rng: Random, scene: Scene, extension: str) -> mime.Attachment:
    stem = rng.choice(
        (scene.say("{invoice}"), scene.pick("filename") or "document", digits(rng, 9), f"Scan_{digits(rng, 6)}")
    )
    if extension == "jpg":
        stem = f"IMG_{digits(rng, 4)}"
    if extension == "ics":
        return mime.Attachment("invite.ics", "text/calendar; method=REQUEST", _calendar(rng, scene))
    data = mime.filler(rng, _FILES[extension])
    if extension == "htm":
        target = f"https://{slug(coin(rng))}.com/{digits(rng, 6)}"
        data = f'<html><body><script>window.location.href="{target}"</script></body></html>'.encode()
    return mime.Attachment(f"{stem}.{extension}", _FILES[extension], data)


def _calendar(rng: Random, scene: Scene) -> bytes:
    day = scene.facts["now"].replace("-", "")
    lines = (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "METHOD:REQUEST",
        "BEGIN:VEVENT",
        f"UID:{uuid(rng)}",
        f"DTSTART:{day}T{rng.randrange(8, 20):02}0000Z",
        f"SUMMARY:{scene.pick('event')}",
        f"LOCATION:{scene.fact('city')}",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    )
    return "\r\n".join(lines).encode()
