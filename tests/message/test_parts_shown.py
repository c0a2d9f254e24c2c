"""Every part that a mail program shows is read, and a message whose text is lost is not judged by its headers."""

import base64
import binascii
import quopri

import pytest
from multipart import TOP, mixed

from spamlstm.features.render import render
from spamlstm.message import mime
from spamlstm.message.message import parse_message
from spamlstm.model.policy import Policy, Reason
from spamlstm.model.reading import GTUBE, NO_BODY_TEXT, MessageReader, evidence_of
from spamlstm.verdict import Verdict

LETTER = "Dear winner, you have won the summer lottery. Send your bank account to our agent."
FOOTER = "Content-Type: text/html\n\n<p>This list is run by the club.</p>"
READER = MessageReader(4096, 3, style=True)


def encoded(text: str) -> str:
    return base64.encodebytes(text.encode()).decode()


def uuencoded(text: str, name: str) -> str:
    data = text.encode()
    lines = (binascii.b2a_uu(data[at : at + 45]).decode() for at in range(0, len(data), 45))
    return f"begin 644 {name}\n{''.join(lines)}`\nend\n"


def single(headers: str, body: str) -> bytes:
    return f"{TOP}{headers}\n\n{body}".encode()


INNER = f"Subject: inner\nContent-Type: text/plain\n\n{LETTER}\n"
SVG = f'<svg xmlns="http://www.w3.org/2000/svg"><text x="1">{LETTER}</text></svg>'
PLAIN = f"Content-Type: text/plain\n\n{LETTER}"
EVENT = f"BEGIN:VEVENT\nSUMMARY:Prize\nDESCRIPTION:Dear winner\\, {LETTER[13:50]}\n {LETTER[50:]}\nUID:x\nEND:VEVENT"
SHOWN = {
    "a plain letter above a page": mixed(PLAIN, FOOTER),
    "a plain letter below a page": mixed(FOOTER, PLAIN),
    "a plain letter above a file and a page": mixed(PLAIN, "Content-Type: application/pdf; name=a.pdf\n\nx", FOOTER),
    "a plain letter beside an attached page": mixed(
        PLAIN, "Content-Type: text/html; name=a.html\nContent-Disposition: attachment\n\n<p>report</p>"
    ),
    "a plain part that says something else": mixed(PLAIN, FOOTER, kind="alternative"),
    "an attached text": single("Content-Type: text/plain; name=a.txt\nContent-Disposition: attachment", LETTER),
    "a text named as data": mixed(
        f"Content-Type: application/octet-stream; name=a.txt\nContent-Transfer-Encoding: base64\n\n{encoded(LETTER)}"
    ),
    "text of an unknown subtype": single("Content-Type: text/x-letter", LETTER),
    "enriched text": single("Content-Type: text/enriched", f"<bold>{LETTER}</bold>"),
    "an invitation": single("Content-Type: text/calendar; method=REQUEST", EVENT),
    "an attached invitation": mixed(f"Content-Type: application/octet-stream; name=a.ics\n\n{EVENT}"),
    "a forwarded message": mixed(f"Content-Type: message/rfc822\n\n{INNER}"),
    "a forwarded message in base64": mixed(
        f"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{encoded(INNER)}"
    ),
    "a forwarded message in quoted-printable": mixed(
        "Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\n"
        + quopri.encodestring(INNER.encode()).decode()
    ),
    "message/global": mixed(f"Content-Type: message/global\n\n{INNER}"),
    "a message named as data": mixed(f"Content-Type: application/octet-stream; name=a.eml\n\n{INNER}"),
    "a message in pieces": mixed(f"Content-Type: message/partial; id=a; number=1\n\n{INNER}"),
    "a message in a digest": mixed(f"\n{INNER}", kind="digest"),
    "a web archive": mixed(f"Content-Type: application/octet-stream; name=a.mht\n\n{INNER}"),
    "a page whose name ends in a dot": mixed(f'Content-Type: application/octet-stream; name="a.html. "\n\n{LETTER}'),
    "an old invitation": single("Content-Type: text/x-vcalendar", EVENT),
    "SVG": mixed(f"Content-Type: image/svg+xml; name=a.svg\n\n{SVG}"),
    "uuencode": single("Content-Type: text/plain\nContent-Transfer-Encoding: x-uuencode", uuencoded(LETTER, "a")),
    "a uuencoded text": single("Content-Type: text/plain", "See below.\n" + uuencoded(LETTER, "a.txt")),
    "text behind the parts": mixed("Content-Type: text/plain\n\nSee below.") + LETTER.encode(),
}


@pytest.mark.parametrize("name", SHOWN)
def test_shown(name):
    """The words of the letter are read, wherever a mail program finds them."""
    message = parse_message(SHOWN[name])
    assert " ".join(LETTER.split()) in " ".join(message.text.split())
    assert "summer lottery" in render(message)


@pytest.mark.parametrize("name", ["X-ALT-DESC;FMTTYPE=text/html", "STYLED-DESCRIPTION;VALUE=TEXT;FMTTYPE=text/html"])
def test_the_page_of_an_invitation(name):
    """An invitation is read as its page describes it, with its links, once if its plain description is the same."""
    page = rf"{name}:<html><p>{LETTER[:29]}\n {LETTER[30:]}</p>\n <a href='http://agent.example'>here</a></html>"
    for more in ("", f"\nDESCRIPTION:{LETTER}"):
        message = parse_message(single("Content-Type: text/calendar", f"SUMMARY:Prize{more}\n{page}"))
        assert " ".join(message.text.split()).count(LETTER) == 1
        assert [link.url for link in message.page.links] == ["http://agent.example"]


def test_the_links_of_an_invitation():
    """The address of an event and its files are read. A file within the invitation is no text."""
    lines = "SUMMARY:Prize\nURL;VALUE=URI:https://a.example/1\nATTACH;FMTTYPE=application/pdf:http://a.example/2"
    binary = "\nATTACH;ENCODING=BASE64;VALUE=BINARY:aGVsbG8="
    message = parse_message(single("Content-Type: text/calendar", lines + binary))
    assert message.text == "Prize\nhttps://a.example/1\nhttp://a.example/2"


def test_the_plain_part_that_says_the_same_is_not_read_twice():
    """Of a plain part and a page that say the same, and an invitation that repeats them, only the page is read."""
    page = f"Content-Type: text/html\n\n<p>{LETTER}</p>"
    raw = mixed(PLAIN, page, f"Content-Type: text/calendar\n\nDESCRIPTION:{LETTER}", kind="alternative")
    assert parse_message(raw).text.count("lottery") == 1


AMP = f"""<!doctype html><html ⚡4email><head><style amp4email-boilerplate>body{{visibility:hidden}}</style>
<script async src="https://cdn.ampproject.org/v0.js"></script></head><body><p>{LETTER}</p></body></html>"""


@pytest.mark.parametrize("subtype", ["x-amp-html", "watch-html"])
def test_a_page_for_few_programs(subtype):
    """A page that only Gmail or a watch shows is read if it says something else than the page beside it.

    Otherwise the text and the facts are those of mail without it. Each AMP page has a script, which means nothing.
    """
    page, others = f"Content-Type: text/html\n\n<p>{LETTER}</p>", f"Content-Type: text/{subtype}\n\n{AMP}"
    same, other = mixed(PLAIN, others, page, kind="alternative"), mixed(others, FOOTER, kind="alternative")
    with_it, without = (render(parse_message(raw)) for raw in (same, mixed(PLAIN, page, kind="alternative")))
    assert with_it == without
    assert parse_message(other).text == f"This list is run by the club.\n{LETTER}"


@pytest.mark.parametrize("subtype", ["css", "javascript", "vcard", "rtf"])
def test_not_shown(subtype):
    """Style sheets, scripts and cards are not text of the letter."""
    assert parse_message(mixed(PLAIN, f"Content-Type: text/{subtype}\n\nsecret words")).text.strip() == LETTER


def test_a_part_behind_an_inner_multipart_is_not_text():
    """A file that follows an inner multipart is not read as text behind the parts, even if the mail has no end."""
    inner = (
        "Content-Type: multipart/mixed; boundary=inner\n\n--inner\nContent-Type: text/plain\n\nSee below.\n--inner--\n"
    )
    raw = mixed(inner, f"Content-Type: application/pdf; name=a.pdf\n\n{LETTER}").rpartition(b"\n--")[0]
    assert parse_message(raw).text.strip() == "See below."


def test_messages_in_messages_are_bounded():
    """Messages that are encoded one in another are read up to a limit, and the limit is a defect."""
    raw = INNER
    for _ in range(mime.MAX_MESSAGES + 5):
        raw = f"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{encoded(raw)}"
    assert "too many messages" in parse_message(raw.encode()).defects


def test_a_uuencoded_program_is_a_file():
    """A uuencoded file that is not text is an attachment and not text."""
    message = parse_message(single("Content-Type: text/plain", "hello\n" + uuencoded("MZ data", "run.exe")))
    assert (message.text.strip(), [part.name for part in message.attachments]) == ("hello", ["run.exe"])


@pytest.mark.parametrize("kind", ["mixed", "alternative"])
@pytest.mark.parametrize("text", [GTUBE, f"Here is the test string:\n{GTUBE}"])
def test_gtube_in_any_part(kind, text):
    """The test string is found in each text part, also beside a page."""
    assert evidence_of(parse_message(mixed(f"Content-Type: text/plain\n\n{text}", FOOTER, kind=kind))).gtube


LOST = {
    "a page of a script": single("Content-Type: text/html", "<script>" + "x=1;" * 200 + "</script>"),
    "a picture": mixed("Content-Type: image/png; name=a.png\n\ndata"),
    "a file": mixed("Content-Type: application/pdf; name=a.pdf\n\ndata"),
    "a page of pictures": single("Content-Type: text/html", "<img src=http://example.com/a.png>"),
    "damaged base64": single("Content-Transfer-Encoding: base64", "*" * 300),
}


@pytest.mark.parametrize("name", LOST)
def test_lost_text(name):
    """A body that has bytes and yields no words is unsure with a defect, however well its headers look."""
    reading = READER.read(LOST[name])
    assert NO_BODY_TEXT in reading.defects
    for probability in (0.0, 1.0):
        assert policy().decide(probability, reading.evidence) == (Verdict.UNSURE, Reason.NO_TEXT)


UNREAD = {
    "Content-Type: application/ms-tnef\n\ndata": "office",
    "Content-Type: application/octet-stream; name=winmail.dat\n\ndata": "office",
    "Content-Type: text/rtf\n\n{\\rtf1 secret}": "office",
    "Content-Type: application/octet-stream; name=smime.p7m\n\ndata": "encrypted",
}


@pytest.mark.parametrize("part", UNREAD)
def test_a_letter_that_cannot_be_read(part):
    """A few words beside a letter in TNEF or RTF, or an encrypted one, do not make a message ham, and a fact tells why.

    A longer letter beside it is judged by its score, as Outlook adds such files to ordinary letters.
    """
    few, letter = (mixed(f"Content-Type: text/plain\n\n{text}", part) for text in ("Dear Tom, see below", LETTER))
    assert f"⟦unread:{UNREAD[part]}⟧" in render(parse_message(few))
    assert policy().decide(0.0, READER.read(few).evidence) == (Verdict.UNSURE, Reason.NO_TEXT)
    assert policy().decide(0.0, READER.read(letter).evidence) == (Verdict.HAM, Reason.SCORE)


def test_an_attached_rtf_file_is_a_file():
    """An attached file in RTF does not make a short letter doubtful."""
    raw = mixed("Content-Type: text/plain\n\nSee below", "Content-Type: application/rtf; name=a.rtf\n\ndata")
    assert policy().decide(0.0, READER.read(raw).evidence) == (Verdict.HAM, Reason.SCORE)


def test_a_footer_is_not_the_letter():
    """A few words beside pictures do not make a message ham; spam stays spam, and a letter with a picture stays ham."""
    picture = "<img src=http://example.com/a.png>"
    footer = READER.read(single("Content-Type: text/html", f"{picture}<p>Unsubscribe here</p>"))
    letter = READER.read(single("Content-Type: text/html", f"{picture}<p>{LETTER}</p>"))
    assert policy().decide(0.0, footer.evidence) == (Verdict.UNSURE, Reason.NO_TEXT)
    assert policy().decide(1.0, footer.evidence) == (Verdict.SPAM, Reason.SCORE)
    assert policy().decide(0.0, letter.evidence) == (Verdict.HAM, Reason.SCORE)


def test_a_picture_beside_a_plain_form():
    """A page of pictures is not ham for the words of the plain part beside it, which few mail programs show."""
    page = "Content-Type: text/html\n\n<img src=http://example.com/a.png>"
    for raw, verdict in (
        (mixed(PLAIN, page, kind="alternative"), Verdict.UNSURE),
        (mixed(PLAIN, f"{page}<p>{LETTER}</p>", kind="alternative"), Verdict.HAM),
        (mixed(PLAIN, page), Verdict.HAM),
    ):
        assert policy().decide(0.0, READER.read(raw).evidence)[0] is verdict


PICTURES = {
    "a button": "<input src=http://example.com/a.png type=image>",
    "an old background": "<table background='http://example.com/a.png'><tr><td>&nbsp;</table>",
    "a background": "<div style=\"background: #fff URL('cid:a')\"></div>",
    "a background with quotes": '<div style="background-image:url(&quot;http://example.com/a.png&quot;)"></div>',
    "a background of a sheet": "<style>.a {background: url(//example.com/a.png)}</style><div class=a></div>",
    "SVG": "<svg><image href=http://example.com/a.png /></svg>",
    "VML": "<!--[if mso]><v:rect><v:fill src=http://example.com/a.png /></v:rect><![endif]-->",
    "an object": "<object data=http://example.com/a.png></object>",
    "a still of a film": "<video poster=http://example.com/a.png></video>",
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_footer_below_any_picture(name):
    """Pictures that are no <img> count too."""
    footer = READER.read(single("Content-Type: text/html", f"{PICTURES[name]}<p>Unsubscribe here</p>"))
    letter = READER.read(single("Content-Type: text/html", f"{PICTURES[name]}<p>{LETTER}</p>"))
    assert policy().decide(0.0, footer.evidence) == (Verdict.UNSURE, Reason.NO_TEXT)
    assert policy().decide(0.0, letter.evidence) == (Verdict.HAM, Reason.SCORE)


def test_a_picture_named_as_data():
    """A picture whose type says only that it is data is a picture by the name of its file."""
    raw = mixed("Content-Type: text/plain\n\nSee below", "Content-Type: application/octet-stream; name=a.png\n\ndata")
    assert policy().decide(0.0, READER.read(raw).evidence) == (Verdict.UNSURE, Reason.NO_TEXT)


def test_fonts_are_no_pictures():
    """A short letter with fonts from elsewhere, or in the style of Outlook, is judged by its score."""
    fonts = "<style>@import url('http://example.com/a.css'); @font-face {src: url(http://example.com/a.woff)}</style>"
    outlook = r"<!--[if !mso]><style>v\:* {behavior: url(#default#VML)}</style><![endif]-->"
    reading = READER.read(single("Content-Type: text/html", f"{fonts}{outlook}<p>Yes, thanks.</p>"))
    assert policy().decide(0.0, reading.evidence) == (Verdict.HAM, Reason.SCORE)


def test_a_short_letter_is_a_letter():
    """A short plain answer is judged by its score."""
    reading = READER.read(single("Content-Type: text/plain", "Yes, thanks."))
    assert policy().decide(0.0, reading.evidence) == (Verdict.HAM, Reason.SCORE)


def policy() -> Policy:
    from spamlstm.config import Thresholds

    return Policy(Thresholds(ham=0.2, spam=0.98))


def test_quoted_printable_of_old_invitations():
    """Values of vCalendar in quoted-printable are decoded, also those folded behind a `=`."""
    event = "SUMMARY;ENCODING=QUOTED-PRINTABLE:You =57on\n"
    event += "DESCRIPTION;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:a pri=\nze=0Anow"
    message = parse_message(single("Content-Type: text/x-vcalendar", event))
    assert message.text == "You Won\na prize\nnow"


def test_text_of_buttons():
    """The text of a button is read, whether it is an element or an attribute of one."""
    page = "<p>Your file</p><form><input type=submit value='Open file'><input type=text value=no></form>"
    assert parse_message(single("Content-Type: text/html", page)).page.visible == "Your file\nOpen file"
