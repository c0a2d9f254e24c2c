"""Facts for the slots of sentences: prices, dates, order numbers, cities."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from .organisations import coin
from .texts import Scene
from .tokens import ALNUM, digits, hexes

UPPER = ALNUM[26:]

# {} is the number in the notation of the language.
MONEY = {
    "en": ("${}", "${}", "${}", "£{}", "€{}", "USD {}", "A${}"),
    "de": ("{} €", "{} €", "{} EUR", "€ {}", "CHF {}"),
    "fr": ("{} €", "{} €", "{} EUR", "CHF {}"),
    "es": ("{} €", "{} €", "{} EUR", "$ {}", "MXN {}"),
    "it": ("{} €", "€ {}", "{} EUR"),
    "pt": ("{} €", "R$ {}", "R$ {}"),
    "nl": ("€ {}", "{} euro"),
    "pl": ("{} zł", "{} PLN"),
    "sv": ("{} kr", "{} SEK"),
    "ja": ("{}円", "¥{}", "￥{}"),
    "zh": ("¥{}", "{}元", "RMB {}"),
    "ru": ("{} ₽", "{} руб."),
}
_SCALE = {"ja": 130, "ru": 80, "sv": 11, "pl": 4}

DATES = {
    "en": ("{month} {d}, {y}", "{month} {d}, {y}", "{d} {month} {y}", "{m:02}/{d:02}/{y}", "{weekday}, {month} {d}"),
    "de": ("{d}. {month} {y}", "{d:02}.{m:02}.{y}", "{weekday}, {d}. {month}", "{d:02}.{m:02}.{y}"),
    "fr": ("{d} {month} {y}", "{d:02}/{m:02}/{y}", "{weekday} {d} {month}"),
    "es": ("{d} de {month} de {y}", "{d:02}/{m:02}/{y}", "{weekday} {d} de {month}"),
    "it": ("{d} {month} {y}", "{d:02}/{m:02}/{y}", "{weekday} {d} {month}"),
    "pt": ("{d} de {month} de {y}", "{d:02}/{m:02}/{y}"),
    "nl": ("{d} {month} {y}", "{d:02}-{m:02}-{y}", "{weekday} {d} {month}"),
    "pl": ("{d} {month} {y}", "{d:02}.{m:02}.{y}"),
    "sv": ("{d} {month} {y}", "{y}-{m:02}-{d:02}", "{weekday} {d} {month}"),
    "ja": ("{y}年{m}月{d}日", "{y}/{m:02}/{d:02}", "{m}月{d}日({weekday})"),
    "zh": ("{y}年{m}月{d}日", "{y}-{m:02}-{d:02}", "{m}月{d}日"),
    "ru": ("{d} {month} {y} г.", "{d:02}.{m:02}.{y}", "{d} {month}"),
}


def number(code: str, cents: int) -> str:
    """Return an amount given in hundredths, with the separators of the language."""
    whole, rest = divmod(cents, 100)
    if code in ("en", "zh"):
        return f"{whole:,}.{rest:02}"
    if code == "ja":
        return f"{whole:,}"
    grouped = f"{whole:,}".replace(",", " " if code in ("fr", "pl", "sv", "ru") else ".")
    return f"{grouped},{rest:02}"


def _money(scene: Scene, low: int, high: int) -> str:
    code = scene.language.code
    cents = int(low * (high / low) ** scene.rng.random() * 100) * _SCALE.get(code, 1)
    if scene.rng.random() < 0.5:
        cents = cents // 100 * 100 + scene.rng.choice((0, 99, 95, 90, 49))
    pattern = scene.facts.get("money") or scene.facts.setdefault("money", scene.rng.choice(MONEY[code]))
    return pattern.format(number(code, max(cents, 99)))


def written_date(scene: Scene, days: int) -> str:
    """Return the date `days` after the message's, in the language's notation, which stays the same within a message."""
    when = datetime.fromisoformat(scene.facts["now"]) + timedelta(days=days)
    code = scene.language.code
    pattern = scene.facts.get("datestyle") or scene.facts.setdefault("datestyle", scene.rng.choice(DATES[code]))
    lists = scene.language.lists
    month = lists["month"][when.month - 1] if "month" in lists else str(when.month)
    weekday = lists["weekday"][when.weekday()] if "weekday" in lists else ""
    return pattern.format(d=when.day, m=when.month, y=when.year, month=month, weekday=weekday)


def _order(scene: Scene) -> str:
    rng = scene.rng
    form = rng.randrange(6)
    if form == 0:
        return f"{digits(rng, 3)}-{digits(rng, 7)}-{digits(rng, 7)}"
    if form == 1:
        return f"#{digits(rng, 5)}"
    if form == 2:
        return "".join(rng.choices(UPPER, k=9))
    if form == 3:
        return f"{''.join(rng.choices(UPPER[:26], k=2))}-{digits(rng, 6)}"
    return digits(rng, rng.randrange(6, 12))


def _tracking(scene: Scene) -> str:
    rng = scene.rng
    return rng.choice(
        (f"1Z{hexes(rng, 16).upper()}", digits(rng, 12), f"JJD{digits(rng, 18)}", f"LX{digits(rng, 9)}DE")
    )


def _time(scene: Scene) -> str:
    hour, minute = scene.rng.randrange(7, 23), scene.rng.choice((0, 0, 5, 10, 15, 20, 30, 30, 40, 45, 50))
    if scene.language.code == "en" and scene.rng.random() < 0.6:
        return f"{(hour - 1) % 12 + 1}:{minute:02} {'AM' if hour < 12 else 'PM'}"
    return f"{hour}:{minute:02}"


def _phone(scene: Scene) -> str:
    rng = scene.rng
    return rng.choice(
        (
            f"+{rng.randrange(1, 99)} {digits(rng, 3)} {digits(rng, 4)} {digits(rng, 3)}",
            f"0{digits(rng, 3)} {digits(rng, 6)}",
            f"({digits(rng, 3)}) {digits(rng, 3)}-{digits(rng, 4)}",
            f"1-8{rng.choice('0478')}{rng.choice('048')}-{digits(rng, 3)}-{digits(rng, 4)}",
        )
    )


def _postcode(scene: Scene) -> str:
    return digits(scene.rng, 4 if scene.language.code == "nl" else 5)


def _days(low: int, high: int) -> Callable[[Scene], str]:
    return lambda scene: written_date(scene, scene.rng.randrange(low, high))


def _between(low: int, high: int) -> Callable[[Scene], str]:
    return lambda scene: str(scene.rng.randrange(low, high))


def _listed(name: str) -> Callable[[Scene], str]:
    """Draw an item of a list, without its Latin spelling; the message keeps it."""
    return lambda scene: scene.pick(name).partition("=")[0]


MAKERS: dict[str, Callable[[Scene], str]] = {
    "order": _order,
    "invoice": lambda s: f"{s.rng.choice(('INV', 'RE', 'R', 'F', 'FA', ''))}{s.facts['now'][:4]}-{digits(s.rng, 5)}",
    "tracking": _tracking,
    "amount": lambda s: _money(s, 8, 400),
    "price": lambda s: _money(s, 5, 180),
    "bigamount": lambda s: _money(s, 400, 9000),
    "smallamount": lambda s: _money(s, 1, 4),
    "date": _days(-6, 1),
    "past": _days(-50, -3),
    "future": _days(2, 40),
    "soon": _days(1, 6),
    "today": _days(0, 1),
    "time": _time,
    "year": lambda s: s.facts["now"][:4],
    "percent": lambda s: s.rng.choice(("10", "15", "20", "25", "30", "40", "50", "60", "70")),
    "code": lambda s: digits(s.rng, 6),
    "coupon": lambda s: (
        s.rng.choice(("SAVE", "WELCOME", "SUMMER", "EXTRA", "VIP", "THANKS", "HELLO", "MEMBER"))
        + s.rng.choice(("10", "15", "20", "25", "5", ""))
    ),
    "card4": lambda s: digits(s.rng, 4),
    "customer": lambda s: digits(s.rng, 8),
    "phone": _phone,
    "postcode": _postcode,
    "n": _between(2, 12),
    "count": _between(12, 400),
    "hours": lambda s: s.rng.choice(("12", "24", "24", "48", "48", "72")),
    "house": _between(1, 190),
    "coin": lambda s: coin(s.rng),
    "ip": lambda s: ".".join(str(s.rng.randrange(20, 220)) for _ in range(4)),
    "wallet": lambda s: s.rng.choice(("bc1q", "1", "3")) + hexes(s.rng, 34),
    "version": lambda s: f"{s.rng.randrange(0, 9)}.{s.rng.randrange(0, 30)}.{s.rng.randrange(0, 12)}",
    "issue": lambda s: digits(s.rng, s.rng.randrange(2, 6)),
    "city": _listed("city"),
    "street": _listed("street"),
    "product": _listed("product"),
    "topic": _listed("topic"),
    "device": _listed("device"),
    "place": _listed("place"),
    "job": _listed("job"),
    "event": _listed("event"),
    "friend": _listed("first"),
    "surname": _listed("last"),
}
