"""The evasion suite changes how spam looks to a program, and not what a person reads."""

import sys
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

from evading import READABLE, TRANSFORMS, read_letter, transformed, write_letter
from evading.hiding import HIDING
from evading.lettering import LETTERING
from evading.reading import reads_the_same

PAGE = b"""Return-Path: <office@parcels.example>
From: Parcel office <office@parcels.example>
To: <anna@home.example>
Subject: Your parcel is waiting
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary=b

--b
Content-Type: text/plain; charset=utf-8

Your parcel could not be delivered today. Please confirm your address and pay the customs fee.
https://parcels.example/pay

--b
Content-Type: text/html; charset=utf-8

<html><head><title>Parcel</title></head><body><p>Your parcel could not be delivered today.
Please confirm your address and pay the customs fee.</p><a href="https://parcels.example/pay">Continue</a></body></html>
--b--
"""
LETTER = (
    b"From: Barrister Moss <moss@mailbox.example>\nTo: anna@home.example\nSubject: Confidential\n\n"
    b"A client who bears your family name died without heirs. We share the sum. Answer today: http://moss.example/reply\n"
)


@pytest.fixture(params=[PAGE, LETTER], ids=["page", "letter"])
def letter(request):
    return read_letter(request.param)


def test_there_are_enough_ways():
    """There are at least forty ways. Each family says how it is known that a person still reads the message."""
    assert len(TRANSFORMS) >= 40
    assert {name.partition(":")[0] for name in TRANSFORMS} == set(READABLE)


def test_a_letter_survives_reading_and_writing(letter):
    """Without a change, a message that is read and written has the same text, subject and sender."""
    again = read_letter(write_letter(letter))

    assert (again.plain.split(), again.html.split()) == (letter.plain.split(), letter.html.split())
    assert again.headers == letter.headers


@pytest.mark.parametrize("name", TRANSFORMS)
def test_each_way_changes_the_message(letter, name):
    """Each way changes the bytes, keeps From or replaces it by one, and leaves the same text to read."""
    changed = transformed(name, letter)

    assert changed is not None
    assert changed != write_letter(letter)
    head = changed.decode("utf-8", "replace").replace("\r", "")
    assert head.count("\nFrom: ") + head.lstrip("\ufeff").startswith("From: ") >= 1


@pytest.mark.parametrize("name", [name for name in TRANSFORMS if not name.startswith("structure")])
def test_the_result_is_well_formed(letter, name):
    """Except where the fault is the purpose, the result parses without defects."""
    message = message_from_bytes(transformed(name, letter), policy=default)

    assert not message.defects
    assert message.get_body() is not None


def test_another_text_does_not_read_the_same(letter):
    """The check of what a person reads fails if words are missing."""
    other = read_letter(b"Subject: x\n\nThe minutes of the society are below, and nothing else is in this letter.\n")

    assert not reads_the_same(letter, other)


def test_training_uses_other_constants():
    """No style or mark of the suite is one that training uses, except the two most common ways of hiding text."""
    from training.synthetic.modern import drafts, lettering

    page = read_letter(PAGE)
    suite = "".join(change(page).html for change in HIDING.values())
    shared = {"display:none", "max-height:0;overflow:hidden"}  # honest newsletters hide their preview lines so, too
    assert not [style for style in drafts._HIDDEN if style in suite and style not in shared]
    marks = "".join(change(page).html for change in LETTERING.values())
    assert not [mark for mark in lettering._INVISIBLE if mark in marks.replace("&shy;", "")]
