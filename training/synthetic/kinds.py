# ruff: noqa: E501  # a table: one kind, one line
"""The kinds of mail, their frequencies, senders and attachments."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of mail."""

    name: str  # such as 'ham/receipt'; also the name of its section in the texts
    form: str  # bulk, person or notice
    weight: float
    sectors: tuple[str, ...] = ("shop",)
    real: float = 0.35  # share of senders (ham) or claims (spam) that are real brands
    attach: tuple[str, ...] = ()  # file types that may be attached
    attach_chance: float = 0.0
    items: float = 0.0  # chance of a list of goods
    claims: str = "other"  # spam: 'other' impersonates an organisation, 'own' is an offer in the sender's name
    texts: tuple[str, ...] = ()  # sections whose text it uses; its own section if empty

    @property
    def label(self) -> str:
        """'ham' or 'spam'."""
        return self.name.partition("/")[0]


# fmt: off
FORMS = {"bulk": 66.0, "person": 22.0, "notice": 12.0}  # the same for both labels

_PDF = ("pdf",)
_OFFICE = ("pdf", "docx", "xlsx", "jpg")
_HAM = (
    Kind("ham/promo", "bulk", 26, ("shop", "shop", "shop", "travel", "food", "telecom", "streaming", "software", "ticket"), items=0.55),
    Kind("ham/promo-short", "bulk", 11, ("shop", "shop", "food", "travel", "streaming"), items=0.5),
    Kind("ham/newsletter", "bulk", 13, ("media", "media", "club", "software", "office", "food"), 0.1),
    Kind("ham/campaign", "bulk", 4, ("party",), 0.0),
    Kind("ham/charity", "bulk", 4, ("charity",), 0.3),
    Kind("ham/club", "bulk", 4, ("club",), 0.0),
    Kind("ham/receipt", "bulk", 9, ("shop", "shop", "food", "software", "travel"), attach=_PDF, attach_chance=0.2, items=0.7),
    Kind("ham/shipping", "bulk", 7, ("parcel", "shop"), 0.5),
    Kind("ham/invoice", "bulk", 5, ("telecom", "utility", "software", "shop"), attach=_PDF, attach_chance=0.5),
    Kind("ham/statement", "bulk", 5, ("bank", "bank", "insurance"), 0.5, attach=_PDF, attach_chance=0.1),
    Kind("ham/appointment", "bulk", 3, ("health", "food", "office"), 0.0),
    Kind("ham/login-code", "bulk", 5, ("software", "social", "bank", "shop", "crypto"), 0.6),
    Kind("ham/new-device", "bulk", 4, ("software", "social", "bank", "streaming", "crypto"), 0.6),
    Kind("ham/password-reset", "bulk", 3, ("software", "social", "shop", "bank", "streaming"), 0.5),
    Kind("ham/terms", "bulk", 4, ("software", "bank", "shop", "telecom", "social", "streaming"), 0.5),
    Kind("ham/payment-problem", "bulk", 2, ("streaming", "software", "telecom"), 0.5),
    Kind("ham/booking", "bulk", 4, ("travel",), 0.5, attach=("pdf", "ics"), attach_chance=0.25),
    Kind("ham/ticket", "bulk", 2, ("ticket",), attach=_PDF, attach_chance=0.5),
    Kind("ham/social", "bulk", 4, ("social",), 0.8),
    Kind("ham/jobs", "bulk", 2, ("jobs",), 0.4),
    Kind("ham/feedback", "bulk", 3, ("shop", "travel", "food", "parcel"), 0.3),
    Kind("ham/renewal", "bulk", 3, ("software", "insurance", "telecom", "streaming"), 0.4),
    Kind("ham/insurance", "bulk", 2, ("insurance",), 0.4, attach=_PDF, attach_chance=0.3),
    Kind("ham/medical", "bulk", 2, ("health",), 0.1),
    Kind("ham/office", "bulk", 2, ("office",), 0.4),
    Kind("ham/event", "bulk", 2, ("ticket", "club", "software"), 0.1, attach=("ics",), attach_chance=0.2),
    Kind("ham/welcome", "bulk", 2, ("shop", "software", "streaming"), 0.4),
    Kind("ham/points", "bulk", 2, ("shop", "travel", "food"), 0.4),
    Kind("ham/survey", "bulk", 1.5, ("shop", "media", "office"), 0.1),
    Kind("ham/cart", "bulk", 2, ("shop",), 0.3, items=0.8),
    Kind("ham/bounce", "notice", 6, ("software",), 0.2),
    Kind("ham/out-of-office", "notice", 6, ("software", "office"), 0.0),
    Kind("ham/code-host", "notice", 7, ("code",), 0.8),
    Kind("ham/tracker", "notice", 5, ("software",), 0.1),
    Kind("ham/calendar", "notice", 6, ("software",), 0.3, attach=("ics",), attach_chance=0.9),
    Kind("ham/forum", "notice", 5, ("club", "software"), 0.0),
    Kind("ham/support", "notice", 9, ("software", "shop", "telecom", "bank"), 0.2),
    Kind("ham/monitor", "notice", 4, ("software",), 0.2),
    Kind("ham/shared-file", "notice", 4, ("software",), 0.7),
    Kind("ham/chat", "person", 20),
    Kind("ham/family", "person", 14, attach=("jpg",), attach_chance=0.3),
    Kind("ham/work", "person", 20, attach=_OFFICE, attach_chance=0.35),
    Kind("ham/trade", "person", 8, attach=_PDF, attach_chance=0.3),
    Kind("ham/neighbour", "person", 8),
    Kind("ham/forwarded", "person", 6, attach=_OFFICE, attach_chance=0.15),
)

_MANY = ("shop", "bank", "software", "telecom", "streaming", "travel", "insurance")
_CLONES = ("ham/receipt", "ham/shipping", "ham/invoice", "ham/statement", "ham/login-code", "ham/new-device", "ham/terms", "ham/payment-problem",
           "ham/renewal", "ham/office", "ham/password-reset", "ham/points", "ham/feedback")
_SPAM = (
    Kind("spam/phishing-parcel", "bulk", 8, ("parcel",), 0.85),
    Kind("spam/phishing-bank", "bulk", 8, ("bank", "bank", "crypto"), 0.85),
    Kind("spam/phishing-account", "bulk", 10, ("software", "shop", "social", "telecom"), 0.85),
    Kind("spam/phishing-streaming", "bulk", 4, ("streaming",), 0.9),
    Kind("spam/phishing-tax", "bulk", 3, ("office", "health"), 0.9),
    Kind("spam/fake-receipt", "bulk", 3, ("shop", "software", "bank"), 0.9),
    Kind("spam/antivirus", "bulk", 3, ("software",), 0.7),
    Kind("spam/crypto", "bulk", 4, ("crypto",), 0.6),
    Kind("spam/prize", "bulk", 7, ("shop", "shop", "telecom", "parcel"), 0.7),
    Kind("spam/casino", "bulk", 4, ("casino",), 0.0),
    Kind("spam/pills", "bulk", 4, ("pills",), 0.0),
    Kind("spam/keto", "bulk", 4, ("pills",), 0.0),
    Kind("spam/home", "bulk", 4, ("offers",), 0.0),
    Kind("spam/loan", "bulk", 4, ("offers",), 0.0),
    Kind("spam/dating", "bulk", 3, ("dating",), 0.0),
    Kind("spam/b2b", "bulk", 6, ("b2b",), 0.0, claims="own"),
    Kind("spam/list-promo", "bulk", 14, ("shop", "offers", "travel", "b2b"), 0.0, claims="own", items=0.4, texts=("ham/promo", "ham/promo-short", "spam/offer")),
    Kind("spam/offer", "bulk", 6, ("offers", "shop"), 0.1, claims="own", items=0.3),
    Kind("spam/fake-promo", "bulk", 5, ("shop",), 0.7, items=0.5, texts=("ham/promo", "ham/promo-short")),
    Kind("spam/clone", "bulk", 10, _MANY, 0.75, texts=_CLONES, items=0.1, attach=_PDF, attach_chance=0.08),
    Kind("spam/mailbox", "notice", 12, ("mailhost",), 0.2),
    Kind("spam/voicemail", "notice", 4, ("mailhost", "telecom"), 0.3, attach=("htm",), attach_chance=0.5),
    Kind("spam/shared-document", "notice", 6, ("software",), 0.8, attach=("htm", "pdf"), attach_chance=0.35),
    Kind("spam/malware", "notice", 8, ("b2b",), 0.1, attach=("zip", "htm", "pdf", "iso", "docm", "rar"), attach_chance=0.95),
    Kind("spam/clone-notice", "notice", 4, ("software", "shop"), 0.5, texts=("ham/support", "ham/shared-file", "ham/bounce")),
    Kind("spam/advance-fee", "person", 15),
    Kind("spam/sextortion", "person", 9),
    Kind("spam/seo", "person", 10),
    Kind("spam/letter", "person", 6),
    Kind("spam/boss", "person", 6),
    Kind("spam/supplier", "person", 8, attach=("zip", "pdf", "htm", "docx", "rar"), attach_chance=0.45),
    Kind("spam/investment", "person", 7),
    Kind("spam/thread", "person", 4, attach=("zip", "htm"), attach_chance=0.5, texts=("ham/work", "ham/trade")),
)
# fmt: on
KINDS: tuple[Kind, ...] = _HAM + _SPAM
