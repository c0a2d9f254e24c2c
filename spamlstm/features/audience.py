"""Facts of the audience: to whom a message goes, whom it names, and whether it belongs to a list or a thread.

A fact is a name and a value, rendered as a ⟦name:value⟧ mark.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from spamlstm.features.domains import organisational_domain
from spamlstm.features.normalise import visible_letters
from spamlstm.features.organisations import Organisations
from spamlstm.features.sender_identity import is_relay
from spamlstm.features.style import Fact, bucket
from spamlstm.message.charset import decode_words
from spamlstm.message.headers import MAX_VALUE
from spamlstm.message.message import Message

AUDIENCE: dict[str, tuple[str, ...]] = {
    "to": ("none", "one", "few", "many", "hidden", "absent"),
    "home": ("name", "subject"),
    "greet": ("no", "subject", "body", "address"),
    "list": ("none", "list", "bulk", "claimed"),
    "leave": ("none", "same", "signer", "service", "other", "mail"),
    "oneclick": ("yes",),
    "feedback": ("yes",),
    "thread": ("new", "reply", "forged", "claimed"),
}

# Shorter words are also words of other texts, except in scripts with a character for a syllable or a word.
_LONGER_WORDS, _NO_WORD = re.compile(r"\w{4,}|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{2,}"), re.compile(r"[^\w]+")
# What mail programs write before the subject of an answer. `VS : A - B` is a match of two teams.
_ANSWER = re.compile(
    r"(?:re|r|aw|antw(?:ort)?|sv(?:ar)?|vs(?!\s+:)|odp|ynt|res(?!\s*[:：]\s*\d)|r[eé]p|rif|vá|r[aă]sp"
    r"|trả lời|vast|απ|ответ|отг|відп|回复|回覆|答复|返信|답장|회신|השב|תגובה|رد|پاسخ)"
    r"\s*(?:\[\d+\])?[:：]",
    re.IGNORECASE,
)
_IDENTITY_HOST = re.compile(r"@([^\s<>@]+)>")
_NO_NAMES = frozenset("undisclosed recipients info mail list phishing".split())
# A domain of fewer characters may be a word.
_SHORTEST_HOME = 6
# A character before, and the characters behind a part of an address.
_IN_ADDRESS, _MORE_ADDRESS = re.compile(r"[\w+-]"), re.compile(r"[\w-]|\.\w")
# Signs that look like a hyphen-minus.
_PLAIN_HYPHENS = str.maketrans(dict.fromkeys("\u2010\u2012\u2013\u2043\u2212", "-"))
_MAX_SUBJECT, _MAX_NAME, _MAX_GREETING = 1000, 200, 400
# A greeting begins in the first characters of a text.
_NEAR_TOP = 100


def audience_facts(message: Message, organisations: Organisations) -> Iterator[Fact]:
    """Yield each fact of the audience that applies, in a fixed order."""
    first = message.first
    to = first.get("to")
    if to is None:
        yield "to", "absent"
    elif "undisclosed" in to.lower() or "unlisted" in to.lower():
        yield "to", "hidden"
    else:
        recipients = to.count("@") + first.get("cc", "").count("@")
        yield "to", bucket(recipients, (1, "none"), (2, "one"), (6, "few"), last="many")
    if place := _home(message, organisations):
        yield "home", place
    yield "greet", _greeting(message, organisations)
    if "list-id" in first or "list-post" in first or "mailing-list" in first:
        yield "list", "list" if organisations.is_list_proven else "claimed"
    else:
        yield "list", "bulk" if "list-unsubscribe" in first or "bulk" in first.get("precedence", "").lower() else "none"
    if hosts := organisations.leave_hosts:
        owner = organisations.owner(hosts[0], signers=True)
        yield "leave", owner if owner in AUDIENCE["leave"] else "other"
    else:
        yield "leave", "mail" if "mailto" in organisations.leave else "none"
    if "list-unsubscribe-post" in first:
        yield "oneclick", "yes"
    if "feedback-id" in first:
        yield "feedback", "yes"
    yield "thread", _thread(message, organisations)


def _thread(message: Message, organisations: Organisations) -> str:
    """Return whether the message answers mail that the recipient could have written or read.

    Anybody can write In-Reply-To and References. They count if they name the recipient's domain, or if the mailing list
    in List-Id is proven.
    """
    earlier = f"{message.first.get('in-reply-to', '')} {message.first.get('references', '')}"[-MAX_VALUE:]
    if not earlier.strip():
        return "forged" if _ANSWER.match(message.subject.strip()) else "new"
    home = "" if is_relay(organisations.recipient) else organisational_domain(organisations.recipient)
    if home and any(organisational_domain(host) == home for host in _IDENTITY_HOST.findall(earlier)):
        return "reply"
    return "reply" if organisations.is_list_proven else "claimed"


def _home(message: Message, organisations: Organisations) -> str:
    """Return where a stranger shows the address or the domain of the recipient: 'name', 'subject' or ''.

    Phishing does so to look like the mail server or the administrator of the recipient.
    """
    own, recipient = organisations.own, organisations.recipient
    if organisations.is_proven and (message.sender == recipient or (own and organisations.sender == own)):
        return ""
    if organisations.is_list_proven and own and organisational_domain(message.list_id) == own:
        return ""
    for place, text in (("name", message.sender_name), ("subject", message.subject[:_MAX_SUBJECT])):
        shown = _shown(text)
        if any(len(one) >= _SHORTEST_HOME and _occurs(one, shown) for one in (recipient, own)):
            return place
    return ""


def _shown(text: str) -> str:
    """Return a text in lower case, without accents and without disguise of its letters and signs.

    Many people have addresses and greetings in which one has the accents of their name and the other has not.
    """
    if text.isascii():
        return text.lower()
    letters = unicodedata.normalize("NFD", visible_letters(text)[0].translate(_PLAIN_HYPHENS).lower())
    return unicodedata.normalize("NFC", "".join([one for one in letters if not unicodedata.combining(one)]))


def _occurs(name: str, text: str) -> bool:
    """Return whether an address or domain occurs in a text, and not only as a part of another one."""
    found = text.find(name)
    while found >= 0:
        end = found + len(name)
        if not _IN_ADDRESS.fullmatch(text[max(found - 1, 0) : found]) and not _MORE_ADDRESS.match(text, end):
            return True
        found = text.find(name, found + 1)
    return False


def _greeting(message: Message, organisations: Organisations) -> str:
    """Return where a name of the recipient occurs: 'subject', 'body' (near the top of the text), 'address' or 'no'.

    'address' means that no name occurs, but the address of the recipient in the place of the name. Further below, an
    honest confirmation shows the address.
    """
    # A forwarder takes mail for the address in To.
    addresses = {one for one in (organisations.recipient, organisations.to) if one}
    names = {word for word in _NO_WORD.split(organisations.recipient.partition("@")[0]) if len(word) > 3}
    shown = _shown(decode_words(message.first.get("to", "").partition("<")[0][:_MAX_NAME]))
    names.update(_LONGER_WORDS.findall(_without(shown, addresses)))
    names -= _NO_NAMES
    found = "no"
    for place, text in (("subject", message.subject[:_MAX_SUBJECT]), ("body", message.text[:_MAX_GREETING])):
        low = _shown(text)
        without = _without(low, addresses)
        if any(name in without for name in names):
            return place
        if any(0 <= low.find(one) < _NEAR_TOP for one in addresses):
            found = "address"
    return found


def _without(text: str, addresses: Iterable[str]) -> str:
    for one in addresses:
        text = text.replace(one, " ")
    return text
