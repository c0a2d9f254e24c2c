"""The report of a message for clients of spamd, in the form of SpamAssassin's reports."""

import textwrap

from spamlstm.daemon.listeners.judging import JudgedMail
from spamlstm.maildir.headers import REQUIRED, points, symbol
from spamlstm.message.message import parse_message
from spamlstm.verdict import Verdict

MOST_PREVIEW = 200


def report_text(raw: bytes, judged: JudgedMail) -> bytes:
    """Return the report of a message as text."""
    judgement = judged.judgement
    shown = points(judgement, spam_threshold=judged.spam_threshold)
    found = "has identified" if judgement.verdict is Verdict.SPAM else "has NOT identified"
    lines = (
        f"The spam filter spamlstm {found} this message as spam.",
        "",
        f"Verdict: {judgement.verdict} ({judgement.reason})",
        "",
        *textwrap.wrap(f"Content preview:  {_preview(raw)}", 76, subsequent_indent="   "),
        "",
        f"Content analysis details:   ({shown:.1f} points, {REQUIRED:.1f} required)",
        "",
        " pts rule name              description",
        "---- ---------------------- --------------------------------------------------",
        f"{shown:4.1f} {symbol(judgement):22} reason of the verdict {judgement.verdict}",
        "",
        "",
    )
    return "\n".join(lines).encode()


def _preview(raw: bytes) -> str:
    """Return the beginning of the text of a message, with control characters removed."""
    text = " ".join(parse_message(raw).text[: 8 * MOST_PREVIEW].split())
    shown = "".join(c for c in text if c.isprintable())
    return shown if len(shown) <= MOST_PREVIEW else shown[:MOST_PREVIEW] + " [...]"
