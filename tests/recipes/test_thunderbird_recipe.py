"""The rules of Thunderbird, applied to the headers that we write. Thunderbird itself is not run."""

import email
import re
from functools import partial

import pytest
from recipe import Recipe
from serving import filtered, gtube, mails
from tiny_bundle import UNSURE

RECIPE = Recipe("recipes/thunderbird")


def marks(file, mail):
    """Return how the rules of a file mark a message."""
    rules = [re.split(r" {2,}", line) for line in RECIPE.files[file].splitlines()]
    values = email.message_from_bytes(mail)
    assert all(condition == "begins with" for _, _, condition, _ in rules)
    return {mark for mark, name, _, start in rules if any(one.startswith(start) for one in values.get_all(name, []))}


@pytest.fixture
def written(tiny, tmp_path):
    """Return what `spamlstm filter` writes."""
    return partial(filtered, model=tiny, state=tmp_path)


def test_rules_for_spamassassin(written):
    """Spam is junk, and ham and unsure mail is good, whatever headers their senders have forged."""
    forged = b"X-Spam-Status: No, score=-9\r\nX-Spam-Flag: NO\r\n"
    assert marks("SpamAssassin.sfd", mails()["inbox"]) == {"junk"}  # as it comes, with forged headers
    assert marks("SpamAssassin.sfd", written(mails()["inbox"])) == {"good"}
    assert marks("SpamAssassin.sfd", written(UNSURE)) == {"good"}
    assert marks("SpamAssassin.sfd", written(forged + mails()["junk"])) == {"junk"}
    assert marks("SpamAssassin.sfd", written(gtube())) == {"junk"}


def test_rules_for_bogofilter(written):
    """With --bogofilter, spam is junk, ham is good, and unsure mail is neither."""
    found = [
        marks("Bogofilter.sfd", written(b"X-Bogosity: Ham\r\nX-Bogosity: Spam\r\n" + mail, bogofilter=True))
        for mail in (mails()["junk"], mails()["inbox"], UNSURE)
    ]
    assert found == [{"junk"}, {"good"}, set()]
