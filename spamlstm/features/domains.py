"""Registrable domains of host names, found with the public suffix list, and sets of well-known domains."""

from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

# Public mailbox providers. An address at one of these domains does not belong to an organisation.
FREEMAIL = frozenset(
    "gmail.com googlemail.com yahoo.com ymail.com rocketmail.com hotmail.com outlook.com live.com msn.com aol.com "
    "aim.com icloud.com me.com mac.com gmx.de gmx.net gmx.com gmx.at gmx.ch web.de t-online.de freenet.de mail.ru "
    "yandex.ru yandex.com rambler.ru list.ru bk.ru inbox.ru proton.me protonmail.com tutanota.com zoho.com mail.com "
    "email.com usa.com 163.com 126.com qq.com sina.com sohu.com yeah.net foxmail.com naver.com daum.net hanmail.net "
    "orange.fr wanadoo.fr free.fr laposte.net sfr.fr libero.it virgilio.it tiscali.it alice.it tin.it terra.es "
    "terra.com.br uol.com.br bol.com.br ig.com.br seznam.cz centrum.cz wp.pl o2.pl onet.pl interia.pl comcast.net "
    "verizon.net att.net sbcglobal.net bellsouth.net earthlink.net btinternet.com excite.com lycos.com netscape.net "
    "juno.com hushmail.com fastmail.com fastmail.fm rediffmail.com indiatimes.com ya.ru ukr.net abv.bg bigpond.com "
    "yahoo.co.uk yahoo.co.jp yahoo.fr yahoo.de yahoo.it yahoo.es yahoo.com.br yahoo.ca hotmail.co.uk hotmail.fr "
    "hotmail.de hotmail.it hotmail.es live.co.uk live.fr outlook.de outlook.fr netzero.net walla.com mail.bg".split()
)

# Services that send or track mail for their customers. Hosts of these services do not indicate a foreign sender.
# Known mistakes, to be corrected with the next TEXT_VERSION: list-manage.com is listed as two names. Names that are not
# registrable domains match nothing (protection.outlook.com here; docs.google.com, sites.google.com and
# schemas.microsoft.com below).
MAIL_SERVICES = frozenset(
    "amazonses.com sendgrid.net sendgrid.com mcsv.net mcdlv.net rsgsv.net mailchimp.com mailchimpapp.net list- "
    "manage.com mandrillapp.com mailgun.org mailgun.net mailgun.info sparkpostmail.com sparkpost.com exacttarget.com "
    "exct.net sfmc-content.com salesforce.com klaviyomail.com klaviyo.com mailjet.com sendinblue.com brevo.com "
    "sibmail.com sender-sib.com cleverreach.com hubspotemail.net hubspot.com constantcontact.com ccsend.com "
    "roving.com rs6.net campaign-archive.com createsend.com cmail19.com cmail20.com emarsys.net emsecure.net "
    "responsys.net rsys5.com rsys2.com bounceexchange.com postmarkapp.com pmta.com mtasv.net elasticemail.com "
    "braze.com iterable.com cordial.com customeriomail.com intercom-mail.com zendesk.com freshdesk.com "
    "activecampaign.com acemsrv.com aweber.com getresponse.com icontact.com drip.com convertkit.com substack.com "
    "beehiiv.com mailerlite.com inxmail.com optivo.net srv2.de artegic.net episerver.com rapidmail.de "
    "newsletter2go.com sailthru.com bluehornet.com listrak.com yesmail.com silverpop.com mkt41.net mktomail.com "
    "marketo.org eloqua.com pphosted.com mimecast.com messagelabs.com googlegroups.com groups.io yahoogroups.com "
    "outlook.com office365.com google.com onmicrosoft.com protection.outlook.com 1e100.net".split()
)

# Hosts where anyone can publish a page or shorten a URL.
OPEN_HOSTING = frozenset(
    "bit.ly tinyurl.com t.co goo.gl ow.ly is.gd rebrand.ly cutt.ly rb.gy t.ly shorturl.at buff.ly lnkd.in tiny.cc "
    "googleapis.com blogspot.com weebly.com wixsite.com webflow.io github.io netlify.app vercel.app pages.dev "
    "workers.dev r2.dev web.app firebaseapp.com herokuapp.com azurewebsites.net windows.net amazonaws.com "
    "cloudfront.net 000webhostapp.com sites.google.com forms.gle docs.google.com typeform.com glitch.me repl.co "
    "replit.app ipfs.io dweb.link page.link app.link linktr.ee geocities.com tripod.com angelfire.com "
    "freewebs.com".split()
)

# Domains to which all kinds of mail link: social networks, app stores, maps, standards.
SHARED_DOMAINS = frozenset(
    "facebook.com twitter.com x.com instagram.com linkedin.com youtube.com youtu.be pinterest.com tiktok.com "
    "apple.com google.com w3.org schemas.microsoft.com microsoft.com gstatic.com googleusercontent.com fbcdn.net "
    "whatsapp.com adobe.com wikipedia.org vimeo.com flickr.com tumblr.com".split()
)


def data_lines(name: str) -> list[str]:
    """Return the lines of the file data/NAME.txt of this package, without comments and empty lines."""
    text = Path(__file__).with_name("data").joinpath(f"{name}.txt").read_text("utf-8")
    return [line for line in map(str.strip, text.split("\n")) if line and not line.startswith("#")]


@cache
def _rules() -> frozenset[str]:
    """Return the rules of the public suffix list in the package publicsuffixlist.

    The file is read directly in 3 ms, because the parser of the package takes 75 ms.
    """
    # importlib.resources gives the same result but imports a dozen modules.
    package = find_spec("publicsuffixlist")
    folder = package.submodule_search_locations if package else None
    text = Path(*(folder or ())[:1], "public_suffix_list.dat").read_text("utf-8")
    return frozenset(line for line in text.split("\n") if line and not line.startswith("//"))


def organisational_domain(host: str) -> str:
    """Return the registrable domain of a host or address (`a@mail.shop.co.uk` gives `shop.co.uk`).

    Return an IP address unchanged, and '' if there is no registrable domain. https://publicsuffix.org/list/ has the
    algorithm.
    """
    # A host name has at most 253 characters. The cut keeps longer names and local parts of addresses out of the cache.
    return _registrable(host[-260:].rpartition("@")[2])


@lru_cache(maxsize=16_384)
def _registrable(host: str) -> str:
    labels = [label for label in host.strip("[] ").lower().split(".") if label][-8:]
    if len(labels) < 2:
        return ""
    if labels[-1].isdigit():
        return ".".join(labels)
    if "xn--" in host.lower():
        labels = [_unicode(label) for label in labels]
    rules = _rules()
    for start in range(len(labels)):
        name = ".".join(labels[start:])
        if "!" + name in rules:
            return name
        if name in rules or "*." + ".".join(labels[start + 1 :]) in rules:
            return ".".join(labels[start - 1 :]) if start else ""
    return ".".join(labels[-2:])


def _unicode(label: str) -> str:
    try:
        return label.encode("ascii").decode("idna") if len(label) < 64 else label
    except UnicodeError:
        return label
