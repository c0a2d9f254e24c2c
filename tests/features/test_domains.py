import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.features.domains import organisational_domain


@pytest.mark.parametrize(
    ("host", "org"),
    [
        ("a@mail.shop.co.uk", "shop.co.uk"),
        ("WWW.Example.ORG.", "example.org"),
        ("example.org", "example.org"),
        ("co.uk", ""),
        ("com", ""),
        ("localhost", ""),
        ("", ""),
        ("192.0.2.7", "192.0.2.7"),
        ("[192.0.2.7]", "192.0.2.7"),
        ("a.b.unknownzone", "b.unknownzone"),
        ("a.b.c.ck", "b.c.ck"),
        ("x.www.ck", "www.ck"),
        ("foo.github.io", "foo.github.io"),
        ("xn--bcher-kva.example.de", "example.de"),
        ("a..com", "a.com"),
        ("..", ""),
        ("me@münchen.de", "münchen.de"),
        ("x.xn--fiqs8s", "x.中国"),
    ],
)
def test_organisation(host, org):
    """A host has the registrable domain of the public suffix list, with its wildcards and exceptions."""
    assert organisational_domain(host) == org


@given(st.text(max_size=80))
def test_any_text(host):
    """No text raises."""
    organisational_domain(host)
    organisational_domain("xn--" + host + ".com")


def test_memory():
    """The domain of a very long host is short, so it cannot fill the cache."""
    assert len(organisational_domain("a." * 100_000 + "example.org")) < 300
