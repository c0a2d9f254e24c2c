"""Brands are found in names and texts, and each brand owns its domains."""

import pytest
from hostile_text import limit
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.features.brands import _brands, belongs, brands_in, have_brand_in_common
from spamlstm.features.domains import organisational_domain

GOVERNMENTS = ("gov.uk", "service.gov.uk", "gouv.fr", "gov.au")


def test_brands_are_listed_once():
    """Each brand has domains, and each domain of a brand is registrable and in lower case, or the zone of a government.

    Domains below other public suffixes, such as github.io, belong to customers.
    """
    assert len(_brands()) > 150
    for domains in _brands().values():
        assert domains
        for domain in domains:
            assert organisational_domain(domain) == domain or domain in GOVERNMENTS


@pytest.mark.parametrize(
    ("text", "brands"),
    [
        ("PayPal Service", ("paypal",)),
        ("Your Bank of America account", ("bank of america",)),
        ("UPS: your parcel", ("UPS",)),
        ("follow ups and downs", ()),
        ("AT&T and T-Mobile", ("AT&T", "t-mobile")),
        ("Crédit Agricole - Booking.com", ("crédit agricole", "booking.com")),
        ("pineapple, paypals, booking", ()),
        ("Amazon or AMAZON", ("amazon",)),
        ("Caisse d'Epargne, Ziraat Bankası", ("caisse d'epargne", "ziraat bankası")),
        ("Сбербанк Онлайн", ("сбербанк",)),
        ("", ()),
    ],
)
def test_brands_in_text(text, brands):
    """A brand is found as whole words. A brand that is also a common word is found only in capital letters."""
    assert brands_in(text) == brands


@pytest.mark.parametrize(
    ("brand", "domain", "owned"),
    [
        ("paypal", "paypal.com", True),
        ("paypal", "paypal.de", True),
        ("amazon", "amazon.com.br", True),
        ("DHL", "mail.dhl", True),
        ("instagram", "facebookmail.com", True),
        ("HMRC", "notifications.service.gov.uk", True),
        ("DVLA", "dvla.gov.uk", True),
        ("github", "github.github.io", False),
        ("paypal", "paypal.spdns.de", False),
        ("paypal", "paypal.synology.me", False),
        ("shopify", "shop.myshopify.com", False),
        ("paypal", "paypal-secure.com", False),
        ("paypal", "paypal.top", False),
        ("paypal", "", False),
        ("no brand", "example.com", False),
    ],
)
def test_owner(brand, domain, owned):
    """A brand owns its listed domains, its name in the zone of a country, and its own top-level domain."""
    assert belongs(brand, domain) is owned
    assert not domain or have_brand_in_common(domain, domain) >= owned


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        ("paypal.de", "paypal.com", True),
        ("facebookmail.com", "facebook.com", True),
        ("mail.dhl", "dhl.de", True),
        ("hmrc.gov.uk", "www.gov.uk", True),
        ("paypal.de", "amazon.de", False),
        ("paypal.spdns.de", "paypal.com", False),
        ("paypal-secure.com", "paypal.com", False),
        ("paypal.top", "paypal.com", False),
        ("shop.example", "shop.example", False),
        ("", "", False),
    ],
)
def test_brand_in_common(one, other, common):
    """The domains of one brand have it in common, and the domains of no brand have none."""
    assert have_brand_in_common(one, other) is common
    assert have_brand_in_common(other, one) is common


@given(st.text())
def test_any_text(text):
    """Any text has brands of the list or none."""
    assert set(brands_in(text)) <= set(_brands())


@pytest.mark.parametrize("text", ["paypal " * 100_000, "t-" * 100_000, "a" * 1_000_000, "paypal." * 100_000])
def test_hostile_text(text):
    """A long text takes less than a second of processor time."""
    with limit(1):
        brands_in(text)
