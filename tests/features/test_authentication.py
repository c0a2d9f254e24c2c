"""Whose results of SPF, DKIM and DMARC count: those of the receiving server, all of them, and no others."""

import pytest

from spamlstm.features.links import link_targets
from spamlstm.features.render import facts
from spamlstm.message.message import parse_message

RECEIVED = (
    "Received: from out3.northbay-bank.example (out3.northbay-bank.example [198.51.100.27]) by mx.example.org (Postfix)"
    " with ESMTPS id 59; Sat, 28 Nov 2026 02:39:58 -0000"
)
INNER = "Received: from app (unknown [10.4.7.19]) by out3.northbay-bank.example (Postfix) with ESMTPSA id F9; x"
SPF = "spf=pass smtp.mailfrom=northbay-bank.example"
DKIM = 'dkim=pass (2048-bit key; secure) header.d=northbay-bank.example header.i=@northbay-bank.example header.b="aB3"'
DMARC = "dmarc=pass (p=reject dis=none) header.from=northbay-bank.example"
OWN = "Authentication-Results: mx.example.org; "
ABSENT = {"spf": "absent", "dkim": "absent", "dmarc": "absent"}
GENUINE = {"spf": "pass", "dkim": "aligned", "dmarc": "pass"}


def facts_of(*headers: str) -> dict[str, str]:
    text = "\n".join(
        (*headers, "From: Northbay Bank <statements@northbay-bank.example>", "", "Your statement is ready.")
    )
    message = parse_message(text.encode())
    return dict(facts(message, link_targets(message)))


def results(*headers: str) -> dict[str, str]:
    found = facts_of(*headers)
    return {method: found[method] for method in ABSENT}


@pytest.mark.parametrize(
    "headers",
    [
        (RECEIVED, f"{OWN}{DKIM}; {SPF}; {DMARC}", INNER),
        (RECEIVED, OWN + DMARC, OWN + SPF, OWN + DKIM, INNER),
        (RECEIVED, OWN + DKIM, OWN + SPF, OWN + DMARC, INNER),
        (OWN + DKIM, OWN + SPF, RECEIVED, OWN + DMARC, INNER),
        (RECEIVED, INNER, OWN + DKIM, OWN + SPF, OWN + DMARC),
        (RECEIVED, f"{OWN}dkim=fail header.d=list.example; {DKIM}; {SPF}; {DMARC}"),
        (RECEIVED, f"{OWN}dkim=fail header.d=list.example", OWN + DKIM, OWN + SPF, OWN + DMARC),
        (RECEIVED, f"{OWN.replace('mx.', '').replace(';', ' 1;')}{DKIM}; {SPF}; {DMARC}"),
        (OWN.replace("mx.example.org", "filter.lan") + f"{DKIM}; {SPF}; {DMARC}", RECEIVED),
        ("Received-SPF: Pass (mailfrom) identity=mailfrom; client-ip=198.51.100.27", RECEIVED, OWN + DKIM, OWN + DMARC),
    ],
)
def test_all_headers_of_the_receiving_server_count(headers):
    """One header or several, in any order, above or below its Received, have the same facts."""
    assert results(*headers) == GENUINE


@pytest.mark.parametrize(
    "headers",
    [
        (RECEIVED,),
        (RECEIVED, "Authentication-Results: mx.elsewhere.example; " + DKIM, OWN.replace("mx", "mx.not") + "none"),
        (RECEIVED, f"Authentication-Results: {SPF}; {DKIM}; {DMARC}"),
        (RECEIVED, f"ARC-Authentication-Results: i=1; mx.example.org; {SPF}; {DKIM}; {DMARC}"),
        (f"ARC-Authentication-Results: i=1; mx.example.org; {SPF}; {DKIM}; {DMARC}", RECEIVED),
        (RECEIVED, "Received-SPF: pass (mx.example.org: domain of x) receiver=mx.example.org"),
        (f"{OWN}{SPF}; {DKIM}; {DMARC}",),
    ],
)
def test_results_of_others_are_claims(headers):
    """Results by other servers, without a server, in ARC headers or without a Received say nothing."""
    assert results(*headers) == ABSENT


def test_a_forged_result_does_not_hide_a_failure():
    """A failure of DMARC stays a failure, with forged results beside it and in ARC headers."""
    arc = f"ARC-Authentication-Results: i=1; evil.example; {DKIM}; {SPF}"
    failed = OWN + "dmarc=fail header.from=northbay-bank.example"
    assert results(RECEIVED, failed, arc) == ABSENT | {"dmarc": "fail"}
    for forged in (OWN + DMARC, OWN + f"{DKIM}; {DMARC}"):
        assert results(RECEIVED, failed, forged)["dmarc"] == "fail"
        assert results(RECEIVED, forged, failed)["dmarc"] == "fail"


def test_a_result_below_the_hop_of_the_sender_does_not_hide_a_failure():
    """A result that is forged in the name of the receiving server does not count beside a genuine one."""
    failed = OWN + "dkim=fail header.d=northbay-bank.example; spf=fail smtp.mailfrom=northbay-bank.example"
    found = results(RECEIVED, failed, INNER, f"{OWN}{DKIM}; {SPF}")
    assert (found["dkim"], found["spf"]) == ("fail", "fail")


def test_quoted_values():
    """The domain in quotes is the domain, and quotes in the sender's address hide nothing and prove nothing."""
    quoted = f'{OWN}dkim=pass header.d="northbay-bank.example"; spf=pass smtp.mailfrom="a@northbay-bank.example"'
    assert results(RECEIVED, f'{quoted}; dmarc=pass header.from="northbay-bank.example"') == GENUINE
    local = r'"x\" ; dkim=pass header.d=northbay-bank.example \""@evil.example'
    assert results(RECEIVED, f"{OWN}spf=pass smtp.mailfrom={local}")["dkim"] == "absent"
    assert results(RECEIVED, f'{OWN}dkim=pass header.d="northbay-bank.example"@evil.example')["dkim"] == "pass"


@pytest.mark.parametrize(
    ("domains", "sign"),
    [
        ("northbay-bank.example", "same"),
        ("northbay-bank.example sendgrid.net", "both"),
        ("sendgrid.net northbay-bank.example", "both"),
        ("sendgrid.net", "service"),
        ("other.example gmail.com", "free"),
        ("other.example", "other"),
    ],
)
def test_all_signatures_count(domains, sign):
    """Each DKIM signature names an organisation, and not only the topmost."""
    headers = (f"DKIM-Signature: v=1; a=rsa-sha256; s=d;\n\td={domain}; b=d=x" for domain in domains.split())
    assert facts_of(*headers)["sign"] == sign


@pytest.mark.parametrize(
    "header",
    [
        "DKIM-Signature: d=northbay-bank.example\nDKIM-Signature: v=1; d=news.tracker.example; s=x",
        "List-Unsubscribe: <mailto:x@y.example>, <https://u.tracker.example/x>",
        "List-Unsubscribe: =?us-ascii?Q?=3Chttps=3A=2F=2Fu=2Etracker=2Eexample=2Fx=3E?=",
    ],
)
def test_signers_and_the_unsubscribe_host_vouch_for_links(header):
    """Links to the organisation of any signature or of the unsubscribe link, also if encoded, are not foreign."""
    text = f"{header}\nFrom: a@northbay-bank.example\n\nsee https://click.tracker.example/x"
    message = parse_message(text.encode())
    assert dict(facts(message, link_targets(message)))["links"] == "signer"


@pytest.mark.parametrize(
    ("header", "thread", "kind"),
    [
        ("In-Reply-To: <1@mx.example.org>", "reply", "none"),
        ("References: <1@a.example> <2@example.org> <3@b.example>", "reply", "none"),
        ("In-Reply-To: <1@northbay-bank.example>", "claimed", "none"),
        ("References: <1@a.example>\nList-Id: <x.northbay-bank.example>", "reply", "list"),
        ("References: <1@a.example>\nList-Id: <x.lists.example>", "claimed", "claimed"),
        ("Subject: Re: hello", "forged", "none"),
    ],
)
def test_replies_and_lists_that_nothing_proves(header, thread, kind):
    """A reply answers mail of the recipient's organisation, or mail on a list that the receiving server proves."""
    found = facts_of(RECEIVED, header, "To: robin@example.org")
    assert (found["thread"], found["list"]) == (thread, kind)


def test_a_sender_in_the_recipients_organisation():
    """From in the recipient's domain is a claim, unless the receiving server proves it or no host outside sent it."""
    own = "From: a@example.org\nTo: robin@example.org"
    outside = RECEIVED + "\n" + own
    proven = RECEIVED + "\n" + OWN + "dmarc=pass header.from=example.org\n" + own
    inside = RECEIVED.replace("198.51.100.27", "10.0.0.7") + "\n" + own
    for text, value in ((outside, "claimed"), (proven, "own"), (inside, "own")):
        message = parse_message(f"{text}\n\nhello".encode())
        assert dict(facts(message, link_targets(message)))["from"] == value
