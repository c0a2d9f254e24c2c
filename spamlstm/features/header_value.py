"""Values of the headers that servers write: without the text of the sender, and the names of servers in them."""

import re

from spamlstm.features.domains import organisational_domain

_QUOTED, _COMMENT = re.compile(r'"[^"]*"'), re.compile(r"\([^()]*\)")
# The servers of these providers have names in one domain, or without one, and write results in the name of the other:
# p00-icloudmta-smtpin-us-west-2a-60-percent-12 and st43p00im-qukt05021701.me.com write those of dmarc.icloud.com.
_OTHER_NAMES = {"office365.com": "outlook.com", "me.com": "icloud.com"}
_ICLOUD = re.compile(r"p\d+-icloudmta-[a-z0-9-]+")


def without_quotes(value: str) -> str:
    """Return the value of a header without quoted strings, which contain text of the sender."""
    return _QUOTED.sub("", value) if '"' in value else value


def without_comments(value: str) -> str:
    """Return the value of a header without quoted strings and comments, which contain text of the sender."""
    value = without_quotes(value)
    for _ in range(2):  # comments may be nested
        if "(" in value:
            value = _COMMENT.sub("", value)
    return value


def server_name(host: str) -> str:
    """Return the organisation of a server, or its name if it has none."""
    host = host.strip("[]").lower()
    if _ICLOUD.fullmatch(host):
        return "icloud.com"
    name = "" if host[-1:].isdigit() or ":" in host else organisational_domain(host) or host
    return _OTHER_NAMES.get(name, name)
