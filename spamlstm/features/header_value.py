"""Values of the headers that servers write: without the text of the sender, and the names of servers in them."""

import re

from spamlstm.features.domains import organisational_domain

# A quoted string, with escaped quotes. Without an end, it is ordinary text, and is not searched again.
_QUOTED = re.compile(r'"([^"\\]*+(?>\\.[^"\\]*+)*+)("?)', re.DOTALL)
_COMMENT = re.compile(r"\([^()]*\)")
# A quoted string that is the whole value of a property: header.d="shop.example".
_PLAIN_VALUE, _END_OF_VALUE = re.compile(r"[\w.@+-]+"), re.compile(r"[\s;]|\Z")
# The servers of these providers have names in one domain, or without one, and write results in the name of the other:
# p00-icloudmta-smtpin-us-west-2a-60-percent-12 and st43p00im-qukt05021701.me.com write those of dmarc.icloud.com.
_OTHER_NAMES = {"office365.com": "outlook.com", "me.com": "icloud.com"}
_ICLOUD = re.compile(r"p\d+-icloudmta-[a-z0-9-]+")


def without_quotes(value: str) -> str:
    """Return the value of a header without quoted strings, which contain text of the sender."""
    return _QUOTED.sub(lambda quoted: "" if quoted[2] else quoted[0], value) if '"' in value else value


def with_plain_values(value: str) -> str:
    """Return the value of a header without quotes around the values of properties that need none."""
    return _QUOTED.sub(_plain_value, value) if '="' in value else value


def _plain_value(quoted: re.Match[str]) -> str:
    text = quoted.string
    is_value = quoted[2] and text.startswith("=", quoted.start() - 1) and _END_OF_VALUE.match(text, quoted.end())
    return quoted[1] if is_value and _PLAIN_VALUE.fullmatch(quoted[1]) else quoted[0]


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
