"""Innocent text that readers see but do not mind: above, below, quoted, attached."""

from dataclasses import replace

from .innocent import minutes
from .letter import Letter, at_end, at_start, text_part

GAP = 70


def below(letter: Letter) -> Letter:
    plain = letter.plain + "\n" * GAP + minutes(280) if letter.plain else ""
    html = at_end(letter.html, "<br/>" * GAP + f"<p>{minutes(280)}</p>") if letter.html else ""
    return replace(letter, plain=plain, html=html)


def above(letter: Letter) -> Letter:
    plain = f"{minutes(110)}\n\n{letter.plain}" if letter.plain else ""
    return replace(letter, plain=plain, html=at_start(letter.page, f"<p>{minutes(110)}</p>") if letter.html else "")


def between(letter: Letter) -> Letter:
    """Put a sentence between all paragraphs."""
    sentences = [part.strip() + "." for part in minutes(280).split(".") if part.strip()]
    out, number = [], 0
    for piece in letter.page.split("</p>"):
        out.append(piece + "</p><p>" + sentences[number % len(sentences)])
        number += 1
    return letter.with_page(at_end("</p>".join(out), f"<p>{' '.join(sentences[number:])}</p>"))


def grey_footer(letter: Letter) -> Letter:
    style = "font-size:9px;color:#aaaaaa;line-height:10px"
    return letter.with_page(at_end(letter.page, f'<div style="{style}">{minutes(280)}</div>'))


def wide_margin(letter: Letter) -> Letter:
    return letter.with_page(at_end(letter.page, f'<div style="margin-top:3400px">{minutes(280)}</div>'))


def quoted_history(letter: Letter) -> Letter:
    lines = [f"> {line.strip()}." for line in minutes(200).split(".") if line.strip()]
    return replace(letter, plain=f"{letter.text}\n\nOn Monday, Ruth Ellis wrote:\n" + "\n".join(lines), html="")


def forwarded_below(letter: Letter) -> Letter:
    head = "---------- Forwarded message ---------\nFrom: Ruth Ellis\nSubject: Minutes of the society\n"
    return replace(letter, plain=f"{letter.text}\n\n{head}\n{minutes(200)}", html="")


def plain_innocent(letter: Letter) -> Letter:
    """The plain text, which few programs show, says something else than the page."""
    return replace(letter, plain=minutes(280), html=letter.page)


def attached_text(letter: Letter) -> Letter:
    head = b"Content-Disposition: attachment; filename=minutes.txt\n"
    return replace(letter, files=(*letter.files, head + text_part("plain", minutes(280))))


def attached_message(letter: Letter) -> Letter:
    inner = b"From: Ruth Ellis <ruth@garden-society.org>\nSubject: Minutes\n" + text_part("plain", minutes(280))
    return replace(letter, files=(*letter.files, b"Content-Type: message/rfc822\n\n" + inner))


def attached_calendar(letter: Letter) -> Letter:
    lines = (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "BEGIN:VEVENT",
        "SUMMARY:Meeting of the society",
        f"DESCRIPTION:{minutes(120)}",
    )
    event = "\n".join((*lines, "END:VEVENT", "END:VCALENDAR", ""))
    return replace(letter, files=(*letter.files, b"Content-Type: text/calendar; charset=utf-8\n\n" + event.encode()))


def second_letter(letter: Letter) -> Letter:
    """A second displayed text part holds the innocent text."""
    return replace(letter, files=(*letter.files, text_part("plain", minutes(280))))


def in_the_middle(letter: Letter) -> Letter:
    """The spam stands in the middle of a long innocent letter."""
    start, end = minutes(140), minutes(285)[len(minutes(140)) :]
    return letter.with_page(at_end(at_start(letter.page, f"<p>{start}</p>"), f"<p>{end}</p>"))


PADDING = {
    "padding: below 70 lines": below,
    "padding: above": above,
    "padding: between": between,
    "padding: around": in_the_middle,
    "padding: grey footer": grey_footer,
    "padding: far below": wide_margin,
    "padding: quoted history": quoted_history,
    "padding: forwarded below": forwarded_below,
    "padding: other plain text": plain_innocent,
    "padding: second part": second_letter,
    "padding: attached text": attached_text,
    "padding: attached message": attached_message,
    "padding: attached calendar": attached_calendar,
}
