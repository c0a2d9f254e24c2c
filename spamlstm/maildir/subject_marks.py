"""Marks such as [SPAM] or [EXTERNAL] that filters and gateways put in front of the subject of a message."""

import re

_SPAM = (
    r"(?:(?:suspected|suspicious|possibl[ey]|probabl[ey]|likely|definitely|confirmed)[-_]?)?"
    r"(?:spam|junk|bulk)(?:[-_]?(?:e-?)?mails?|[-_]?(?:suspected|suspicion|detected|alert|verdacht))?"
    r"|спам|垃圾[邮郵]件|迷惑メール|스팸"
)
_EXTERNAL = r"ext|[eé]xt[eé]rn(?:al|e|o)?(?:[-_]?(?:e-?)?mail|[-_]?(?:sender|message))?|extérieur|ekstern|外部"
_DANGER = r"virus|phish(?:ing)?|fraud|unchecked|disarmed"
# A score has a decimal point. Other numbers are part of the subject, such as that of a report: [Spam 7].
_SCORE = r"(?:\(-?\d{1,3}[.,]\d{1,3}\)|-?\d{1,3}[.,]\d{1,3})?"
_MARK = rf"[!?]{{0,3}}(?:{_SPAM}|{_EXTERNAL}|{_DANGER}){_SCORE}[!?]{{0,3}}"
_MARKS = re.compile(
    rf"(?:\[\*{{0,5}}{_MARK}\*{{0,5}}\]|\{{{_MARK}\}}|<{_MARK}>|\({_MARK}\)|([*#=~]{{1,10}}){_MARK}\1"
    rf"|(?:{_SPAM}|external):)+",
    re.IGNORECASE,
)


def without_marks(subject: str) -> str:
    """Return a decoded subject without the marks at its beginning. The subject must not contain white space.

    Only the marks of filters and gateways are removed, and none after another word: a reply keeps its `Re:`.
    """
    marks = _MARKS.match(subject)
    return subject[marks.end() :] if marks else subject
