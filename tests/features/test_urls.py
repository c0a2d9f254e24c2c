"""URLs are read as browsers read them, whatever they contain."""

import pytest
from hostile_text import limit
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.features.normalise import normalise
from spamlstm.features.urls import read_url, url_host

# Spellings of a URL, and the host to which a browser goes. https://url.spec.whatwg.org
SPELLINGS = [
    ("https://evil.example/x", "evil.example"),
    ("HTTPS://EVIL.Example/x", "evil.example"),
    ("https://evil.example", "evil.example"),
    ("https://evil.example?x", "evil.example"),
    ("https://evil.example#x", "evil.example"),
    ("https://evil.example./x", "evil.example"),
    ("https://evil_host.example/x", "evil_host.example"),
    ("https://evil.example:443/x", "evil.example"),
    ("https://evil.example:/x", "evil.example"),
    ("ftp://evil.example/x", "evil.example"),
    # Slashes
    ("http:/\\evil.example/x", "evil.example"),
    ("http:\\\\evil.example/x", "evil.example"),
    ("http:\\/evil.example\\x", "evil.example"),
    ("https:/evil.example/x", "evil.example"),
    ("https:evil.example/x", "evil.example"),
    ("https:///evil.example/x", "evil.example"),
    ("https:////\\\\evil.example/x", "evil.example"),
    ("//evil.example/x", "evil.example"),
    ("\\\\evil.example/x", "evil.example"),
    ("/\\evil.example/x", "evil.example"),
    ("\\/evil.example/x", "evil.example"),
    ("https://evil.example\\@bank.example/", "evil.example"),
    # White space and control characters
    (" \n https://evil.example/x ", "evil.example"),
    ("\x01https://evil.example/x", "evil.example"),
    ("\x00\x1f https://evil.example/x", "evil.example"),
    ("ht\ttps://evil.example/x", "evil.example"),
    ("https\n://evil.example/x", "evil.example"),
    ("https:/\n/evil.example/x", "evil.example"),
    ("https://ev\r\nil.example/x", "evil.example"),
    ("https://evil.exam\tple/x", "evil.example"),
    ("/\t/evil.example/x", "evil.example"),
    # User names
    ("https://bank.example@evil.example/x", "evil.example"),
    ("https://bank.example:443@evil.example/x", "evil.example"),
    ("https://a@b@evil.example/x", "evil.example"),
    ("https://bank.example%2Flogin@evil.example/x", "evil.example"),
    ("https://@evil.example/x", "evil.example"),
    ("https://evil.example/@bank.example", "evil.example"),
    ("https://evil.example?@bank.example", "evil.example"),
    ("https://evil.example#@bank.example", "evil.example"),
    # Other letters
    ("https://evil\u3002example/x", "evil.example"),
    ("https://evil\uff0eexample/x", "evil.example"),
    ("https://evil\uff61example/x", "evil.example"),
    ("https://\uff45\uff56\uff49\uff4c.example/x", "evil.example"),
    ("https://ev\u00adil.example/x", "evil.example"),
    ("https://ev\u200bil.example/x", "evil.example"),
    ("https://\u24d4vil.example/x", "evil.example"),
    ("https://\U0001d5beil.example/x", "eil.example"),
    ("https://ev%69l.example/x", "evil.example"),
    ("https://%65%76%69%6c%2eexample/x", "evil.example"),
    ("https://evil%E3%80%82example/x", "evil.example"),
    ("https://m\u00fcnchen.example/x", "m\u00fcnchen.example"),
    ("https://M\u00dcNCHEN.example/x", "m\u00fcnchen.example"),
    ("https://mu\u0308nchen.example/x", "m\u00fcnchen.example"),
    ("https://xn--mnchen-3ya.example/x", "m\u00fcnchen.example"),
    ("https://XN--MNCHEN-3YA.example/x", "m\u00fcnchen.example"),
    # Addresses
    ("http://192.0.2.7/x", "192.0.2.7"),
    ("http://192.0.2.7:8080/x", "192.0.2.7"),
    ("http://192.0.2.7./x", "192.0.2.7"),
    ("http://3221225991/x", "192.0.2.7"),
    ("http://0xC0000207/x", "192.0.2.7"),
    ("http://0300.0.02.07/x", "192.0.2.7"),
    ("http://0xc0.0.0x2.7/x", "192.0.2.7"),
    ("http://192.519/x", "192.0.2.7"),
    ("http://192.0.519/x", "192.0.2.7"),
    ("http://\uff11\uff19\uff12.0.2.7/x", "192.0.2.7"),
    ("http://user@3221225991/x", "192.0.2.7"),
    ("https://[2001:db8::25]/x", "[2001:db8::25]"),
    ("https://[2001:DB8:0:0::25]:8080/x", "[2001:db8::25]"),
    ("https://a@[::ffff:192.0.2.7]/x", "[::ffff:c000:207]"),
    # No host, so a browser goes nowhere
    ("mailto:a@evil.example", ""),
    ("tel:123", ""),
    ("cid:part@evil.example", ""),
    ("javascript://evil.example/%0aalert(1)", ""),
    ("data:text/html,<a>", ""),
    ("/x/y", ""),
    ("x.html", ""),
    ("#top", ""),
    ("", ""),
    ("https://", ""),
    ("https:///", ""),
    ("https://?x", ""),
    ("https://256.1.1.1/", ""),
    ("https://1.2.3.4.5/", ""),
    ("https://0x100000000/", ""),
    ("https://09.0.0.1/", ""),
    ("https://[::1/", ""),
    ("https://[no]/", ""),
    ("https://evil example/", ""),
    ("https://evil.example:port/", ""),
    ("https://evil%00.example/", ""),
]


@pytest.mark.parametrize(("url", "host"), SPELLINGS)
def test_host(url, host):
    """A URL has the host to which a browser goes, in one spelling."""
    assert url_host(url) == host


@pytest.mark.parametrize(
    ("url", "odd"),
    [
        ("https://evil.example/x", False),
        ("//evil.example/x", False),
        ("http://192.0.2.7:80/x", False),
        ("https://m\u00fcnchen.example/", False),
        ("https://bank.example@evil.example/x", True),
        ("http:/\\evil.example/x", True),
        ("ht\ttps://evil.example/x", True),
        ("https://ev%69l.example/x", True),
        ("https://\uff45vil.example/x", True),
        ("https://evil\u3002example/x", True),
        ("java\nscript:alert(1)", True),
        ("data:text/html,x", True),
        ("mailto:a@b.example", False),
    ],
)
def test_odd(url, odd):
    """A user name, a spelling that browsers repair, and a script are noticed."""
    assert read_url(url)[1] is odd


@given(st.text())
def test_any_url(text):
    """Any text has a host or none, and the host of a host is this host."""
    for url in (text, f"http://{text}", f"https:{text}/"):
        host = url_host(url)
        assert url_host(f"http://{host}/") == host


@pytest.mark.parametrize(
    "url",
    [
        "http://" + "a" * 1_000_000,
        "http://" + "a@" * 500_000,
        "http://" + "%41" * 300_000,
        "http://" + "0." * 500_000 + "1",
        "http://" + "xn--" * 200_000 + ".xn--a",
        "http://" + "9" * 1_000_000,
        "http:" + "/" * 1_000_000,
        "\t" * 1_000_000,
        "http://" + "\u0301\u0323" * 300_000,
    ],
)
def test_hostile_url(url):
    """A long URL takes less than a second of processor time."""
    with limit(1):
        url_host(url)
        normalise(url)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("see http://evil.example/x now", "see ⟦url⟧evil.example now"),
        ("see http://bank.example@evil.example/x", "see ⟦url⟧evil.example"),
        ("see http://evil.example.", "see ⟦url⟧evil.example"),
        ("see http://evil\u3002example/x", "see ⟦url⟧evil.example"),
        ("see http://ev%69l.example\\x", "see ⟦url⟧evil.example"),
        ("see http://3221225991/x", "see ⟦url⟧192.0.2.7"),
        ("see http://[fe80:0::25]/x", "see ⟦url⟧[fe80::25]"),
        ("see http://xn--mnchen-3ya.example/x", "see ⟦url⟧m\u00fcnchen.example"),
        ("http://%e2%9f%a6url%e2%9f%a7.example/", "⟦url⟧[url].example"),
    ],
)
def test_host_in_text(text, normal):
    """The mark of a link in text has the host to which a browser goes."""
    assert normalise(text)[0] == normal
