"""The shipped model tells spam from ham in messages of our own writing, of kinds that it was made for.

No message is in a corpus or in the generator of `training/synthetic`. This is a smoke test of the shipped bundle, not a
measurement: the figures on held-out mail are in the README.
"""

import json

import pytest

from spamlstm.model.classifier import Classifier
from spamlstm.verdict import Verdict

pytestmark = pytest.mark.model

SPAM = {
    "pills": """\
From: Canadian Health <offers@meds-without-rx.example>
Subject: Viagra, Cialis and more: 80% off until midnight

No prescription needed! Buy cheap Viagra and Cialis online, discreet shipping worldwide.
Order now: http://meds-without-rx.example/buy?id=88
""",
    "advance fee": """\
From: Barrister Femi Cole <femi.cole1961@barrister-office.example>
Subject: CONFIDENTIAL: INHERITANCE OF USD 14,500,000

Dear friend,

I am the attorney of a late client who died with his whole family and left fourteen million
dollars in our bank. I need a foreign partner to claim the fund as next of kin. You will keep 40 percent.
Send me your full name, telephone number and bank details. This is confidential and free of risk.

Yours faithfully,
Barrister Femi Cole
""",
    "lottery": """\
From: Euro Millions Promotion <claims@euro-draw-winners.example>
Subject: YOU HAVE WON! Reference EML/2291/77

Congratulations! Your e-mail address has won 950,000 euros in our international promotion.
To claim your prize contact our payment agent and send the processing fee of 120 euros today.
""",
    "bank phishing": """\
From: Security Team <alert@secure-login-verify.example>
Subject: Your account has been suspended

Dear customer,

we noticed unusual activity in your bank account and have limited it. Verify your password
and card number within 24 hours or the account will be closed permanently:

http://203.0.113.77/secure/login/verify.php?session=9182

Security Team
""",
    "watches": """\
From: Luxury Watches <sale@replica-time.example>
Subject: Replica watches, 85% off

Replica Rolex, Omega and Breitling watches, perfect quality, the lowest prices online!
Free worldwide shipping, all credit cards accepted. Visit our shop today: http://replica-time.example/
""",
    "dating": """\
From: Lonely Natasha <natasha88@hot-meet-tonight.example>
Subject: I saw your profile, hot girl in your area

Hi sexy, I am alone tonight and looking for a man. See my private naked photos and hot videos for free,
no credit card needed, click here now: http://hot-meet-tonight.example/natasha?click=1
""",
    "stock tip": """\
From: Wall Street Alert <alert@penny-stock-picks.example>
Subject: This stock will explode on Monday, buy now!!!

HUGE NEWS! Symbol: GXPT. Current price $0.12, target price $2.50. This hot stock is about to explode.
Buy it now before everybody else does. Do not miss 2000% profit!
""",
    "German casino": """\
From: Casino Bonus <bonus@gratis-spins-heute.example>
Subject: Ihr Bonus wartet: 500 Euro gratis!

Herzlichen Glückwunsch! Sie haben 500 Euro Bonus und 200 Freispiele in unserem Online Casino gewonnen.
Jetzt kostenlos anmelden und sofort Geld gewinnen: http://gratis-spins-heute.example/bonus
""",
}
HAM = {
    "invitation": """\
From: Carol Winter <carol@winter.example>
Subject: Dinner on Friday?

Hi Bob,

would you and Anna like to come to dinner on Friday at seven? Tom will bring his new boat photos.
Let me know if there is anything you do not eat.

Carol
""",
    "work": """\
From: Dave Hill <dave.hill@builders.example>
Subject: Re: Minutes of Tuesday's meeting

On Wednesday Bob wrote:
> I think the date of the review is wrong.

You are right, the review is on the 21st, not on the 12th. I have corrected the minutes and put the new
version into our folder. Carol still has to check the heating plan.

Dave
""",
    "bug report": """\
From: Eve Stone <eve@stone.example>
Subject: Re: [patch] parser: accept empty headers

On Mon, Bob wrote:
> The parser fails if the header is empty.

I can reproduce this with version 2.3. The loop in read_header() ends one line too early. With the patch
below all tests pass here. Could you review it before the release?

Eve
""",
    "school": """\
From: Grange School Office <office@grange-school.example>
Subject: School trip on 14 May

Dear parents,

class 5b visits the science museum on 14 May. The bus leaves at 8:15 and returns at about 16:00.
Please give your child a packed lunch and sign the form in the homework folder.

Kind regards
Ms Frost
""",
    "family": """\
From: Ruth Winter <ruth@winter.example>
Subject: Re: Sunday

Hi Bob,

it was lovely to see all of you on Sunday. Dad found your blue scarf behind the sofa. Shall I bring it
along when we come to fix the fence on Saturday?

Mum

Bob wrote:
> Thank you for the cake, the children ate the rest of it on the train.
""",
    "German": """\
From: Frank Berg <frank@berg.example>
Subject: Probe am Donnerstag

Hallo Bob,

die Probe am Donnerstag beginnt erst um halb acht, weil der Saal vorher belegt ist. Bringst Du die
Noten vom letzten Konzert mit? Grüße an die Familie

Frank
""",
}


@pytest.fixture(scope="module")
def classifier(root):
    """The shipped model, whatever model the user has installed."""
    return Classifier.open(root / "models/default")


def _message(written):
    added = """\
To: Bob <bob@receiver.example>
Date: Tue, 4 Mar 2025 09:12:44 +0000
Message-ID: <5f1c2d@mail.example>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
"""
    return f"{added}{written}".encode()


@pytest.mark.parametrize("kind", SPAM)
def test_spam_is_judged_spam_by_its_score(classifier, kind):
    """Ordinary spam of each kind is caught by the network, not by a rule such as GTUBE's."""
    judgement = classifier.classify(_message(SPAM[kind]))

    assert (judgement.verdict, judgement.reason) == (Verdict.SPAM, "score")


@pytest.mark.parametrize("kind", HAM)
def test_ham_is_judged_ham_by_its_score(classifier, kind):
    """Ordinary personal and business mail stays ham, although its sender is unknown."""
    judgement = classifier.classify(_message(HAM[kind]))

    assert (judgement.verdict, judgement.reason) == (Verdict.HAM, "score")


@pytest.mark.parametrize("name", ["default", "without-trec07p"])
def test_the_card_is_generated_from_the_manifest(root, name):
    """The README of a shipped bundle is what the trainer writes for its manifest, so that the two agree."""
    from training import card

    folder = root / "models" / name
    assert (folder / "README.md").read_text() == card.text(json.loads((folder / "manifest.json").read_text()))
