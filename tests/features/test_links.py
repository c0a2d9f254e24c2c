"""The hosts to which links lead, as browsers follow them, and the facts about links."""

import base64
from urllib.parse import quote

import pytest
from hostile_text import limit
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.features.links import link_targets
from spamlstm.features.redirectors import redirect
from spamlstm.features.render import facts, render
from spamlstm.features.urls import url_host
from spamlstm.message.message import Message, parse_message

EVIL = "https://evil-host.example.com/x?id=1"


def page(body: str, *, sender: str = "no-reply@doc-share.example.net") -> Message:
    head = f"From: Document centre <{sender}>\nTo: robin@example.org\nContent-Type: text/html; charset=utf-8\n\n"
    return parse_message(f"{head}<p>Please sign in to read it.</p>{body}".encode())


def plain(body: str) -> Message:
    return parse_message(f"From: a@shop.example\nContent-Type: text/plain; charset=utf-8\n\n{body}".encode())


def facts_of(message: Message) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, value in facts(message, link_targets(message)):
        found.setdefault(name, set()).add(value)
    return found


def hosts_of(message: Message) -> list[str]:
    return list(link_targets(message).hosts)


@pytest.mark.parametrize(
    "link",
    [
        f'<a href="{EVIL}">Open</a>',
        '<a href="http:/\\evil-host.example.com/x">Open</a>',
        '<a href="https:/evil-host.example.com/x">Open</a>',
        '<a href="http:\\\\evil-host.example.com/x">Open</a>',
        '<a href="https://evil-\nhost.example.com/x">Open</a>',
        '<a href="ht\ttps://evil-host.example.com/x">Open</a>',
        '<a href="https://\uff45vil-host.example.com/x">Open</a>',
        '<a href="&#1;https://evil-host.example.com/x">Open</a>',
        '<a href="https://evil-host&#x3002;example.com/x">Open</a>',
        f'<a href="https://{"bank" * 100}@evil-host.example.com/x">Open</a>',
        f'<a href="#">Open</a><form><button formaction="{EVIL}">Open</button></form>',
        f'<a href="#">Open</a><form><input type=submit formaction="{EVIL}"></form>',
        f'<form action="{EVIL}"><input type=submit></form>',
        f'<map><area href="{EVIL}"></map>',
        f'<svg><a xlink:href="{EVIL}"><text>Open</text></a></svg>',
        f'<svg><a href="{EVIL}"><text>Open</text></a></svg>',
        f'<meta http-equiv="refresh" content="0;url={EVIL}"><a href="#">Open</a>',
        f'<meta http-equiv="refresh" content="1;{EVIL}"><a href="#">Open</a>',
        f'<iframe src="{EVIL}"></iframe><p>Open</p>',
        f"<a href=# onclick=\"location='{EVIL}'\">Open</a>",
        f"<button onclick=\"window.location.href = '{EVIL}'\">Open</button>",
        f"<meta http-equiv=Refresh content=\"5; URL='{EVIL}'\">",
        '<base href="https://evil-host.example.com/a/"><a href="x.html">Open</a>',
        '<base href="https:\\\\evil-host.example.com"><a href="/x.html">Open</a>',
    ],
)
def test_a_link_that_browsers_follow(link):
    """However a link is spelled, and in whatever element, it leads to the host to which a browser goes."""
    message = page(link)
    found = facts_of(message)
    assert hosts_of(message) == ["evil-host.example.com"]
    assert (found["links"], found["linkhosts"], found["urls"]) == ({"other"}, {"1"}, {"1"})
    assert "⟦hosts⟧ example.com ⟦files⟧" in render(message)


def test_an_address():
    """A link to an IPv6 address, or to an IPv4 address as one number, is a link to an IP address."""
    for url, host in (("https://[2001:db8::25]/x", "[2001:db8::25]"), ("https://3221225991/x", "192.0.2.7")):
        message = page(f"<a href={url}>x</a>")
        assert (hosts_of(message), facts_of(message)["links"]) == ([host], {"ip"})


@pytest.mark.parametrize(
    ("url", "odd"),
    [
        (EVIL, False),
        ("https://doc-share.example.net/x", False),
        ("mailto:a@doc-share.example.net", False),
        ("http:/\\evil-host.example.com/x", True),
        ("https://bank.example@evil-host.example.com/x", True),
        ("javascript:location=1", True),
    ],
)
def test_an_odd_link(url, odd):
    """A link whose spelling hides where it leads is a fact."""
    assert ("odd" in facts_of(page(f'<a href="{url}">x</a>')).get("link", ())) is odd


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://www.google.com/url?q=https%3A%2F%2Facct-verify.example.com%2Fl&sa=D", "acct-verify.example.com"),
        ("https://www.google.de/url?sa=t&url=https://acct-verify.example.com/", "acct-verify.example.com"),
        ("HTTPS://WWW.GOOGLE.COM/URL?Q=https%3A%2F%2Facct-verify.example.com%2Fl", "acct-verify.example.com"),
        ("https://www.google.com/travel/clk?pcurl=https%3A%2F%2Facct-verify.example.com", "acct-verify.example.com"),
        ("https://ad.doubleclick.net/ddm/clk/1;2;3?https://acct-verify.example.com/l", "acct-verify.example.com"),
        ("https://www.pinterest.com/offsite/?url=https%3A%2F%2Facct-verify.example.com", "acct-verify.example.com"),
        ("https://www.tiktok.com/link/v2?target=https%3A%2F%2Facct-verify.example.com", "acct-verify.example.com"),
        ("https://www.google.com/amp/s/acct-verify.example.com/x", "acct-verify.example.com"),
        ("https://a-b.cdn.ampproject.org/c/s/acct-verify.example.com/x", "acct-verify.example.com"),
        ("https://l.facebook.com/l.php?u=https%3A%2F%2Facct-verify.example.com&h=AT1", "acct-verify.example.com"),
        ("https://www.youtube.com/redirect?q=acct-verify.example.com%2Fx", "acct-verify.example.com"),
        (
            "https://www.bing.com/ck/a?!&&p=1&u=a1" + base64.urlsafe_b64encode(EVIL.encode()).decode().rstrip("="),
            "evil-host.example.com",
        ),
    ],
)
def test_an_open_redirector(url, host):
    """A link through a site that forwards anyone's links leads to the last host, and is a fact."""
    message = page(f'<a href="{url}">Confirm</a>')
    found = facts_of(message)
    assert (hosts_of(message), found["links"], found["link"]) == ([host], {"other"}, {"redirect"})


@pytest.mark.parametrize(
    "url",
    [
        "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fwww.shop.example%2F&data=05%7C01",
        "https://urldefense.proofpoint.com/v2/url?u=https-3A__www.shop.example_x&d=DwMFaQ&c=x",
        "https://urldefense.com/v3/__https://www.shop.example/x__;!!AbC!x$",
        "https://linkprotect.cudasvc.com/url?a=https%3a%2f%2fwww.shop.example&c=E,1",
        "https://secure-web.cisco.com/1abc/https%3A%2F%2Fwww.shop.example%2Fx",
    ],
)
def test_a_gateway(url):
    """A link that the server of the recipient rewrote is judged as the link that was sent."""
    link = '<a href="{}">https://www.shop.example/</a>'
    rewritten, sent = (page(link.format(one), sender="a@shop.example") for one in (url, "https://www.shop.example/"))
    assert hosts_of(rewritten) == hosts_of(sent)
    assert facts_of(rewritten) == facts_of(sent)


def test_a_service():
    """A link that a mail service tracks leads to the service and to the host that it names."""
    message = page('<a href="https://a1.r.eu-west-1.awstrack.me/L0/https:%2F%2Fwww.shop.example%2F/1/0102/x">x</a>')
    assert hosts_of(message) == ["a1.r.eu-west-1.awstrack.me", "www.shop.example"]
    assert facts_of(message)["link"] == {"service"}


def test_nested_redirectors():
    """Redirectors inside redirectors are followed, but not without end."""
    url = EVIL
    for depth in range(6):
        found = hosts_of(page(f'<a href="{url}">x</a>'))
        assert found == (["evil-host.example.com"] if depth <= 3 else ["www.google.com"])
        url = "https://www.google.com/url?q=" + quote(url, safe="")


@pytest.mark.parametrize(
    "url",
    [
        "https://sites.google.com/view/acct-verify",
        "https://docs.google.com/forms/d/e/1FAI/viewform",
        "https://drive.google.com/file/d/1/view",
        "https://storage.googleapis.com/acct-verify/x.html",
        "https://1drv.ms/w/s!Aq12",
        "https://acctverify-my.sharepoint.com/:o:/g/x",
        "https://acct-verify.notion.site/x",
        "https://t.me/acct_verify_bot",
        "https://www.dropbox.com/scl/fi/x",
        "https://forms.office.com/r/abc",
        "https://lnkd.in/abc",
        "https://t.co/abc",
        "https://acct-verify.pages.dev/",
        "https://assets-eur.mkt.dynamics.com/0f5b/digitalassets/standaloneforms/1",
        "https://www.baidu.com/link?url=abcdef",
    ],
)
def test_an_open_host(url):
    """A link to a page that anyone can publish leads to another organisation, whatever else the host is."""
    found = facts_of(page(f'<a href="{url}">Confirm</a>'))
    assert (found["links"], found["openhost"], found.get("link")) == ({"other"}, {"yes"}, None)


@pytest.mark.parametrize(
    "url", ["https://www.google.com/maps/x", "https://www.facebook.com/shop", "https://x.com/shop"]
)
def test_shared_domains(url):
    """Links to sites to which all kinds of mail link say nothing about the sender."""
    found = facts_of(page(f'<a href="{url}">Follow us</a>'))
    assert found["links"] == {"shared"}
    assert "openhost" not in found


@pytest.mark.parametrize(
    "host",
    [
        "lanternbooks.us5.list-manage.com",
        "u221.ct.sendgrid.net",
        "x.mailchimpapp.net",
        "trk.klclick3.com",
        "abc.r.sp1-brevo.net",
        "mkto-sj180011.com",
        "t1.emailsys1a.net",
        "clt1.benchurl.com",
    ],
)
def test_a_newsletter_of_a_mail_service(host):
    """Links and images of a newsletter lead to its mail service, which is neither foreign nor lying."""
    message = page(
        f'<a href="https://{host}/track/click?u=77c">https://www.lanternbooks.example/</a>'
        f'<a href="https://{host}/unsubscribe?u=77c">Unsubscribe</a><img src="https://{host}/open.png">',
        sender="hello@lanternbooks.example",
    )
    found = facts_of(message)
    assert (found["links"], found["images"], found["link"]) == ({"service"}, {"mixed"}, {"service"})
    assert "lying" not in found


@pytest.mark.parametrize(
    ("host", "shown", "is_lying"),
    [
        ("docs.google.com", "https://bank.example/", True),
        ("joe.hs-sites.com", "https://bank.example/", True),
        ("joe.ghost.io", "https://bank.example/", True),
        ("joe.atlassian.net/wiki/external", "https://bank.example/", True),
        ("actionnetwork.org/forms", "https://bank.example/", True),
        ("joe.atlassian.net/browse", "https://bank.example/", False),
        ("click.actionnetwork.org/ss/c", "https://bank.example/", False),
        ("docs.google.com", "https://forms.gle/x7", False),
        ("u221.ct.sendgrid.net", "https://bank.example/", False),
    ],
)
def test_a_service_does_not_vouch_for_pages_of_anybody(host, shown, is_lying):
    """A link to a page that anyone can publish at a service, with another host as its text, is lying."""
    found = facts_of(page(f'<a href="https://{host}/x">{shown}</a>', sender="joe@shop.example"))
    assert ("lying" in found) is is_lying


def test_a_service_is_known_whatever_the_line_wrap():
    """list-manage.com is a mail service, and manage.com is not."""
    assert facts_of(page('<a href="https://x.manage.com/">x</a>'))["links"] == {"other"}


def test_a_page_of_anybody_at_another_domain_of_the_brand():
    """A page that anyone can publish is not the sender's, also if the sender's brand owns the domain."""
    raw = b"From: a@microsoft.com\nContent-Type: text/html\n\n<a href='https://%s/x'>x</a>"
    for host, owner in ((b"www.office.com", "same"), (b"forms.office.com", "other")):
        message = parse_message(raw % host)
        assert ("links", owner) in facts(message, link_targets(message))


def test_urls_in_the_text_of_a_page():
    """URLs in the text of a page count beside links to one organisation, because mail programs make links of them."""
    own = '<a href="https://doc-share.example.net/d">Open</a>'
    assert hosts_of(page(f"{own}<p>or go to {EVIL} now</p>")) == ["doc-share.example.net", "evil-host.example.com"]
    assert facts_of(page(f"{own}<p>or go to {EVIL} now</p>"))["links"] == {"mixed"}
    assert "openhost" in facts_of(page(f"{own}<p>or go to https://bit.ly/x1</p>"))
    several = f'{own}<a href="https://shop.example.com/x">Shop</a>'
    assert hosts_of(page(f"{several}<p>or go to {EVIL} now</p>")) == ["doc-share.example.net", "shop.example.com"]


def test_a_url_in_the_text_of_a_link_is_no_further_link():
    """A URL that the text of a link shows leads to the target of that link only."""
    tracked = f'<a href="https://doc-share.example.net/click?1">{EVIL}</a>'
    assert hosts_of(page(tracked)) == ["doc-share.example.net"]
    own = '<a href="https://doc-share.example.net/d">Open</a>'
    assert hosts_of(page(f"{own}<p>or go to https://www.doc-share.example.net/e</p>")) == ["doc-share.example.net"]


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("see http://one.example/, http://two.example.", ["one.example", "two.example"]),
        ("(https://one.example)", ["one.example"]),
        ("http://bank.example@evil.example/x", ["evil.example"]),
        ("http://evil\u3002example/x", ["evil.example"]),
        ("http://3221225991/x", ["192.0.2.7"]),
        ("http://[2001:db8::25]/x", ["[2001:db8::25]"]),
        ("go to www.shop.example/x or www.shop.example.", ["www.shop.example"]),
        ("www.one.example", ["www.one.example"]),
        ("a@www.one.example xwww.two.example", []),
        ("https://www.google.com/url?q=https://evil.example/x", ["evil.example"]),
        ("no://one.example", []),
    ],
)
def test_links_of_text(text, hosts):
    """Links of plain text lead to the same hosts, also without a scheme before www."""
    assert hosts_of(plain(text)) == hosts


@given(
    st.lists(
        st.sampled_from(["https://www.google.com/url?q=", "//", "http:/", "urldefense.com/v3/__", "%", "&u=", "x"])
    )
)
def test_any_redirect(pieces):
    """Any URL can be read."""
    url = "".join(pieces)
    redirect(url_host(url), url)
    hosts_of(page(f'<a href="{url}">x</a>'))


@pytest.mark.parametrize(
    "body",
    [
        "http://" * 100_000,
        "www." * 200_000,
        "http://www.google.com/url?q=" * 20_000,
        "http://%" * 100_000,
        "http://" + "www.google.com/url?" + "q=&" * 200_000,
        "http://1." * 100_000,
    ],
)
def test_hostile_links(body):
    """Text and pages full of links take less than two seconds of processor time."""
    with limit(2):
        hosts_of(plain(body))
        hosts_of(page(f'<a href="{body}">x</a>' * 3))
