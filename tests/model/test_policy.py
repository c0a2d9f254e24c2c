"""The policy: every verdict has a reason, the allow list always wins, and thresholds follow from costs."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.config import Costs, PolicyConfig, Thresholds
from spamlstm.errors import ConfigError
from spamlstm.message.message import parse_message
from spamlstm.model.policy import Evidence, Policy, Reason, SenderList, thresholds_from_costs
from spamlstm.model.reading import evidence_of
from spamlstm.verdict import Verdict

THRESHOLDS = Thresholds(ham=0.2, spam=0.98)
probabilities = st.one_of(st.none(), st.floats(0, 1))
costs = st.builds(Costs, st.floats(0.01, 1e4), st.floats(0.01, 1e4), st.floats(0, 1e4))
evidences = st.builds(
    Evidence,
    senders=st.just(("friend@x.org",)),
    list_id=st.just("announce.x.org"),
    gtube=st.booleans(),
    not_mail=st.booleans(),
    no_text=st.booleans(),
    little_text=st.booleans(),
    unknown_text=st.booleans(),
    decorated=st.booleans(),
    further_senders=st.sampled_from([(), (("friend@x.org",),)]),
)


def policy(allow=(), deny=()) -> Policy:
    return Policy.of(PolicyConfig(allow=tuple(allow), deny=tuple(deny)), thresholds=THRESHOLDS)


@given(
    probabilities, evidences, st.sampled_from(["friend@x.org", "@x.org", "@org", "list:announce.x.org", "Friend@X.ORG"])
)
def test_allow_always_wins(probability, evidence, entry):
    """A message of an allowed sender is ham, whatever else is true of it, and even if the sender is denied too."""
    found = policy(allow=[entry], deny=["@x.org"]).decide(probability, evidence)
    assert found == (Verdict.HAM, Reason.ALLOW)


@given(probabilities, evidences)
def test_text_that_cannot_be_judged_is_never_ham_or_spam_by_score(probability, evidence):
    """Contract 7: a verdict by score requires text and a probability."""
    verdict, reason = policy().decide(probability, evidence)
    if reason is Reason.SCORE:
        assert probability is not None
        assert not any((evidence.no_text, evidence.not_mail))
        assert not evidence.unknown_text or (evidence.decorated and verdict is not Verdict.HAM)
    elif reason is not Reason.GTUBE:
        assert verdict is Verdict.UNSURE


@given(st.floats(0, 1), st.floats(0, 1))
def test_more_probable_spam_is_never_judged_milder(one, other):
    """A higher probability never gives a milder verdict."""
    order = [Verdict.HAM, Verdict.UNSURE, Verdict.SPAM]
    low, high = (order.index(policy().thresholds.verdict(p)) for p in sorted((one, other)))
    assert low <= high


@pytest.mark.parametrize("probability", [0.01, 0.5, 0.99])
def test_little_text_is_never_ham(probability):
    """A few words beside content that cannot be read are unsure instead of ham. They may still be spam."""
    usual, found = (policy().decide(probability, Evidence(little_text=little)) for little in (False, True))
    assert found == ((Verdict.UNSURE, Reason.NO_TEXT) if usual[0] is Verdict.HAM else usual)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ({"allow": ["@x.org"], "deny": ["@x.org"]}, (Verdict.HAM, Reason.ALLOW)),
        ({"deny": ["@x.org"]}, (Verdict.SPAM, Reason.DENY)),
        ({}, (Verdict.SPAM, Reason.GTUBE)),
    ],
)
def test_lists_and_the_test_message_come_before_a_missing_text(entries, expected):
    """The allow list decides before the deny list, the deny list before GTUBE, and GTUBE before all that is unsure."""
    evidence = Evidence(("friend@x.org",), gtube=True, not_mail=True, no_text=True, little_text=True, unknown_text=True)
    assert policy(**entries).decide(0.01, evidence) == expected


@given(costs, st.floats(0, 1))
def test_thresholds_give_the_cheapest_verdict(cost, probability):
    """No other verdict has a lower expected cost."""
    expected = {
        Verdict.HAM: cost.false_negative * probability,
        Verdict.SPAM: cost.false_positive * (1 - probability),
        Verdict.UNSURE: cost.unsure,
    }
    chosen = thresholds_from_costs(cost).verdict(probability)
    assert expected[chosen] <= min(expected.values()) + 1e-9 * sum(expected.values())


@given(costs, st.floats(1, 10))
def test_costlier_false_positives_raise_the_spam_threshold(cost, factor):
    """The higher the cost of lost ham, the less mail is judged spam."""
    dearer = Costs(cost.false_positive * factor, cost.false_negative, cost.unsure)
    assert thresholds_from_costs(dearer).spam >= thresholds_from_costs(cost).spam - 1e-12


def test_the_usual_costs():
    """Contract 8: the default costs are 10 : 1 : 0.2."""
    thresholds = thresholds_from_costs(Costs())
    assert (thresholds.ham, thresholds.spam) == pytest.approx((0.2, 0.98))


def test_what_sets_the_thresholds():
    """Configured thresholds precede configured costs, and these precede the thresholds of the bundle."""
    assert Policy.of(PolicyConfig(), thresholds=THRESHOLDS).thresholds == THRESHOLDS
    by_costs = Policy.of(PolicyConfig(costs=Costs(1, 1, 1)), thresholds=THRESHOLDS).thresholds
    assert by_costs == Thresholds(0.5, 0.5)
    own = Thresholds(0.1, 0.9)
    assert Policy.of(PolicyConfig(thresholds=own, costs=Costs()), thresholds=THRESHOLDS).thresholds == own


@pytest.mark.parametrize(
    ("entry", "sender", "covered"),
    [
        ("friend@x.org", "friend@x.org", True),
        ("friend@x.org", "friend@mail.x.org", False),
        ("friend@x.org", "otherfriend@x.org", False),
        ("@x.org", "any@x.org", True),
        ("@x.org", "any@deep.mail.x.org", True),
        ("@x.org", "any@notx.org", False),
        ("@x.org", "any@x.org.evil.net", False),
        ("@x.org", "", False),
        ("*@x.org", "any@x.org", True),
        ("*@x.org", "any@mail.x.org", True),
        ("X.ORG.", "any@x.org", True),
        ("*.x.org", "any@mail.x.org", True),
        ("*.x.org", "any@x.org", False),
        ("*.x.org", "any@evilx.org", False),
        (".x.org", "any@deep.mail.x.org", True),
        ("@*.x.org", "any@mail.x.org", True),
        ("Friend@X.org", "fRIEND@x.ORG.", True),
        ("@bücher.example", "jo@xn--bcher-kva.example", True),
        ("@xn--bcher-kva.example", "jo@BÜCHER.example", True),
        ("*.bücher.example", "jo@post.xn--bcher-kva.example", True),
        ("jörg@xn--bcher-kva.example", "jörg@bücher.example", True),
        ("jörg@bücher.example", "jorg@bücher.example", False),
        ("@straße.example", "jo@xn--strae-oqa.example", True),
        ("@straße.example", "jo@strasse.example", False),
        ("@हिन्दी.example", "jo@xn--j2bd4cyah0f.example", True),
        ("@bücher。example", "jo@bücher.example", True),
        ("@x.org", "friend@x.org@evil.net", False),
        ("jo@[192.0.2.1]", "jo@[192.0.2.1]", True),
    ],
)
def test_what_an_entry_covers(entry, sender, covered):
    """An address covers itself, a domain covers itself and its subdomains, in both spellings and in any case."""
    assert SenderList.of((entry,)).find(senders=(sender,), list_id="") == (entry if covered else None)


@pytest.mark.parametrize("entry", ["list:announce@x.org", "list:announce.x.org", "list:<Announce@X.org>"])
@pytest.mark.parametrize("list_id", ["announce.x.org", "announce@x.org"])
def test_a_mailing_list_is_covered_by_id_and_address(entry, list_id):
    """The List-Id of a list is its address with a dot, or its address; an entry may have either form."""
    assert SenderList.of((entry,)).find(senders=(), list_id=list_id) == entry
    assert SenderList.of((entry,)).find(senders=("announce@x.org",), list_id="other.x.org") is None


@pytest.mark.parametrize(
    "entry",
    [
        *("", "@", "list:", "a b@x.org", "friend", "@.", "x..org", "@x org", "list:a b", "http://x.org/", "@[x]"),
        *("*", "*@", "*@*", "@x.*", "jo*@x.org", "j?@x.org", "list:*.x.org", "a@b@c", "*.*", "<a@b@c>"),
        *(
            "Ann B <ann@x.org>",
            "mailto:ann@x.org",
            "ann@x.org, bob@x.org",
            "!ann@x.org",
            "!x.org",
            "@!x.org",
            "mailto:" * 5000,
            "x" * 100_000 + "@",
        ),
        *("192.0.2.1", "@192.0.2.1", "ann@192.0.2.1", "192.0.2.", "192.0.2.0/24", "2001:db8::1", "[2001:db8::1]"),
    ],
)
def test_an_entry_of_no_kind_is_refused(entry):
    """A mistyped entry is reported at the start and not ignored."""
    with pytest.raises(ConfigError, match="not an allow or deny entry"):
        SenderList.of((entry,))


@pytest.mark.parametrize(
    ("entry", "advice"),
    [
        ("Ann B <ann@x.org>", "write only the address, 'ann@x.org'"),
        ("ann@x.org, bob@x.org", "each address as an entry of its own"),
        ("jo*@x.org", "may only stand for all names"),
        ("a@b@c", "more than one @"),
        ("friend", "write an address"),
        ("!ann@x.org", "cannot be negated; the allow list wins"),
        ("192.0.2.0/24", "IP addresses cannot be listed; write the address or the domain"),
        ("ann@192.0.2.1", "IP addresses cannot be listed"),
        ("2001:db8::1", "IP addresses cannot be listed"),
        ("ann@x.org\u200b", r"invisible character U\+200B; write 'ann@x.org'"),
        ("\ufeff@x.org", r"invisible character U\+FEFF; write '@x.org'"),
        ("an\u00adn@x.o\u00adrg", r"invisible character U\+00AD; write 'ann@x.org'"),
    ],
)
def test_the_advice_for_a_refused_entry(entry, advice):
    """The error for a refused entry says what to write instead."""
    with pytest.raises(ConfigError, match=advice):
        SenderList.of((entry,))


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_is_an_entry_or_refused(entry, sender):
    """Any text is accepted or refused with a sentence, and any sender can be compared with it."""
    with contextlib.suppress(ConfigError):
        SenderList.of((entry,)).find(senders=(sender,), list_id=sender)


@given(st.from_regex(r"[a-z0-9.+-]{1,20}@([a-zäöüß]{1,9}\.){1,3}[a-z]{2,5}", fullmatch=True))
def test_an_entry_covers_its_own_address(address):
    """An address that is an entry is covered by it, by its domain, and by both in upper case."""
    domain = address.rpartition("@")[2]
    for entry in (address, f"@{domain}", f"*@{domain}", domain):
        assert SenderList.of((entry,)).find(senders=(address,), list_id="") == entry


# The From headers are those of messages that mail programs and servers have written.
@pytest.mark.parametrize(
    "value",
    [
        "Jörg <jo@bücher.example>",
        "Jo <jo@xn--bcher-kva.example>",
        "Jörg <jörg@bücher.example>",
        "jo@example.net (Jo (the) Third)",
        '"Jo <3 flowers" <jo@example.net>',
        "Jo <jo@example.net>, Kim <kim@example.com>",
        "Kim <kim@example.com>, Jo <jo@example.net>",
        "=?utf-8?q?Jo_=3Cjo=40bank=2Eexample=3E?= <jo@example.net>",
        "<@relay.example.com:jo@example.net>",
        "Jo <jo@example.net.>",
        "Jo < jo@example.net >",
        "=?utf-8?q?J=C3=B6?=\n =?utf-8?q?rg?=\n <jo@example.net>",
        "Jo jo@example.net",
        "Jo <jo@example.net",
        "Friends: Kim <kim@example.com>, Jo <jo@example.net>;",
        '"Vale, Jo" <jo@example.net> (kim@example.com)',
    ],
)
def test_the_authors_of_a_message_are_found(value):
    """An allowed author is found in each form of the From header, and one allowed author is enough."""
    allow = SenderList.of(("jo@example.net", "@bücher.example"))
    message = parse_message(f"From: {value}\nSubject: x\n\ntext\n".encode())
    evidence = evidence_of(message)
    assert Policy(THRESHOLDS, allow=allow).decide(0.99, evidence) == (Verdict.HAM, Reason.ALLOW)


@pytest.mark.parametrize(
    "value",
    [
        '"jo@example.net" <crook@evil.example>',
        "jo@example.net <crook@evil.example>",
        "crook@evil.example (jo@example.net)",
        '"<jo@example.net>"@evil.example',
        '"Vale, <jo@example.net>," <crook@evil.example>',
        "jo@example.net@evil.example",
        "=?utf-8?q?jo=40example=2Enet?= <crook@evil.example>",
    ],
)
def test_a_name_is_not_an_author(value):
    """An allowed address in the display name, in a comment or in a quoted local part does not make mail ham."""
    message = parse_message(f"From: {value}\nSubject: x\n\ntext\n".encode())
    assert SenderList.of(("jo@example.net",)).find(senders=evidence_of(message).senders, list_id="") is None


@pytest.mark.parametrize("first", ["From : jo@example.net", "From: jo@example.net", "FROM: crook@evil.example"])
@pytest.mark.parametrize("second", ["From: crook@evil.example", "From: nobody"])
def test_several_authors(first, second):
    """With several From headers, mail is allowed only if each has an allowed author, and denied if one has a denied."""
    message = parse_message(f"{first}\n{second}\nSubject: x\n\ntext\n".encode())
    evidence = evidence_of(message)
    allow, deny = SenderList.of(("jo@example.net",)), SenderList.of(("evil.example",))
    assert Policy(THRESHOLDS, allow=allow).decide(0.5, evidence)[1] is not Reason.ALLOW
    denied = Policy(THRESHOLDS, deny=deny).decide(0.5, evidence)[1] is Reason.DENY
    assert denied is ("crook" in first + second)
    twice = parse_message(b"From: jo@example.net\nFrom: Jo <jo@example.net>\n\ntext\n")
    assert Policy(THRESHOLDS, allow=allow).decide(0.99, evidence_of(twice)) == (Verdict.HAM, Reason.ALLOW)


def test_the_entries_that_decide():
    """Each From header of an allowed message names its entry, and of a denied message the headers that have one."""
    message = parse_message(b"From: jo@example.net\nFrom: Kim <kim@mail.example.com>\n\ntext\n")
    evidence = evidence_of(message)
    both = Policy(THRESHOLDS, allow=SenderList.of(("@example.com", "jo@example.net", "Jo@Example.net")))
    assert both.allow_entries(evidence) == ("jo@example.net", "@example.com")
    policy = Policy(THRESHOLDS, allow=SenderList.of(("jo@example.net",)), deny=SenderList.of(("*.example.com",)))
    assert (policy.allow_entries(evidence), policy.deny_entries(evidence)) == ((), ("*.example.com",))
