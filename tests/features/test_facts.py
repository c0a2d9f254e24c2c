"""Every fact has its value on mail made for it, and no value that the tables lack."""

import base64
from email.utils import mktime_tz, parsedate_tz

import pytest
from hostile_text import limit
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.features.links import link_targets
from spamlstm.features.render import FACTS, facts
from spamlstm.features.style import _seconds
from spamlstm.message.message import parse_message

OUTSIDE = "Received: from a.example (a.example [192.0.2.1]) by mx.example.com (Postfix) with ESMTP id 1; today"


def facts_of(headers: str, body: str = "hello", *, page: bool = False) -> dict[str, str]:
    kind = "Content-Type: text/html\n" if page else ""
    message = parse_message(f"{headers.strip()}\n{kind}\n{body}".encode())
    return dict(facts(message, link_targets(message)))


def test_facts_are_listed():
    """Every fact and its value are listed in FACTS."""
    for raw in (
        b"",
        b"From: a@b.org\nReceived: from x (y [1.2.3.4]) by z; Mon, 1 Jan 2024 00:00:00 +0000\n\nhi",
        b"<a href=//1.2.3.4/>x",
    ):
        message = parse_message(raw)
        assert all(value in FACTS[name] for name, value in facts(message, link_targets(message)))


@pytest.mark.parametrize(
    ("headers", "name", "value"),
    [
        ("From: a@shop.example.com\nReply-To: b@mail.example.com", "reply", "same"),
        ("From: a@example.com\nReply-To: b@example.net", "reply", "other"),
        ("From: a@example.com\nReply-To: b@gmail.com", "reply", "free"),
        ("From: a@paypal.de\nReply-To: b@paypal.com", "reply", "same"),
        ("From: a@paypal.de\nReply-To: b@paypal.top", "reply", "other"),
        # Anyone can have an address or a page at these domains of the brand.
        ("From: a@hotmail.com\nReply-To: b@microsoft.com", "reply", "other"),
        ("From: a@microsoft.com\nReply-To: b@sharepoint.com", "reply", "other"),
        ("From: a@ovh.com\nReply-To: b@vps-1a2b.vps.ovh.net", "reply", "other"),
        ("From: a@gmail.com\nReply-To: b@gmail.com", "reply", "free"),
        ("From: a@gmail.com\nReply-To: A@gmail.com", "reply", "same"),
        ("From: jo.doe@gmail.com\nReply-To: jodoe+work@gmail.com", "reply", "same"),
        ("From: a@gmail.com", "reply", "none"),
        ("Reply-To: b@gmail.com", "reply", "free"),
        ("From: a@qxzvkt.com", "domain", "odd"),
        ("From: a@shop4you7.com", "domain", "odd"),
        ("From: a@landwirtschaft.de", "domain", "plain"),
        ("From: a@hauptstrasse.de", "domain", "plain"),
        ("From: a@lightspeed.com", "domain", "plain"),
        ("From: gesellschaft@example.com", "local", "plain"),
        ("From: hjqwrtz@example.com", "local", "odd"),
        ("From: a@gmail.com", "from", "free"),
        ("From: a@example.com\nTo: a@example.com", "from", "self"),
        ("From: a@example.com\nTo: b@example.com", "from", "own"),
        (f"{OUTSIDE}\nFrom: a@example.com\nTo: a@example.com", "from", "claimed"),
        (f"{OUTSIDE}\nFrom: a@example.com\nTo: b@example.com", "from", "claimed"),
        (f"{OUTSIDE}\nFrom: a@example.net".replace("a.example", "forward500c.mail.yandex.net"), "via", "service"),
        (f"{OUTSIDE}\nFrom: a@proton.me".replace("a.example", "mail-4316.protonmail.ch"), "via", "free"),
        ("From: a@example.com\nMessage-ID: <1@example.com>", "id", "same"),
        ("From: a@example.com\nMessage-ID: nonsense", "id", "bad"),
        ('From: "Big Bank www.bank.example" <x@evil.example>', "name", "foreign"),
        ("From: a@example.com\nSubject: Re: money", "thread", "forged"),
        ("From: a@example.com\nSubject: Re: money\nIn-Reply-To: <x@example.com>", "thread", "claimed"),
        ("From: a@example.com\nTo: b@example.org\nReferences: <x@a.example> <y@mx.example.org>", "thread", "reply"),
        ("From: a@example.com\nTo: b@gmail.com\nIn-Reply-To: <x@mail.gmail.com>", "thread", "reply"),
        ("From: a@example.com\nList-Id: <x.example.com>", "list", "claimed"),
        ("From: PayPal <a@example.com>", "brand", "foreign"),
        ("From: P\u0430yP\u0430l <a@example.com>", "brand", "foreign"),
        (
            "From: a@example.com\nSubject: Your \U0001d5e3\U0001d5ee\U0001d606\U0001d5e3\U0001d5ee\U0001d5f9 account",
            "brand",
            "foreign",
        ),
        ("From: P\u200bay\u200bPal <a@paypal.com>", "brand", "own"),
        ("From: a@example.com\nTo: undisclosed-recipients:;", "to", "hidden"),
        ("From: Bob@Example.org mailbox <a@example.com>\nTo: bob@example.org", "home", "name"),
        ("From: example.org admin <a@example.com>\nTo: bob@example.org", "home", "name"),
        ("From: a@example.com\nTo: bob@example.org\nSubject: [example.org] is full", "home", "subject"),
        ("From: a@example.com\nTo: bob@gmail.com\nSubject: bob@gmail.com is full", "home", "subject"),
        (f"{OUTSIDE}\nFrom: a@example.org\nTo: bob@example.org\nSubject: example.org", "home", "subject"),
        ("From: ex\u200bample.org <a@example.com>\nTo: bob@example.org", "home", "name"),
        (
            "From: \uff45xample\uff0eorg <a@example.com>\nTo: bob@example.org",
            "home",
            "name",
        ),
        ("From: ex\u0430mple\u2024org <a@example.com>\nTo: bob@example.org", "home", "name"),
        ("From: a@example.com\nTo: bob@my-own.example\nSubject: my\u2011own.example is full", "home", "subject"),
        ("From: a@example.com\nTo: anna@example.org\nSubject: Hello Anna", "greet", "subject"),
        ("From: a@example.com\nTo: josé@example.org\nSubject: Hola Jose", "greet", "subject"),
        ("From: a@example.com\nTo: garcia@example.org\nSubject: Hola García", "greet", "subject"),
        (
            "From: a@example.com\nTo: =?utf-8?b?xYF1a2FzeiBCxIVr?= <x@example.org>\nSubject: Witaj Łukasz",
            "greet",
            "subject",
        ),
        (
            "From: a@example.com\nTo: =?utf-8?b?55Sw5Lit5aSq6YOO?= <x@example.org>\nSubject: 田中太郎 様",
            "greet",
            "subject",
        ),
        ("From: a@example.com\nSubject: VS: money", "thread", "forged"),
        ("From: a@example.com\nSubject: Odp: money", "thread", "forged"),
        ("From: a@example.com\nSubject: RES: money", "thread", "forged"),
        ("From: a@example.com\nSubject: R: money", "thread", "forged"),
        ("From: a@example.com\nSubject: RÉP : money", "thread", "forged"),
        ("From: a@example.com\nSubject: 返信: money", "thread", "forged"),
        ("From: a@example.com\nSubject: VS : Haka - Inter", "thread", "new"),
        ("From: a@example.com\nSubject: Res: 12345 Hotel Adria", "thread", "new"),
        ("From: a@example.com\nTo: anna@example.org\nSubject: Hello anna@example.org", "greet", "address"),
        ("From: a@example.com\nDate: nonsense", "date", "bad"),
    ],
)
def test_header(headers, name, value):
    """A header yields the fact that compares it with the sender."""
    assert facts_of(headers)[name] == value


@pytest.mark.parametrize(
    "headers",
    [
        "From: a@example.org\nTo: bob@example.org\nSubject: example.org is down",
        "From: a@example.com\nTo: bob@gmail.com\nSubject: gmail.com is down",
        "From: a@example.com\nTo: bob@example.org\nSubject: Hello Bob",
        "From: a@example.com\nSubject: example.org",
        # Other addresses and domains
        "From: nytimes.com <a@nytimes.com>\nTo: bob@times.com",
        "From: a@example.com\nTo: ann@example.org\nSubject: joann@example.org.uk",
        # Mail of the recipient, or of a list of the recipient's organisation
        "From: bob@gmail.com\nTo: bob@gmail.com\nSubject: bob@gmail.com",
    ],
)
def test_no_stranger_shows_the_address(headers):
    """A colleague may name the own domain, anybody a mailbox provider, and the name alone is not the address."""
    assert "home" not in facts_of(headers)


@pytest.mark.parametrize(
    ("text", "greet"),
    [
        ("Dear Anna,", "body"),
        ("Dear anna@example.org, dear Anna,", "body"),
        ("Dear anna@example.org,", "address"),
        ("Dear customer,", "no"),
        ("Thank you. " + "We keep what you told us. " * 5 + "Your address: anna@example.org", "no"),
    ],
)
def test_greeting(text, greet):
    """A greeting by name differs from one by the address, which every sender knows."""
    assert facts_of("From: a@example.com\nTo: ANNA@example.org", text)["greet"] == greet
    assert facts_of("From: a@example.com\nTo: anna@example.org <anna@example.org>", text)["greet"] == greet


def relayed(
    *,
    results: str = "dmarc=pass header.from=allegromail.pl",
    sender: str = '"PayPal (a@paypal.example)" <x@allegromail.pl>',
    to: str = "ann@example.com",
    entry: str = "from a.allegro.pl (a.allegro.pl [192.0.2.1]) by mx.example.com (Postfix) with ESMTP id 1; today",
) -> tuple[str | None, ...]:
    """Return the facts `from`, `name`, `reply` and `brand` of a message that a relay may have passed on."""
    headers = (
        f"Received: {entry}\nAuthentication-Results: mx.example.com; {results}\nTo: {to}\n"
        f"From: {sender}\nReply-To: a@paypal.example\nSubject: PayPal"
    )
    found = facts_of(headers)
    return tuple(map(found.get, ("from", "name", "reply", "brand")))


RELAYED = ("relay", "plain", "service", None)
STRANGER = ("org", "foreign", "other", "foreign")


def test_a_marketplace_passes_on_mail_of_its_members():
    """Mail of a proven marketplace may name another organisation. A forged one is a stranger like others."""
    assert relayed() == RELAYED
    assert relayed(results="dmarc=fail header.from=allegromail.pl") == STRANGER
    assert relayed(results="dmarc=pass header.from=evil.example") == STRANGER
    assert relayed(entry="by mx.example.com; today") == STRANGER
    two_authors = '<a@evil.example>, "PayPal (a@paypal.example)" <x@allegromail.pl>'
    assert "relay" not in relayed(sender=two_authors, results="dmarc=pass header.from=evil.example")


def test_an_alias_service_passes_on_mail_to_its_users():
    """Anybody can write from an address at an alias service, so its mail is relayed only if it goes to an alias."""
    alias = {"sender": '"PayPal (a@paypal.example)" <x@duck.com>', "results": "dmarc=pass header.from=duck.com"}
    assert relayed(to="ann@mozmail.com", **alias) == RELAYED
    assert relayed(**alias) == STRANGER


def test_a_seller_is_not_the_marketplace():
    """A member of a marketplace of a brand does not have the name of the brand."""
    seller = relayed(
        sender='"Amazon Security" <x@marketplace.amazon.com>', results="dmarc=pass header.from=marketplace.amazon.com"
    )
    assert seller == RELAYED


def test_users_of_an_alias_service_are_no_colleagues():
    """Another user of the recipient's alias service is not of the recipient's organisation."""
    own = "To: ann@simplelogin.co\nFrom: bob@simplelogin.co\nReferences: <1@x.simplelogin.co>"
    found = facts_of(own)
    assert (found["from"], found["thread"]) == ("org", "claimed")


@given(
    st.tuples(
        st.sampled_from(["Mon, ", "Mon,", "Mon ", "", "Foo, ", "\t"]),
        st.sampled_from(["1 ", "31 ", "00 ", "99 ", "123 ", "x "]),
        st.sampled_from(["Jan ", "feb ", "DEC ", "Foo ", "Mar, "]),
        st.sampled_from(["2004 ", "1970 ", "99 ", "0099 ", "9999 ", "10000 "]),
        st.sampled_from(["12:30:01", "99:99:99", "12:00", "1:2:3", ""]),
        st.sampled_from([" +0100", " -0000", " -0530 (X)", " +01000", " GMT", "", "\n+9999"]),
        st.sampled_from(["", " " * 90]),
    ).map("".join)
)
def test_dates_as_the_standard_library(value):
    """A date has the seconds that email.utils gives, also in the usual form, which is read without email.utils."""
    try:
        parsed = parsedate_tz(value[:100])
        expected = mktime_tz(parsed) if parsed else None
    except (ValueError, OverflowError, IndexError, TypeError):
        expected = None
    assert _seconds(value) == expected


def test_lying_link():
    """A link that shows the host of one organisation and leads to another is lying."""
    lie = '<a href="http://evil.example/">http://bank.example.org/</a>'
    truth = '<a href="http://www.example.org/">http://bank.example.org/</a>'
    assert facts_of("From: a@example.org", lie, page=True).get("lying") == "yes"
    assert "lying" not in facts_of("From: a@example.org", truth, page=True)


def test_link_targets():
    """Hosts come once and in order; a user name in a URL is not taken for its host."""
    message = parse_message(
        b"Content-Type: text/html\n\n<a href=http://bank.example@evil.example/>x</a><a href=//evil.example/y>z</a>"
    )
    assert list(link_targets(message).hosts) == ["evil.example"]
    assert list(link_targets(parse_message(b"A: b\n\nsee http://one.example/ and https://two.example")).hosts) == [
        "one.example",
        "two.example",
    ]


@pytest.mark.parametrize(
    "headers",
    [
        "Received: from " + "1" * 100_000 + ".g (" + "1.g" * 50_000 + ")",
        "Received: from x (" + "1" * 40_000 + ".g)",
        "Received: from x (" + "(" * 200_000,
        "Received: from " + "a " * 100_000,
        "DKIM-Signature: " + "d " * 100_000,
        "List-Unsubscribe: " + "http://" * 30_000,
        "To: <" + "word." * 40_000 + "@b.org>\nSubject: " + "y" * 40_000,
        "Message-ID: <" + "a1" * 100_000,
    ],
)
def test_hostile_header(headers):
    """Long headers take less than a second of processor time."""
    with limit(1):
        facts_of(f"From: a@example.org\n{headers}")


@pytest.mark.parametrize(
    ("host", "fact"),
    [
        ("las1s04mta1046.xt.local", "none"),
        ("ip-10-0-0-216.ec2.internal", "none"),
        ("geopod-ismtpd-3", "none"),
        ("app.shop.example", "same"),
        ("mta7.sendgrid.net", "service"),
        ("bounce.bluestatedigital.com", "service"),
        ("mx.other.example", "other"),
    ],
)
def test_a_message_id_with_a_private_name_belongs_to_nobody(host, fact):
    """Mail services write names of their own network into the Message-ID, which say nothing about the sender."""
    assert facts_of(f"From: news@shop.example\nMessage-ID: <7.8@{host}>")["id"] == fact


@pytest.mark.parametrize(("host", "fact"), [("localhost", "none"), ("pc.lan", "none"), ("shop.xyz", "new")])
def test_a_private_name_is_no_new_top_level_domain(host, fact):
    """A From address of a machine in the own network has no zone."""
    assert facts_of(f"From: root@{host}")["zone"] == fact


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("bill.pdf", "document"),
        ("bill.pdf.exe", "program"),
        ("bill.exe. ", "program"),
        ("bill.URL", "program"),
        ("bill.vhdx", "archive"),
        ("bill.xhtml", "page"),
        ("bill.heif", "image"),
        ("bill", "other"),
    ],
)
def test_files(name, kind):
    """The kind of a file follows from what Windows takes for the ending of its name."""
    assert facts_of(f'Content-Type: application/octet-stream; name="{name}"')["file"] == kind


@pytest.mark.parametrize("charset", ["euc-jp", "shift_jis", "iso-2022-jp"])
@pytest.mark.parametrize("word", [b"%s", b"=?%s?B?%s?=", b"=?%s?Q?%s?="])
def test_names_of_files_in_japanese(charset, word):
    """The ending is found in the bytes of old Japanese charsets, some of which contain quotes and backslashes."""
    for stem in ("あい", "請求書", "予定表", "ソフト一覧"):
        name = f"{stem}.exe".encode(charset)
        encoded = base64.b64encode(name) if b"?B?" in word else b"".join(b"=%02X" % byte for byte in name)
        shown = word % (charset.encode(), encoded) if word != b"%s" else name
        raw = b'Content-Type: application/octet-stream\nContent-Disposition: attachment; filename="%s"\n\nTVqQ' % shown
        message = parse_message(raw)
        assert dict(facts(message, link_targets(message)))["file"] == "program"
