"""Write subject, greeting, sentences and footer for a kind and an alignment."""

from __future__ import annotations

from random import Random

from .alignment import Alignment
from .facts import MAKERS
from .kinds import Kind
from .layouts import Content
from .organisations import Organisation
from .people import Person
from .texts import KindText, Language, Scene
from .tokens import chance, hexes, letters

EMOJI = "🎉🔥✨❤️🎁📦⏰✅🌟💥🚀🌸☀️🎄💌👀🛒⚡🍂🎈😍💸🔔📢"
# Look-alike letters, which spammers use against word lists
_CONFUSABLE = str.maketrans(
    {"a": "а", "e": "е", "o": "о", "p": "р", "c": "с", "i": "і", "x": "х", "y": "у", "S": "Ѕ", "A": "А"}
)
_INVISIBLE = ("\u200b", "\u200c", "\u00ad", "\u2060", "\ufeff")
_BOLD = {letter: chr(0x1D5D4 + i) for i, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")}


def scene_for(
    rng: Random, language: Language, *, org: Organisation, writer: Person, recipient: Person, now: str
) -> Scene:
    """Return a scene with the facts of sender, recipient and date."""
    facts = {
        "org": org.name,
        "domain": org.domain,
        "now": now,
        "name": recipient.name,
        "first": recipient.first,
        "writer": writer.name,
        "writerfirst": writer.first,
        "email": recipient.address,
        "local": recipient.local,
        "maildomain": recipient.domain,
    }
    return Scene(rng, language, MAKERS, facts)


def forget_recipient(scene: Scene, rng: Random) -> None:
    """Address the recipient as a stranger does: by local part, address or a general title; sometimes by name."""
    draw = rng.random()
    if draw < 0.15:
        return
    if draw < 0.42:
        name = scene.facts["local"]
    elif draw < 0.55:
        name = scene.facts["email"]
    else:
        name = scene.pick("customer")
    scene.facts["first"] = scene.facts["name"] = name


def words(scene: Scene, language: Language, kind: Kind) -> KindText:
    """Return the sentences of the kind, or of one of the sections that it uses instead."""
    names = [name for name in (kind.texts or (kind.name,)) if name in language.kinds]
    return language.kinds[scene.rng.choice(names)]


def available(language: Language, kind: Kind) -> bool:
    """Return whether the language has text for the kind."""
    return any(name in language.kinds for name in (kind.texts or (kind.name,)))


def write(scene: Scene, kind: Kind, alignment: Alignment, text: KindText) -> tuple[str, Content]:
    """Return (subject, content) of a message."""
    rng = scene.rng
    content = Content(
        scene.language.code, scene.facts["org"], link=alignment.other, cta_url=alignment.cta(), images=alignment.images
    )
    subject = scene.say(rng.choice(text.of("s")))
    content.paragraphs = _paragraphs(scene, text)
    if kind.form == "person":
        _personal(scene, content, alignment, text)
    else:
        _business(scene, content, alignment, kind, text)
    if text.of("x"):
        content.closing.insert(0, scene.say(rng.choice(text.of("x"))))
    if kind.form == "bulk" and chance(rng, 0.1):
        emoji = rng.choice(EMOJI)
        subject = f"{emoji} {subject}" if chance(rng, 0.7) else f"{subject} {emoji}"
    if alignment.threaded:
        subject = f"{rng.choice(('Re: ', 'RE: ', 'Re: ', 'AW: ' if scene.language.code == 'de' else 'Re: '))}{subject}"
    return subject, content


def _paragraphs(scene: Scene, text: KindText) -> list[str]:
    rng, body = scene.rng, text.of("b")
    out = [scene.say(rng.choice(text.of("o")))] if text.of("o") else []
    count = min(len(body), rng.choice((1, 2, 2, 3, 3, 4, 5)))
    # in the order of the file, so that a story keeps its order
    out += [scene.say(body[i]) for i in sorted(rng.sample(range(len(body)), count))]
    if len(out) > 2 and chance(rng, 0.4):  # some writers join two paragraphs
        at = rng.randrange(len(out) - 1)
        joint = "" if scene.language.code in ("ja", "zh") else " "
        out[at : at + 2] = [out[at] + joint + out[at + 1]]
    return out


def _personal(scene: Scene, content: Content, alignment: Alignment, text: KindText) -> None:
    rng = scene.rng
    content.greeting = scene.pick("hello") if chance(rng, 0.8) else ""
    content.closing = (
        [scene.pick("bye") + "\n" + scene.facts["writerfirst" if chance(rng, 0.6) else "writer"]]
        if chance(rng, 0.85)
        else []
    )
    if chance(rng, 0.3):
        content.footer = [scene.facts["writer"], scene.say("{phone}")] + (
            [scene.facts["org"]] if chance(rng, 0.5) else []
        )
    elif chance(rng, 0.12):
        content.footer = [scene.pick("sentfrom")]
    if text.of("c"):
        content.cta = scene.say(rng.choice(text.of("c")))
    if alignment.threaded and chance(rng, 0.75):
        source = scene.language.kinds.get("ham/work") or text
        content.quoted = [scene.pick("wrote")] + [
            scene.say(line) for line in rng.sample(source.of("b"), min(3, len(source.of("b"))))
        ]


def _business(scene: Scene, content: Content, alignment: Alignment, kind: Kind, text: KindText) -> None:
    rng = scene.rng
    draw = rng.random()
    if draw < 0.55:
        content.greeting = scene.pick("greet")
    elif draw < 0.68:
        content.greeting = scene.pick("greet_generic")
    if len(content.paragraphs) > 1 and chance(rng, 0.55):
        content.title = content.paragraphs.pop(0)
    content.preheader = rng.choice(content.paragraphs) if content.paragraphs and chance(rng, 0.55) else ""
    rows = text.of("r")
    chosen = [rows[i] for i in sorted(rng.sample(range(len(rows)), rng.randrange(len(rows) + 1)))]
    content.rows = [tuple(map(str.strip, scene.say(row).partition("=")[::2])) for row in chosen]  # type: ignore[misc]  # two halves
    if chance(rng, kind.items):
        content.items = [
            (scene.say(f"{{product{i}}}"), scene.say(f"{{price{i}}}")) for i in range(1, rng.choice((2, 3, 4, 4, 5, 7)))
        ]
    if text.of("c"):
        content.cta = scene.say(rng.choice(text.of("c")))
    if chance(rng, 0.5):
        content.closing = [scene.pick("team")]
    _footer(scene, content, alignment)


def _footer(scene: Scene, content: Content, alignment: Alignment) -> None:
    rng = scene.rng
    lines = scene.language.lists["footer"]
    content.footer = [scene.say(line) for line in rng.sample(lines, min(len(lines), rng.choice((0, 1, 1, 2, 2, 3, 4))))]
    content.extra = alignment.extra
    if alignment.unsubscribe and chance(rng, 0.85):
        content.unsubscribe, content.unsubscribe_url = scene.pick("unsub"), alignment.unsubscribe()
    if chance(rng, 0.4):
        content.browser = scene.pick("browser")
    if chance(rng, 0.5):
        host = (alignment.unsubscribe or alignment.other)().split("/")[2]
        path = rng.choice(("open", "wf/open", "o", "track/open.php", "q"))
        content.pixel = f"https://{host}/{path}?{letters(rng, 1)}={hexes(rng, 24)}"


# --- only in spam ----------------------------------------------------------------------------------------------------


def disguise(scene: Scene, subject: str, content: Content) -> str:
    """Obfuscate words, as some spam does, against word lists; return the subject."""
    rng = scene.rng
    draw = rng.random()
    if draw < 0.07:
        content.hidden = [_ham_sentences(scene)]
    elif draw < 0.11:
        content.paragraphs = [_obfuscated(rng, text) for text in content.paragraphs]
        subject = _obfuscated(rng, subject)
    elif draw < 0.13:
        subject = "".join(_BOLD.get(letter, letter) for letter in subject)
    elif draw < 0.145:
        content.cta = "".join(_BOLD.get(letter, letter) for letter in content.cta)
    elif draw < 0.17:
        subject = f"{subject} {rng.choice(('', '#', 'ID:', 'Ref '))}{hexes(rng, 7).upper()}"
    elif draw < 0.19:
        subject = subject.upper()
    return subject


def _ham_sentences(scene: Scene) -> str:
    """Return sentences of ham, which are hidden from readers and seen by filters."""
    out: list[str] = []
    for name in ("ham/newsletter", "ham/work", "ham/chat"):
        if name in scene.language.kinds:
            lines = scene.language.kinds[name].of("b")
            out += [scene.say(scene.rng.choice(lines)) for _ in range(scene.rng.randrange(1, 4))]
    return " ".join(out)


def _obfuscated(rng: Random, text: str) -> str:
    if chance(rng, 0.5):
        mark = rng.choice(_INVISIBLE)
        return "".join(letter + mark if chance(rng, 0.15) else letter for letter in text)
    return text.translate(_CONFUSABLE)
