"""The identity of a sender: what a server wrote proves it, and what a sender can write never does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.features.route import Route
from spamlstm.features.sender_identity import SenderIdentity, correspondent, sender_identity
from spamlstm.message.message import parse_message

POSTFIX = (
    "Received: from {helo} ({name} [{ip}]) by mx.example.org (Postfix) with ESMTPS id 1; Sat, 28 Nov 2026 02:39:58"
)
SHOP = POSTFIX.format(helo="out.shop.example", name="out.shop.example", ip="198.51.100.27")
STRANGER = POSTFIX.format(helo="out.shop.example", name="unknown", ip="203.0.113.9")
PASS = "Authentication-Results: mx.example.org; dkim=pass header.d=shop.example; dmarc=pass header.from=shop.example"
DMARC_FAIL = "; dmarc=fail header.from=shop.example"
FAIL = "Authentication-Results: mx.example.org; dkim=none; spf=pass smtp.mailfrom=evil.test" + DMARC_FAIL
FROM = "From: Shop <news@shop.example>"


def identity(*headers: str) -> SenderIdentity | None:
    return sender_identity(parse_message("\n".join((*headers, "Subject: hello", "", "Some words.", "")).encode()))


def named(*headers: str) -> tuple[str, str] | None:
    found = identity(*headers)
    return found and (found.name, found.proof)


# --- with results of the receiving server -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("results", "method"),
    [
        ("dmarc=pass (p=reject) header.from=shop.example", "dmarc"),
        (
            "spf=pass smtp.mailfrom=bounces@mail.shop.example; dkim=none; dmarc=pass header.from=news.shop.example",
            "dmarc",
        ),
        ("dkim=pass (2048-bit key) header.d=mail.shop.example header.s=a", "dkim"),
        ("dkim=pass header.i=@shop.example header.b=x; dmarc=none", "dkim"),
        ("dkim=pass header.d=esp.test; dkim=pass header.d=shop.example", "dkim"),
        ("dkim=fail header.d=shop.example; dkim=pass header.d=shop.example", "dkim"),
        ("spf=pass smtp.mailfrom=bounce@shop.example", "spf"),
        ("spf=pass (google.com: domain of a@shop.example designates 1.2.3.4) smtp.mailfrom=a@shop.example", "spf"),
        ("dmarc=bestguesspass action=none header.from=shop.example; spf=pass smtp.mailfrom=shop.example", "spf"),
    ],
)
def test_aligned_results_prove_the_organisation(results, method):
    """DMARC, else an aligned signature, else an aligned SPF result proves the organisation in From."""
    assert named(SHOP, f"Authentication-Results: mx.example.org; {results}", FROM) == (
        "shop.example",
        f"{method} example.org",
    )


@pytest.mark.parametrize(
    "results",
    [
        "dmarc=fail header.from=shop.example",
        "dmarc=fail header.from=shop.example; dkim=pass header.d=shop.example",
        "dmarc=pass header.from=evil.test",
        "dmarc=temperror header.from=shop.example",
        "dkim=pass header.d=evil.test; spf=pass smtp.mailfrom=evil.test; dmarc=none",
        "dkim=fail header.d=shop.example; spf=softfail smtp.mailfrom=shop.example",
        "dkim=pass header.d=shop.example.evil.test",
        "dkim=pass header.d=notshop.example",
        "spf=none; dkim=none; dmarc=none",
    ],
)
def test_results_that_prove_nothing_leave_no_identity(results):
    """If the receiving server checked the message and found no aligned pass, the host proves nothing either."""
    assert identity(SHOP, f"Authentication-Results: mx.example.org; {results}", FROM) is None


@pytest.mark.parametrize(
    "headers",
    [
        (PASS, SHOP, FROM),
        (SHOP, PASS, FROM),
        (SHOP, FROM, PASS),
        (SHOP, PASS.replace("; dmarc", "\nAuthentication-Results: mx.example.org; dmarc"), FROM),
        ("Received: by imap.example.org with LMTP id 7; today", SHOP, PASS, FROM),
        ("Delivered-To: me@example.org", "Return-Path: <a@b.test>", SHOP, PASS, FROM),
        (PASS.replace("mx.example.org", "example.org 1"), SHOP, FROM),
        (PASS.replace("mx.example.org", "another.name"), SHOP, FROM),
    ],
)
def test_the_place_of_the_results_does_not_matter(headers):
    """Servers write the results above or below their Received, or at the end, in one header or several."""
    assert named(*headers) == ("shop.example", "dmarc example.org")


def test_microsoft_writes_no_name_of_the_server():
    """Results of Microsoft's servers begin without a name, above the Received of their own border."""
    assert named(
        "Received: from A.namprd19.prod.outlook.com (::1) by B.namprd19.prod.outlook.com with HTTPS; today",
        "Received: from C.outlook.com (2603:10b6:408::26) by A.prod.outlook.com (2603::7) with Microsoft; today",
        "Authentication-Results: spf=pass (sender IP is 198.51.100.27) smtp.mailfrom=shop.example; dkim=pass (signature"
        " was verified) header.d=shop.example;dmarc=pass action=none header.from=shop.example;compauth=pass reason=100",
        "Received: from shop.example (198.51.100.27) by D.mail.outlook.com (10.13.1.1) with Microsoft; today",
        FROM,
    ) == ("shop.example", "dmarc outlook.com")


@pytest.mark.parametrize("server", ["st43p00im-qukt05021701.me.com", "p00-icloudmta-smtpin-us-west-2a-60-percent-12"])
def test_the_servers_of_icloud_have_other_names_than_their_results(server):
    """Results of Apple's servers are in the name of icloud.com, below the Received of their own border."""
    results = (
        "Authentication-Results: dmarc.icloud.com; dmarc=pass header.from=shop.example",
        "Authentication-Results: dkim-verifier.icloud.com; dkim=pass (2048-bit key) header.d=shop.example",
    )
    inner = f"Received: from {server} by p44-mailgateway-smtp-77-glqrh (mailgateway 2403B92) with SMTP id d8; today"
    border = f"Received: from shop.example (shop.example [198.51.100.27]) by {server} (Postfix) with ESMTPS id E; today"
    assert named(inner, border, *results, FROM) == ("shop.example", "dmarc icloud.com")
    elsewhere = border.replace(server, "mx.example.org")
    assert identity(elsewhere, *results, FROM) == identity(elsewhere, FROM)


@pytest.mark.parametrize("server", ["st43p00im-qukt05021701.me.com", "p00-icloudmta-smtpin-us-west-2a-60-percent-12"])
def test_servers_of_icloud_in_another_domain_are_of_the_same_organisation(server):
    """Mail from a user of iCloud to another one enters the organisation at its submission, and not between servers."""
    outer = "pv50p00im-ztdg10011301.me.com"
    message = parse_message(
        f"Received: from {outer} ({outer} [17.58.6.49]) by {server} (Postfix) with ESMTPS id E; today\n"
        f"Received: from [10.0.0.7] (unknown [203.0.113.9]) by {outer} (Postfix) with ESMTPSA id F; today\n\n".encode()
    )
    route = Route(message)
    assert (route.own, route.host, route.is_authenticated) == ("icloud.com", "", True)


def test_a_list_is_proven_by_its_own_signature():
    """DMARC of the author fails after a list changed the message. The list is the sender, and not the author."""
    list_id = "List-Id: News of friends <friends.lists.test>"
    results = (
        "Authentication-Results: mx.example.org; dmarc=fail header.from=shop.example; dkim=pass header.d=lists.test"
    )
    found = identity(SHOP, results, list_id, FROM)
    assert found == SenderIdentity("list:friends.lists.test", "dkim example.org", shared=True)
    assert named(SHOP, PASS, list_id, FROM) == ("shop.example", "dmarc example.org")
    assert identity(SHOP, results.replace("lists.test", "evil.test"), list_id, FROM) is None


# --- without results --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("received", "proof", "shared"),
    [
        (SHOP, "host shop.example", False),
        (POSTFIX.format(helo="x", name="smtp.relay.test", ip="203.0.113.9"), "host relay.test", True),
        (STRANGER, "host 203.0.113", True),
        (POSTFIX.format(helo="x", name="dsl-203-113-9.shop.example", ip="203.0.113.9"), "host 203.0.113", True),
        (POSTFIX.format(helo="x", name="pcb007109.dip.shop.example", ip="203.0.113.9"), "host 203.0.113", True),
        (POSTFIX.format(helo="x", name="p9.out.shop.example", ip="203.0.113.9"), "host shop.example", False),
        (POSTFIX.format(helo="x", name="unknown", ip="IPv6:2001:db8:7::25"), "host 2001:db8:7", True),
        (POSTFIX.format(helo="x", name="unknown", ip="IPv6:2001:0db8::25"), "host 2001:db8:", True),
        (
            "Received: from shop.example ([203.0.113.9]) by mx.example.org (8.13) with ESMTP; today",
            "host 203.0.113",
            True,
        ),
        (
            "Received: from x (out.shop.example [203.0.113.9] (may be forged)) by mx.example.org; today",
            "host 203.0.113",
            True,
        ),
        (
            "Received: from out.shop.example ([203.0.113.9] helo=x) by mx.example.org with esmtp (Exim); today",
            "host shop.example",
            False,
        ),
        (
            "Received: from [203.0.113.9] (helo=out.shop.example) by mx.example.org with esmtp; today",
            "host 203.0.113",
            True,
        ),
        (
            "Received: from out.shop.example (HELO [9.9.9.9]) (203.0.113.9) by mx.example.org with SMTP; today",
            "host 203.0.113",
            True,
        ),
        (
            "Received: from out.shop.example (203.0.113.9) by mx.example.org (10.0.0.1) with Microsoft; today",
            "host 203.0.113",
            True,
        ),
    ],
)
def test_the_host_that_handed_the_message_over(received, proof, shared):
    """The proof is confirmed reverse DNS as servers write it, else the network. A HELO name is no proof."""
    assert identity(received, FROM) == SenderIdentity("shop.example", proof, shared)


@pytest.mark.parametrize(
    "top",
    [
        "Received: from localhost (localhost [127.0.0.1]) by mx.example.org (Postfix); today",
        "Received: from mx (mx.lan [10.1.2.3]) by store.lan (Postfix); today",
        "Received: from mx.example.org by imap.example.org with LMTP id 77; today",
        "Received: from mx.example.org ([203.0.113.80]) by imap.example.org with LMTP id 77; today",
        "Received: from mx.example.org (mx.example.org [203.0.113.80]) by store.example.org (Postfix); today",
        "Received: from pop.provider.test [203.0.113.80] by laptop with POP3 (fetchmail-6.4); today",
        "Received: by 2002:ac0:f3d0:0:0:0:0:0 with SMTP id q16; today",
        "X-Other: Received: from a (b.test [203.0.113.80])",
    ],
)
def test_hops_inside_the_receiving_organisation_are_passed_over(top):
    """The same identity results before and after local delivery, and after the mail was fetched by POP."""
    assert named(top, SHOP, FROM) == ("shop.example", "host shop.example")


def test_a_list_at_its_own_host():
    """Without results, a list is proven by the host of its organisation."""
    lists = POSTFIX.format(helo="x", name="mail.lists.test", ip="203.0.113.9")
    assert named(lists, "List-Id: <friends.lists.test>", FROM) == ("list:friends.lists.test", "host lists.test")
    assert named(lists, "List-Id: <friends.other.test>", FROM) == ("shop.example", "host lists.test")


# --- attacks ----------------------------------------------------------------------------------------------------------

ATTACKS = {
    "results by another server": (STRANGER, PASS.replace("mx.example.org", "mx.evil.test"), FROM),
    "results without a server": (STRANGER, "Authentication-Results: dmarc=pass header.from=shop.example", FROM),
    "results by a similar server": (STRANGER, "Received: by evil.test; today", PASS.replace("mx.", "mx.not-"), FROM),
    "ARC results": (STRANGER, PASS.replace("Auth", "ARC-Auth"), FROM),
    "a Received of the shop": (STRANGER, SHOP, FROM),
    "two Received of the shop": (STRANGER, SHOP.replace("example.org", "evil.test"), SHOP, FROM),
    "HELO of the receiving server": (STRANGER.replace("from out.shop.example", "from mx.example.org"), SHOP, FROM),
    "HELO with an address": (STRANGER.replace("from out.shop.example", "from [198.51.100.27]"), FROM),
    "HELO of a private address": (STRANGER.replace("from out.shop.example", "from [127.0.0.1]"), SHOP, FROM),
    "reverse DNS in the name of another": (STRANGER.replace("unknown", "shop.example.evil.test"), FROM),
    "a certificate with a name": (
        STRANGER.replace("by mx", '(Client CN "x by shop.example with LMTP", Issuer "y") by mx'), SHOP, FROM),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_sender_without_proof_is_never_the_organisation(attack):
    """Whatever headers the sender writes, the identity is not that of genuine mail, with results or without."""
    genuine = {identity(SHOP, FROM), identity(SHOP, PASS, FROM)}
    assert identity(*ATTACKS[attack]) not in genuine


def test_forged_results_at_a_server_that_writes_none():
    """Such results are not told apart from genuine ones, but give another identity than that of genuine mail."""
    assert identity(STRANGER, PASS, FROM).key != identity(SHOP, FROM).key


@pytest.mark.parametrize(
    "forged",
    [
        PASS,
        PASS.replace("dkim=pass header.d=shop.example; ", ""),
        "Authentication-Results: mx.example.org; dkim=pass header.d=shop.example",
        "Authentication-Results: mx.example.org; spf=pass smtp.mailfrom=shop.example",
    ],
)
@pytest.mark.parametrize(
    "genuine",
    [FAIL, FAIL.replace("dmarc=fail", "dmarc=none"), FAIL.removesuffix(DMARC_FAIL)],
)
def test_results_beside_genuine_results(genuine, forged):
    """A server that does not remove forged results: a failure stays a failure, wherever the forged header stands.

    A method that the server never reports gives an identity that genuine mail at this server never has.
    """
    for headers in ((STRANGER, genuine, forged, FROM), (STRANGER, forged, FROM, genuine)):
        found = identity(*headers)
        assert found is None or (found.proof == "dmarc example.org" and "dmarc" not in genuine)


def test_genuine_results_cannot_be_pushed_away():
    """A failure is not hidden by many headers above it, or by many signatures that make the header long."""
    padding = ["Authentication-Results: mx.example.org; none"] * 20
    assert identity(STRANGER, *padding[1:], FROM, PASS) is not None
    assert identity(STRANGER, PASS, *padding, FROM, FAIL) is None
    long = FAIL.replace("dkim=none", "; ".join(["dkim=fail header.d=evil.test"] * 200))
    assert identity(STRANGER, PASS, FROM, long) is None


@pytest.mark.parametrize(
    "address",
    [
        'smtp.mailfrom="a;dmarc=pass header.from=shop.example;"@evil.test',
        "(domain of ;dmarc=pass header.from=shop.example;@evil.test) smtp.mailfrom=evil.test",
        'smtp.mailfrom=a"@evil.test',
    ],
)
def test_results_inside_an_address(address):
    """The envelope address is the sender's text, and its quotes and comments hide nothing and add nothing."""
    results = (
        f'Authentication-Results: mx.example.org; spf=pass {address}; dmarc=fail header.from=shop.example header.b="x"'
    )
    assert identity(STRANGER, results, FROM) is None
    assert identity(STRANGER, results, PASS, FROM) is None


@pytest.mark.parametrize(
    "sender",
    [
        "From: news@shop.example, me@evil.test",
        "From: me@evil.test, news@shop.example",
        "From: <news@shop.example> <me@evil.test>",
        "From: news@shop.example <me@evil.test>",
        "From: news@shop.example\nFrom: me@evil.test",
        "From: me@evil.test\nFrom: news@shop.example",
        "From: undisclosed",
        "From: shop@localhost",
        "Sender: news@shop.example",
    ],
)
def test_an_ambiguous_author_has_no_identity(sender):
    """Several From headers, or addresses that disagree, leave no identity: programs show different ones."""
    assert identity(SHOP, PASS, sender) is None
    assert identity(SHOP, sender) is None


@pytest.mark.parametrize(
    ("sender", "name"),
    [
        ('From: "news@shop.example" <me@evil.test>', "evil.test"),
        ("From: =?utf-8?q?news=40shop.example?= <me@evil.test>", "evil.test"),
        ("From: a@evil.test <a@evil.test>", "evil.test"),
        ("From: Shop (news@shop.example) <me@evil.test>", None),
        ("From: me@MAIL.EVIL.TEST", "evil.test"),
        ("From: friend@gmail.com", "friend@gmail.com"),
        ("From: Friend@Gmail.com", "friend@gmail.com"),
        # Many people write through a relay, each from an address of their own.
        ("From: x1@allegromail.pl", "x1@allegromail.pl"),
        ("From: x1@members.ebay.com", "x1@members.ebay.com"),
        ("From: ebay@ebay.com", "ebay.com"),
        ("From: me@sub.onmicrosoft.com", "me@sub.onmicrosoft.com"),
        ("From: me@one.github.io", "one.github.io"),
        ("From: me@xn--bcher-kva.example", "bücher.example"),
    ],
)
def test_the_name_of_a_sender(sender, name):
    """The name is the organisation, or the address where anybody can have an address or a site."""
    found = identity(POSTFIX.format(helo="x", name="unknown", ip="203.0.113.9"), sender)
    assert (found and found.name) == name


def test_the_host_of_a_marketplace_proves_no_member():
    """All members of a marketplace write through its hosts, so its host is a weak proof."""
    received = POSTFIX.format(helo="x", name="mx1.ebay.com", ip="203.0.113.9")
    assert identity(received, "From: x1@members.ebay.com").shared
    assert not identity(received, "From: ebay@ebay.com").shared


def test_mail_in_the_own_name():
    """Spam often has the address of its recipient as From. A network does not prove that address."""
    own = "From: me@example.org"
    for header in ("Delivered-To: me@example.org", "To: Me <ME@example.org>", "X-Original-To: me@example.org"):
        assert identity(STRANGER, header, own) is None
    assert identity(STRANGER, "To: you@example.org", own) is not None
    proven = PASS.replace("shop.example", "example.org")
    assert named(STRANGER, proven, "To: me@example.org", own) == ("example.org", "dmarc example.org")


# --- form -------------------------------------------------------------------------------------------------------------


def test_correspondent_is_the_name_of_a_proven_sender():
    """The name of a recipient of sent mail is the name that an answer has."""
    assert correspondent("news@mail.shop.example") == identity(SHOP, FROM).name
    assert correspondent("Friend@gmail.com") == "friend@gmail.com"
    assert correspondent("nobody") == ""


LINES = st.lists(
    st.sampled_from((SHOP, STRANGER, PASS, FAIL, FROM, "List-Id: <a.b.test>", "To: a@b.test"))
    | st.text(st.characters(codec="utf-8"), max_size=60).map("Received: from {}".format)
    | st.text(st.sampled_from('()[]"; =:.@<>abdmrc19'), max_size=60).map(
        "Authentication-Results: mx.example.org; {}".format
    )
    | st.text(st.sampled_from('()[]"; =:.@<>abcdef19'), max_size=60).map("Received: from a (b [{}".format),
    max_size=12,
)


@given(LINES)
def test_any_headers(headers):
    """Any headers give an identity that survives its stored form, or none; no header makes the code fail."""
    found = identity(*headers)
    if found is not None:
        assert found.name
        assert SenderIdentity.unpacked(found.packed) == found
        assert len({found.key, found.name_key, found.proof_key}) == 3


@pytest.mark.parametrize("text", ["", "x", "a\n2\nb", "\n1\nb", "a\n1\n", "a\n1"])
def test_a_text_that_is_no_identity(text):
    """A damaged identity is refused."""
    with pytest.raises(ValueError):
        SenderIdentity.unpacked(text)
