"""The client in a Received header, in the forms of the usual mail servers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.features.hop import NOBODY, Client, read_client
from spamlstm.features.render import render
from spamlstm.message.message import parse_message

NAMED = ("mx.shop.example", "out7.shop.example", "198.51.100.7")
"""A greeting, a confirmed reverse name, and an address."""


@pytest.mark.parametrize(
    "received",
    [
        "from mx.shop.example (out7.shop.example [198.51.100.7]) by b (Postfix) with ESMTPS id 1",
        "from mx.shop.example (out7.shop.example. [198.51.100.7]) by mx.google.com with ESMTPS id 1",
        "from mx.shop.example (root@out7.shop.example [198.51.100.7]) by b (8.17.1/8.17.1) with ESMTP id 1",
        "from mx.shop.example (IDENT:81@out7.shop.example [198.51.100.7]) by b (8.11.6/8.11.6) with SMTP id 1",
        "from out7.shop.example ([198.51.100.7] helo=mx.shop.example) by b with esmtp (Exim 4.97) id 1",
        "from out7.shop.example ([198.51.100.7]:40112 helo=mx.shop.example) by b with esmtps (Exim 4.97) id 1",
        "FROM mx.shop.example (OUT7.shop.example [IPv6:198.51.100.7]) by b",
    ],
)
def test_a_confirmed_name(received):
    """The greeting, the confirmed reverse name and the address are read of Postfix, Sendmail and Exim."""
    assert read_client(received) == Client(*NAMED, confirmed=True)


@pytest.mark.parametrize(
    ("received", "client"),
    [
        ("from a.example ([198.51.100.7]) by b with ESMTP id 1", Client("a.example", "", "198.51.100.7")),
        ("from a.example (root@[198.51.100.7]) by b (8.8.8/8.8.8)", Client("a.example", "", "198.51.100.7")),
        ("from pc (localhost [198.51.100.7] (may be forged)) by b", Client("pc", "", "198.51.100.7")),
        ("from pc (198.51.100.7 [198.51.100.7]) by b", Client("pc", "", "198.51.100.7")),
        (
            "from a.example (b.example [198.51.100.7] (may be forged)) by c",
            Client("a.example", "b.example", "198.51.100.7"),
        ),
        ("from a.example (unknown [2001:DB8::7]) by b", Client("a.example", "unknown", "2001:db8::7")),
        ("from [10.0.0.2] (unknown [198.51.100.7]) by b", Client("[10.0.0.2]", "unknown", "198.51.100.7")),
        ("from [198.51.100.7] (helo=a.example) by b with esmtp", Client("a.example", "unknown", "198.51.100.7")),
        (
            "from [198.51.100.7] (port=40112 helo=[192.168.0.3]) by b with esmtp (Exim 4.97)",
            Client("[192.168.0.3]", "unknown", "198.51.100.7"),
        ),
        ("from [198.51.100.7] by b with esmtp (Exim 4.97)", Client("[198.51.100.7]", "unknown", "198.51.100.7")),
        ("from unknown (HELO a.example) (198.51.100.7) by b with SMTP", Client("a.example", "unknown", "198.51.100.7")),
        (
            "from p7.isp.example (HELO [192.168.0.3]) ([198.51.100.7]) by b",
            Client("[192.168.0.3]", "p7.isp.example", "198.51.100.7"),
        ),
        (
            "from unknown (HELO ?192.168.0.3?) (joe@a.example@198.51.100.7) by b",
            Client("192.168.0.3", "unknown", "198.51.100.7"),
        ),
        ("from a.example (LHLO a.example) (198.51.100.7) by b", Client("a.example", "a.example", "198.51.100.7")),
        ("from a.example (198.51.100.7) by b with Microsoft SMTP", Client("a.example", "", "198.51.100.7")),
        ("from ([198.51.100.7]) by b with ESMTP", Client("", "", "198.51.100.7")),
        ("from a.example by b with LMTP id 1", Client("a.example", "", "")),
        ("from a.example [198.51.100.7] by b with POP3 (fetchmail-6.4.37)", Client("a.example", "", "")),
        ("(from joe@localhost) by b (8.17.1/8.17.1/Submit)", NOBODY),
        ("by b with SMTP id 1", NOBODY),
        ("", NOBODY),
    ],
)
def test_no_confirmed_name(received, client):
    """A name that the server did not confirm, or that the client chose, is not confirmed."""
    assert read_client(received) == client


def test_a_name_beside_exims_marks_in_a_sender_is_not_confirmed():
    """Only the server itself can write that it is Exim."""
    received = "from bank.example ([198.51.100.7]) by b with ESMTP for <(Exim@b>"
    assert not read_client(received).confirmed


@given(st.text("from [](){}:.@=helo127 unknownHELOExim\t", max_size=600))
def test_any_header(text):
    """Every text has a client; its parts are words of the text."""
    client = read_client(text)
    for part in (client.greeting, client.reverse, client.ip):
        assert part.lower() in text.lower() or part == "unknown"


@pytest.mark.parametrize("mark", ["", ":40112", " helo=mx.shop.example", ":40112 helo=mx.shop.example"])
def test_exims_forms_have_the_same_facts(mark):
    """A server that writes the port of a client or its greeting gives the same facts as one that does not."""
    received = f"from mx.shop.example ([198.51.100.7]{mark}) by mx.b.example with esmtps (Exim 4.97) id 1; today"
    message = f"Received: {received}\nFrom: news@shop.example\nSubject: x\n\nhello\n"
    text = str(render(parse_message(message.encode())))
    assert "⟦helo:host⟧⟦reverse:same⟧" in text
    assert "⟦via:same⟧" in text
