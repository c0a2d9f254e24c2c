"""Links: to the sender's own pages, through click trackers of services, and to unrelated hosts."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from .delivery import SERVICES, Service, fill
from .organisations import coin
from .people import slug
from .tokens import Weighted, alnum, chance, digits, hexes, letters, public_ip, urlsafe

MILD_TLDS = ("com", "com", "com", "net", "org", "info", "co", "io", "online", "de", "fr", "ru", "com.br", "in", "us")

ODD_TLDS = """
top xyz shop click site live icu buzz cn ru store info biz sbs us
""".split()

BAIT = """
secure login account update verify service support info alert notice customer online billing delivery parcel
client portal confirm help pay refund news
""".split()

SOCIAL = """
www.facebook.com twitter.com www.instagram.com www.linkedin.com www.youtube.com x.com www.pinterest.com
www.tiktok.com apps.apple.com play.google.com
""".split()

SHORTENERS = """
bit.ly t.co tinyurl.com is.gd cutt.ly rebrand.ly t.ly ow.ly goo.gl s.id qrco.de rb.gy lnkd.in shorturl.at n9.cl
""".split()

FREE_HOSTS = """
{h}.blogspot.com {h}.web.app {h}.weebly.com {h}.netlify.app {h}.workers.dev {h}.wixsite.com {h}.s3.amazonaws.com
{h}.firebaseapp.com {h}.pages.dev {h}.herokuapp.com {h}.godaddysites.com {h}.azurewebsites.net {h}.glitch.me
{h}.r2.dev {h}.vercel.app {h}.blob.core.windows.net
""".split()

PATHS = (
    "", "account", "orders", "my", "shop/new", "news", "sale", "p/{n}", "products/{h}", "item/{n}", "login", "c/{h}",
    "view", "blog/{n}", "track", "details?id={n}", "settings", "angebote", "help", "collections/{h}", "u/{n}",
)  # fmt: skip

Link = Callable[[], str]


def own_link(rng: Random, domain: str) -> Link:
    """Return a maker of links into a site, with marketing query strings."""
    prefix = rng.choice(("www.", "www.", "www.", "", "shop.", "my."))
    utm = rng.choice(
        (
            "",
            "",
            f"utm_source=newsletter&utm_medium=email&utm_campaign={letters(rng, 6)}",
            f"mid={digits(rng, 7)}",
            f"utm_source={letters(rng, 5)}&utm_medium=email",
            f"e={hexes(rng, 12)}",
        )
    )
    scheme = "http" if chance(rng, 0.12) else "https"

    def link() -> str:
        path = fill(rng, rng.choice(PATHS), domain)
        mark = "&" if "?" in path else "?"
        return f"{scheme}://{prefix}{domain}/{path}" + (f"{mark}{utm}" if utm else "")

    return link


def tracked_link(rng: Random, service: Service, domain: str) -> Link:
    """Return a maker of links through a service's click tracker; all have one host."""
    host = fill(rng, service.tracker, domain)
    scheme = "http" if chance(rng, 0.15) else "https"
    return lambda: f"{scheme}://{host}{fill(rng, service.path, domain)}"


def click_link(rng: Random, domain: str) -> Link:
    """Return a maker of links through the sender's own click tracker."""
    host = (
        rng.choice(("click", "links", "e", "t", "go", "link", "track", "email", "mail", "trk", "lnk", "l"))
        + "."
        + domain
    )
    return lambda: f"https://{host}/{rng.choice(('c/', 'r/', '?q=', 'e/c/', 'u/click?_t='))}{urlsafe(rng, 30)}"


def foreign_link(rng: Random) -> Link:
    """Return a maker of links to a host unrelated to anyone named in the message."""
    host_maker = _FOREIGN.draw(rng)
    host = host_maker(rng)
    tail = rng.choice(
        ("/{h}", "/{h}/{n}", "/?{h}={n}", "/{x}", "/index.html", "/{h}.html#{b}", "/{h}/index.php?id={x}", "")
    )
    return lambda: host + fill(rng, tail, "")


def _hacked(rng: Random) -> str:
    tail = rng.choice(
        ("wp-content/plugins", "wp-includes", "images", ".well-known", "cgi-sys", "wp-admin/css", "blog", "tmp")
    )
    return (
        f"http{rng.choice(('', 's', 's'))}://{rng.choice(('www.', ''))}{slug(coin(rng))}.{rng.choice(MILD_TLDS)}/{tail}"
    )


def throwaway(rng: Random) -> str:
    """Draw a throw-away domain."""
    stem = rng.choice(
        (
            lambda: slug(coin(rng)),
            lambda: slug(coin(rng)) + rng.choice(BAIT),
            lambda: letters(rng, rng.randrange(5, 13)),
            lambda: f"{slug(coin(rng))}-{rng.choice(BAIT)}",
            lambda: slug(coin(rng)) + slug(coin(rng)),
            lambda: alnum(rng, 8).lower(),
        )
    )()
    return f"{stem}.{rng.choice(MILD_TLDS if chance(rng, 0.55) else ODD_TLDS)}"


_FOREIGN: Weighted[Callable[[Random], str]] = Weighted(
    {
        (lambda rng: f"https://{throwaway(rng)}"): 34,
        (lambda rng: f"http://{throwaway(rng)}"): 8,
        (lambda rng: f"https://{rng.choice(SHORTENERS)}"): 14,
        (lambda rng: "https://" + fill(rng, rng.choice(FREE_HOSTS), "")): 16,
        (lambda rng: f"https://storage.googleapis.com/{letters(rng, 9)}"): 5,
        (lambda rng: f"http://{public_ip(rng)}"): 3,
        _hacked: 14,
        (lambda rng: f"https://www.google.com/url?q=https://{throwaway(rng)}"): 2,
        (lambda rng: f"https://docs.google.com/forms/d/e/{urlsafe(rng, 24)}"): 2,
        (lambda rng: "https://" + fill(rng, SERVICES.draw(rng).tracker, throwaway(rng))): 9,
    }
)
