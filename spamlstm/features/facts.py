"""What the header and the structure of a message say that holds across servers and years, as a closed set of facts.

Facts of *relation* (does the reply address belong to the organisation in From?) travel from corpus to corpus; facts
of *fashion* (is it HTML, how many hops) tell the year and the place more than the class. The two are kept apart so
that training can hide either (docs/decisions/0003-rendering.md).
"""

from collections.abc import Iterator, Sequence

from spamlstm.features.alignment import ALIGNMENT, alignment
from spamlstm.features.style import STYLE, style
from spamlstm.message.message import Message

VALUES = {**ALIGNMENT, **STYLE}


def facts(message: Message, hosts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(name, value) of every fact that holds for `message`, in a fixed order; each is listed in VALUES.

    `hosts` is where its links lead: what `link_hosts` says of it.
    """
    yield from alignment(message, hosts)
    yield from style(message)
