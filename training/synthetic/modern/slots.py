# ruff: noqa: E501  # a table of long patterns
"""Values for the placeholders of templates: by the name of the slot, its place in the text, and the language."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

from ..organisations import Organisation, coin
from ..people import Person
from ..tokens import alnum, chance, digits, hexes, public_ip
from .locales import Locale, write_amount, write_date


@dataclass
class Scene:
    """The sender, recipient, writer and date of one message, and the values that slots have been given.

    `sentences` are sentences of the language for slots of free text.
    """

    rng: Random
    where: Locale
    org: Organisation
    recipient: Person
    writer: Person
    arrived: datetime
    sentences: tuple[str, ...] = ()
    known: dict[str, str] = field(default_factory=dict)

    def fill(self, name: str, *, before: str = "") -> str:
        """Return the value of a slot, the same each time. `before` is the text before the slot."""
        if before.endswith("mailto:"):
            return f"info@{self.org.domain}"
        if name not in self.known:
            self.known[name] = self._made(name, before)
        return self.known[name]

    def _made(self, name: str, before: str) -> str:
        stem = name.rstrip("0123456789")  # {amount2} is a further {amount}
        if make := _OWN.get(stem):
            return make(self)
        if "mail" in name and before.endswith("<"):
            return f"info@{self.org.domain}"
        if re.fullmatch(r"(?:tt)?value(?:_?\d+)?|tt\d|fullname_?\d*", name):
            return _unnamed(self, before)
        for pattern, make in _RULES:
            if pattern.search(stem):
                return make(self)
        return _object(self)

    def day(self, low: int, high: int) -> str:
        """Return a date between `low` and `high` days after the arrival."""
        return write_date(
            self.rng, self._notation(), (self.arrived + timedelta(days=self.rng.randrange(low, high))).date()
        )

    def amount(self) -> str:
        """Return an amount in the currency of the message."""
        currency = self.known.setdefault(" currency", self.rng.choice(self.where.money))
        return write_amount(self.rng, self.where, currency)

    def _notation(self) -> Locale:
        """Return the language with the one notation of dates that this message uses."""
        dates = self.known.setdefault(" dates", self.rng.choice(self.where.dates))
        return replace(self.where, dates=(dates,))


def _unnamed(scene: Scene, before: str) -> str:
    """Return a value for a slot without a name: a person near the start, otherwise a name of the sender or a thing."""
    if before.rstrip().endswith(("mailto:", "@")):
        return f"support@{scene.org.domain}"
    if before.rstrip().lower().endswith(("#", "№", "nr", "nr.", "no.", "n°", "(")):
        return _identifier(scene)
    if len(before) < 60 and "\n\n" not in before:
        return scene.recipient.name if chance(scene.rng, 0.7) else scene.org.name
    return scene.rng.choice((scene.org.name, scene.org.name, _object(scene), scene.writer.name, scene.day(-9, 9)))


def _object(scene: Scene) -> str:
    """Return the name of a thing: a project, a product, a page."""
    rng = scene.rng
    return rng.choice(
        (
            coin(rng),
            f"{coin(rng)} {coin(rng)}",
            f"{coin(rng)} {rng.randrange(1, 30)}",
            f"{rng.choice(scene.where.city)} {scene.arrived.year}",
            f"{coin(rng)} {rng.choice(('XL', 'Pro', 'Plus', 'II', 'A4', 'Mini'))}",
        )
    )


def _text(scene: Scene) -> str:
    """Return a sentence of the language."""
    return scene.rng.choice(scene.sentences) if scene.sentences else _object(scene)


def _number(low: int, high: int) -> Callable[[Scene], str]:
    return lambda scene: str(int(low * (high / low) ** scene.rng.random()))


def _identifier(scene: Scene) -> str:
    rng = scene.rng
    return rng.choice((
        digits(rng, 5), digits(rng, 8), f"#{digits(rng, 4)}", f"{alnum(rng, 9).upper()}",
        f"{scene.arrived.year}-{digits(rng, 5)}", f"{digits(rng, 3)}-{digits(rng, 7)}",
    ))  # fmt: skip


def _address(scene: Scene) -> str:
    rng = scene.rng
    return f"{coin(rng)} {rng.randrange(1, 140)}, {digits(rng, 5)} {rng.choice(scene.where.city)}"


def _colour(scene: Scene) -> str:
    return "#" + hexes(scene.rng, 6)


def _nothing(_: Scene) -> str:
    return ""


def _picture(scene: Scene) -> str:
    return f"https://{scene.org.domain}/media/{hexes(scene.rng, 8)}.png"


def _mailbox(scene: Scene) -> str:
    names = ("support", "info", "service")
    address = f"{scene.rng.choice(names)}@{scene.org.domain}"
    return scene.recipient.address if chance(scene.rng, 0.25) else address


def _time(scene: Scene) -> str:
    return f"{scene.rng.randrange(7, 23)}:{scene.rng.choice(('00', '15', '30', '45', '05', '50'))}"


def _wallet(scene: Scene) -> str:
    return f"{scene.rng.choice(('bc1q', '1', '3', '0x'))}{hexes(scene.rng, 34)}"


def _large(scene: Scene) -> str:
    pattern = scene.known.setdefault(" currency", scene.rng.choice(scene.where.money))
    return pattern.format(f"{scene.rng.randrange(4, 99)}{scene.rng.choice(('00', '50', '80'))}")


# The slots of the texts in `texts/ham` and `texts/spam`.
_OWN: dict[str, Callable[[Scene], str]] = {
    "name": lambda s: s.recipient.name,
    "first": lambda s: s.recipient.first,
    "local": lambda s: s.recipient.local,
    "my_address": lambda s: s.recipient.address,
    "my_domain": lambda s: s.recipient.domain,
    "writer": lambda s: s.writer.name,
    "friend": lambda s: s.rng.choice(s.where.first)[0],
    "surname": lambda s: s.rng.choice(s.where.last)[0],
    "org": lambda s: s.org.name,
    "item": _object,
    "n": lambda s: str(s.rng.randrange(2, 20)),
    "percent": lambda s: f"{s.rng.choice((10, 15, 20, 25, 30, 40, 50, 60))} %",
    "bigamount": _large,
    "smallamount": lambda s: write_amount(s.rng, s.where, s.rng.choice(s.where.money), most=1),
    "hugeamount": lambda s: s.rng.choice(s.where.money).format(f"{s.rng.randrange(11, 480) / 10} M"),
    "wallet": _wallet,
}


# The first pattern that is found in the name of a slot decides.
_RULES: tuple[tuple[re.Pattern[str], Callable[[Scene], str]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), make)
    for pattern, make in (
        ((r"^style$|^css|^super$|^media$|footer$|^boundary$|padded|^separator$|^render_|_html$|^to_html|^strong$|^endstrong$"
         r"|^space$|^reset$|^k$|^v$|^l$|^rel$|^yield|form$|extra|virtual|discounts$|^mail_footer|table_heading|helppage|^tag$"),
         _nothing),
        (r"colou?r|^blue$|^red$|^gray$|^neutral$|^error$|^dark$|^accent", _colour),
        (r"image|logo|icon|avatar|screenshot|thumbnail|_src$|favicon|emoji|photo|picture", _picture),
        (r"e?_?mail_address|^email$|^mail$|_email$|^msg_from$|^fromlist$|^email_reporter$|^email_handler$", _mailbox),
        (r"address|street|delivery_block|invoice_block|billing|shipping_info", _address),
        (r"first_?name", lambda s: s.recipient.first),
        (r"last_?name|surname", lambda s: s.recipient.last),
        (r"user_?name|^login$|nickname|handle$", lambda s: s.recipient.local),
        (r"customer|^name$|recipient|receiver|^user$|member|^real_name$|subscriber|present_name", lambda s: s.recipient.name),
        ((r"sender|author|organi[sz]er|speaker|requester|reporter|manager_name|assign|employee|handler|contact|commenter"
         r"|changer|signer|reject|publisher_name|installed_by|closer|granter|^who$|tester|who_|uploader|creator"),
         lambda s: s.writer.name),
        ((r"site|shop|company|context|portal|blog|signature|food_network|collective|community|publisher|^cn$|organi[sz]ation"
         r"|service|hotel|store|instance|^header$|dept|signoff|brand|distributor|supplier|manufacturer|partner"), lambda s: s.org.name),
        (r"year", lambda s: str(s.arrived.year)),
        (r"date|deadline|_until|checkout|checkin|created|occurrence|start|validity|not_after|last_modified|^day$|expir",
         lambda s: s.day(-20, 30)),
        (r"time|hour|diff_for_humans|delay", _time),
        ((r"percent|count|^nb|fuzzy|translated|todo|^all$|point|population|size|qty|volume|weeks|^number_of|quantity|rating|on_hand"
         r"|threshold|noticesleft|msg_|byte_|jtg|jet|^jt|shares|available|^number$|total_count|submissions|accounts"), _number(1, 400)),
        (r"^code$|pin$|otp", lambda s: digits(s.rng, 6)),
        (r"pass(?:word|wd)|token|cookie|secret", lambda s: alnum(s.rng, 10)),
        (r"amount|price|total|^shipping$|discount|tax|refunded|fee|sum$|balance|donation|currency|payment$", lambda s: s.amount()),
        (r"_ip|^ip|ip_", lambda s: public_ip(s.rng)),
        (r"city|location|^country|province|place|room|ward|area", lambda s: s.rng.choice(s.where.city)),
        (r"phone|fax|mobile", lambda s: f"+{s.rng.randrange(20, 99)} {digits(s.rng, 3)} {digits(s.rng, 6)}"),
        (r"host|fqdn|dns", lambda s: f"srv{s.rng.randrange(1, 30)}.{s.org.domain}"),
        (r"language", lambda s: s.where.code),
        (r"card|last4", lambda s: f"**** {digits(s.rng, 4)}"),
        (r"iban", lambda s: f"DE{digits(s.rng, 20)}"),
        ((r"order|invoice|^id$|_id$|^ref|reference|_no$|number|serial|sku|uuid|^pk$|tracking|guid|ticket$|version|build|_tag$"
         r"|^sid$|^pm$|^sc$|^tx$|bug|key$|port|asset"), _identifier),
        ((r"descr|message|note|comment|reason|body|content|abstract|intro|detail|text|additional|summary|instruction|excerpt"
         r"|response|reply|answer|translation|diff|welcome|eula|explanation|information|caption|judg|policy|suggest|tasks"), _text),
        (r"file", lambda s: f"{coin(s.rng).lower()}.{s.rng.choice(('pdf', 'docx', 'png', 'zip', 'csv'))}"),
    )
)  # fmt: skip

LINKS = re.compile(r"url|link|href|^config$|_path$|website|homepage|ddolen|unsubscribe", re.IGNORECASE)
"""Slots for links."""
