"""The organisation of a host, and lists of domains."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.features.domains import (
    FREEMAIL,
    MAIL_SERVICES,
    OPEN_HOSTING,
    SHARED_DOMAINS,
    data_lines,
    organisational_domain,
)


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


@pytest.mark.parametrize("name", ["freemail", "mail_services", "marketplaces", "open_hosting", "shared_domains"])
def test_data(name):
    """Each name of a list is a host in lower case and stands in the list once, so each line can match a host."""
    lines = data_lines(name)
    assert len(set(lines)) == len(lines) > 40
    for line in lines:
        host = line.partition("/")[0].replace("*", "1")
        assert re.fullmatch(r"(?:[a-z0-9-]+\.)+[a-z][a-z0-9-]+", host)


@pytest.mark.parametrize(
    ("domains", "host", "listed"),
    [
        (FREEMAIL, "gmail.com", True),
        (FREEMAIL, "gmail.com.example", False),
        (MAIL_SERVICES, "shop.us5.list-manage.com", True),
        (MAIL_SERVICES, "list-manage.com", True),
        (MAIL_SERVICES, "manage.com", False),
        (MAIL_SERVICES, "trk.klclick1.com", True),
        (MAIL_SERVICES, "ctrk.klclick.com", True),
        (MAIL_SERVICES, "kmail-lists.com", True),
        (MAIL_SERVICES, "recp.mkt51.net", True),
        (MAIL_SERVICES, "www.mkt98765.com", False),
        (MAIL_SERVICES, "www.mkt98765.net", False),
        (MAIL_SERVICES, "www.pages05.net", True),
        (MAIL_SERVICES, "www.pages77.net", False),
        (MAIL_SERVICES, "x.rsys77.com", False),
        (OPEN_HOSTING, "140.hs-sites-eu1.com", True),
        (OPEN_HOSTING, "joe.kit.com", True),
        (OPEN_HOSTING, "docs.google.com", True),
        (OPEN_HOSTING, "www.google.com", False),
        (OPEN_HOSTING, "x-my.sharepoint.com", True),
        (OPEN_HOSTING, "dropbox.com", False),
        (SHARED_DOMAINS, "www.facebook.com", True),
        (SHARED_DOMAINS, "notfacebook.com", False),
        (SHARED_DOMAINS, "", False),
    ],
)
def test_list(domains, host, listed):
    """A list contains its names and all hosts below them, and no other host."""
    assert (host in domains) is listed


def test_mail_services_are_organisations():
    """Each mail service is an organisation, as the owner of a host is looked up by its organisation."""
    names = [line.replace("*", "1") for line in data_lines("mail_services")]
    assert [name for name in names if organisational_domain(name) != name] == []


def test_pages_of_a_host():
    """A list can contain some pages of a host."""
    assert "scl" in OPEN_HOSTING.starts("www.dropbox.com")
    assert OPEN_HOSTING.starts("www.example.com") == ()
