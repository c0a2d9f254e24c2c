"""What is not the letter is secondary text, which can raise the score of a message and never lower it."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multipart import TOP, mixed

from spamlstm.features.render import BODY, SECONDARY, cut_windows, render
from spamlstm.message import part_text
from spamlstm.message.message import parse_message
from spamlstm.message.part_text import FEWEST_LETTER_WORDS, quoted_headers

LETTER = (
    "Dear winner, you have won the summer lottery. Send your bank account to our agent today. The prize was drawn in a "
    "far country and waits in our bank for you. We pay all taxes, and nobody else must know of this before the money "
    "has come."
)
MINUTES = "The committee met on Monday and agreed to plant beans beside the old pond."
INNER = f"Subject: garden\nContent-Type: text/plain\n\n{MINUTES}"


def plain(text: str) -> str:
    return f"Content-Type: text/plain; charset=utf-8\n\n{text}"


def letter_with(*, quoted: str) -> bytes:
    return f"{TOP}{plain(f'{LETTER}{quoted}')}".encode()


BESIDE = {
    "an attached text": mixed(
        plain(LETTER), f"Content-Type: text/plain; name=a.txt\nContent-Disposition: attachment\n\n{MINUTES}"
    ),
    "an attached page": mixed(
        plain(LETTER), f"Content-Type: text/html; name=a.html\nContent-Disposition: attachment\n\n<p>{MINUTES}</p>"
    ),
    "an attachment above the letter": mixed(
        f"Content-Type: text/plain; name=a.txt\nContent-Disposition: attachment\n\n{MINUTES}", plain(LETTER)
    ),
    "a message": mixed(plain(LETTER), f"Content-Type: message/rfc822\n\n{INNER}"),
    "a message in base64": mixed(
        plain(LETTER),
        "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n"
        + base64.encodebytes(INNER.encode()).decode(),
    ),
    "an invitation": mixed(plain(LETTER), f"Content-Type: text/calendar\n\nBEGIN:VEVENT\nDESCRIPTION:{MINUTES}\n"),
    "another plain part": mixed(plain(MINUTES), f"Content-Type: text/html\n\n<p>{LETTER}</p>", kind="alternative"),
    "another page": mixed(
        f"Content-Type: text/html\n\n<p>{MINUTES}</p>",
        f"Content-Type: text/html\n\n<p>{LETTER}</p>",
        kind="alternative",
    ),
    "a plain part that no program chooses": mixed(plain(MINUTES), plain(LETTER), kind="alternative"),
    "a forwarded message": letter_with(
        quoted=f"\n\n---------- Forwarded message ---------\nFrom: Ruth\nSubject: Minutes\n\n{MINUTES}"
    ),
    "an answered message": letter_with(quoted=f"\n\nFrom: Ruth Ellis\nSent: Monday\nTo: Ann\n\n{MINUTES}"),
}


@pytest.mark.parametrize("name", BESIDE)
def test_the_letter_is_the_first_window(name):
    """The first window has the letter alone, so the score cannot be lower than without the secondary text."""
    message = parse_message(BESIDE[name])
    first, *others = cut_windows(render(message), size=1000, most=6)
    read = first.partition(BODY)[2]
    assert " ".join(read.split()) == parsed_words(LETTER)
    assert "beans" in message.secondary
    assert any("beans" in window for window in others)
    assert message.text.endswith(message.secondary)
    assert SECONDARY not in "".join((first, *others))


def parsed_words(text: str) -> str:
    """Return a text as it is rendered."""
    return " ".join(render(parse_message(f"{TOP}\n{text}".encode())).partition(BODY)[2].split())


@pytest.mark.parametrize("name", BESIDE)
def test_a_short_letter_has_no_secondary_text(name):
    """Beside a letter of a few words, all text is the letter, or a spammer would attach what nobody judges."""
    few = " ".join(LETTER.split()[: FEWEST_LETTER_WORDS - 10])
    raw = BESIDE[name].replace(LETTER.encode(), few.encode())
    message = parse_message(raw)
    assert message.secondary == ""
    assert "beans" in message.text


def test_headers_above_the_letter_do_not_hide_those_below():
    """Lines like headers above the letter are the letter, and the message that it quotes below is secondary text."""
    top = "From: Service Team\nDate: Monday\n\n"
    message = parse_message(f"{TOP}{plain(f'{top}{LETTER}')}\n\nFrom: Ruth\nSubject: garden\n\n{MINUTES}".encode())
    assert message.text.startswith(top)
    assert "lottery" not in message.secondary
    assert "beans" in message.secondary


@pytest.mark.parametrize("nothing", [". " * 20, "\u200b" * 40, "1 2 3 " * 20, "a b c " * 20])
def test_a_letter_needs_words(nothing):
    """Signs, invisible characters, numbers and single letters are no letter beside which other text is secondary."""
    message = parse_message(f"{TOP}{plain(nothing)}\nFrom: Bank\nDate: today\n\n{LETTER}".encode())
    assert message.secondary == ""
    assert "lottery" in message.text


def test_a_part_behind_an_inner_message_is_the_letter():
    """A message within the message does not make the parts behind it secondary text."""
    message = parse_message(mixed("Content-Type: message/rfc822\n\nSubject: garden\n\nbeans", plain(LETTER)))
    assert "lottery" in message.text
    assert "lottery" not in message.secondary
    assert "beans" in message.secondary


@pytest.mark.parametrize("blank", ["", "\n \n", "\u200b\u200b", "- - -"])
def test_an_attachment_without_words_has_no_window(blank):
    """An attached text without words adds no window of the header alone."""
    attached = "Content-Type: text/plain; charset=utf-8; name=a.txt\nContent-Disposition: attachment"
    message = parse_message(mixed(plain(LETTER), f"{attached}\n\n{blank}"))
    assert message.secondary == ""
    assert len(cut_windows(render(message), size=1000, most=6)) == 1


def test_line_ends_do_not_matter():
    """With CR LF, the same text is the letter as with LF."""
    raw = letter_with(quoted=f"\n\n---- Forwarded message ----\n\n\nFrom: Ruth\n\n\nSubject: Minutes\n\n{MINUTES}")
    texts = [parse_message(form).secondary.split() for form in (raw, raw.replace(b"\n", b"\r\n"))]
    assert texts[0] == texts[1] != []


QUOTED = (
    "\nFrom: Ann\nDate: Monday\n",
    "\n> From: Ann <ann@example.org>\n> Subject: Beans\n",
    "\n---- Weitergeleitete Nachricht ----\nVon: Ann\nBetreff: Bohnen\n",
    "\n-------- Message transféré --------\nDe : Ann\nObjet : Haricots\n",
    "\n*Van:* Ann\n*Onderwerp:* Bonen\n",
    "\nОт: Анна\nТема: Бобы\n",
    "\n差出人: アン\n件名: 豆\n",
)


@pytest.mark.parametrize("quoted", QUOTED)
def test_quoted_headers_are_found(quoted):
    """The headers of a quoted message are found in several languages, with the line above that announces them."""
    assert quoted_headers(f"A few words.{quoted}\nHello") == len("A few words.\n")


@pytest.mark.parametrize(
    "text",
    [
        "From: the bridge to the mill\n\nand back again",
        "We went from: A\nto B: it was far",
        "Date: Monday\nPlace: the garden\n",
        "Dear Ann,\nFrom here: 3 miles\n",
    ],
)
def test_other_lines_are_no_quoted_headers(text):
    """A single line, or lines that do not begin with From, are the letter."""
    assert quoted_headers(text) is None


@given(st.text(max_size=300), st.text(max_size=300), st.integers(20, 80), st.integers(1, 6))
def test_windows_of_letter_and_secondary_text(letter, secondary, size, most):
    """There are at most `most` windows, the first is of the letter, and no window has the separator."""
    # A rendered text has single spaces, and no brackets of marks in what the sender wrote.
    letter, secondary = (" ".join(text.replace("⟦", "").replace("\0", "").split()) for text in (letter, secondary))
    cut = cut_windows(f"head {BODY} {letter} {SECONDARY} {secondary}", size=size, most=most)
    assert 1 <= len(cut) <= most
    assert (
        letter.encode().startswith(cut[0].partition(BODY)[2].lstrip(" ").rstrip().encode()[: size // 2]) or not letter
    )
    assert not any(SECONDARY in window for window in cut)
    if secondary and most > 1:
        assert len(cut) > 1


def test_a_hostile_letter_takes_linear_time():
    """Lines that nearly are headers of a quoted message do not slow the search down."""
    for line in ("From:", "-" * 83 + "\n" * 9 + " " * 8, "> " * 8 + "From: a\n", "\n" * 9 + "From: x\n"):
        text = line * 20_000
        assert quoted_headers(text) is None or quoted_headers(text) >= 0


def test_many_other_texts_take_little_time(monkeypatch):
    """The number of invitations and other plain parts that are compared is limited, as each comparison takes time."""
    compared = []
    monkeypatch.setattr(part_text, "_says_something_else", lambda text, shown: compared.append(text) or True)
    event = "Content-Type: text/calendar\n\nBEGIN:VEVENT\nDESCRIPTION:beans"
    parse_message(mixed(plain(LETTER), *(f"{event} {number}\n" for number in range(200))))
    assert len(compared) == part_text.MOST_OTHER
    compared.clear()
    page = f"Content-Type: text/html\n\n<p>{LETTER}</p>"
    parse_message(mixed(page, *(plain(f"{MINUTES} {number}") for number in range(200)), kind="alternative"))
    assert len(compared) == 2 * part_text.MOST_OTHER


def test_pages_of_one_choice():
    """Parts within the chosen part of a multipart/alternative are all shown, as Apple Mail sends text around files."""
    pages = "".join(f"--in\nContent-Type: text/html\n\n<p>{text}</p>\n" for text in (MINUTES, LETTER))
    inner = f"Content-Type: multipart/mixed; boundary=in\n\n{pages}--in--"
    message = parse_message(mixed(plain(MINUTES), inner, kind="alternative"))
    assert (message.text.split(), message.secondary) == (f"{MINUTES} {LETTER}".split(), "")


def test_a_choice_within_the_chosen_part():
    """A page above another multipart/alternative, and a page below it, are parts of one choice."""

    def page(text: str) -> str:
        return f"Content-Type: text/html\n\n<p>{text}</p>"

    choice = f"Content-Type: multipart/alternative; boundary=deep\n\n--deep\n{page('Note this.')}\n--deep--"
    pages = "".join(f"--in\n{part}\n" for part in (page(MINUTES), choice, page(LETTER)))
    inner = f"Content-Type: multipart/mixed; boundary=in\n\n{pages}--in--"
    message = parse_message(mixed(plain(MINUTES), inner, kind="alternative"))
    assert (message.text.split(), message.secondary) == (f"{MINUTES} Note this. {LETTER}".split(), "")


def test_a_page_in_both_parts():
    """A plain part that is a page too is read once."""
    page = f"<p>{LETTER}</p>"
    message = parse_message(
        mixed(plain(f"<html>{page}</html>"), f"Content-Type: text/html\n\n{page}", kind="alternative")
    )
    assert message.text == LETTER
