"""The client in a Received header, in the forms of the usual mail servers."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.features.hop import NOBODY, Client, read_client
from spamlstm.features.render import render
from spamlstm.features.route import Route
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
        ("from a.example (HELO ) (198.51.100.7) by b with SMTP", Client("", "a.example", "198.51.100.7")),
        ("from a b ([198.51.100.7]) by c", Client("a", "", "198.51.100.7")),
        (
            "from [198.51.100.7] (HELO a.example)\n  by b (CommuniGate Pro SMTP 6.3)",
            Client("a.example", "", "198.51.100.7"),
        ),
        ("from 198.51.100.7 (EHLO a.example) by b with SMTP", Client("a.example", "", "198.51.100.7")),
        ("from [10.0.0.1] (198.51.100.7) by b with Microsoft SMTP Server", Client("[10.0.0.1]", "", "198.51.100.7")),
        (
            "from [198.51.100.7] (ident=bank.example [192.0.2.1]) by b (Exim 4.97)",
            Client("[198.51.100.7]", "unknown", "198.51.100.7"),
        ),
        ("from a.example (<unknown> [198.51.100.7]) by b (OpenSMTPD)", Client("a.example", "unknown", "198.51.100.7")),
        ("from x (helo=bank.example [198.51.100.7]) by b", Client("x", "", "198.51.100.7")),
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


@pytest.mark.parametrize("recipient", ["(Exim@b", '"joe+(Exim 4"@b', "joe+(Exim"])
def test_a_name_beside_exims_marks_in_an_address_is_not_confirmed(recipient):
    """Only the server itself can write that it is Exim."""
    received = f"from bank.example ([198.51.100.7]) by b with ESMTP id 1 for <{recipient}>"
    assert not read_client(received).confirmed


@pytest.mark.parametrize(
    "server",
    [
        "(OpenSMTPD) with ESMTPS",
        "(Haraka) with ESMTPS",
        "(Haraka/3.0.3) with ESMTPS",
        "(Stalwart SMTP) with ESMTPS",
        "(envelope-sender <a@bank.example>) with ESMTPS",
        "([203.0.113.9]) via tcp with ESMTPS",
    ],
)
def test_a_name_that_the_server_does_not_confirm(server):
    """Some servers write any reverse name, in the form in which others write confirmed ones only."""
    received = f"from bank.example (mx.bank.example [198.51.100.7]) by b {server} id 1"
    assert read_client(received) == Client("bank.example", "mx.bank.example", "198.51.100.7", confirmed=False)


HIDING = {
    "spaces": "from a b (p7.isp.example [198.51.100.7]) by mx.b.example (Postfix) with ESMTP id 1; today",
    "length": f"from {'a.' * 900}a (p7.isp.example [198.51.100.7]) by mx.b.example (Postfix) with ESMTP id 1; today",
    "private": "from [10.0.0.1] (198.51.100.7) by mx.b.example with Microsoft SMTP Server id 1; today",
    "empty": "from p7.isp.example (HELO ) (198.51.100.7)\n  by mx.b.example with SMTP; today",
    "by": "from by (p7.isp.example [198.51.100.7]) by mx.b.example (Haraka) with ESMTP id 1; today",
    "ident": "from [198.51.100.7] (ident=a@192.0.2.1) by mx.b.example with esmtp (Exim 4.97) id 1; today",
}
BELOW = "from mx.bank.example (mx.bank.example [192.0.2.1]) by mx.b.example (Postfix) with ESMTPS id 1; today"


@pytest.mark.parametrize("entry", HIDING.values(), ids=HIDING)
def test_a_client_cannot_hide_itself(entry):
    """No greeting makes the route end at a header that the client wrote below its own."""
    message = f"Received: {entry}\nReceived: {BELOW}\nFrom: a@bank.example\nSubject: x\n\nhello\n"
    route = Route(parse_message(message.encode()))
    assert (route.own, route.host, route.network) == ("b.example", route.host, "198.51.100")
    assert route.host in ("", "isp.example")


def test_a_greeting_longer_than_what_is_read():
    """The route ends at a header that is too long, at an unknown host."""
    message = f"Received: from {'a.' * 3000}a (x [198.51.100.7]) by b\nReceived: {BELOW}\nFrom: a@b.example\n\nhello\n"
    route = Route(parse_message(message.encode()))
    assert (route.own, route.host, route.network, route.entry != "") == ("", "", "", True)


@pytest.mark.parametrize(
    ("greeting", "recipient"),
    [("tls.shop.example", "joe@b.example"), ("a.example", '"joe+ tls with ESMTPA "@b.example')],
)
def test_words_of_the_client_are_no_words_of_the_server(greeting, recipient):
    """A greeting or recipient cannot say that the message came over TLS or from an authenticated user."""
    received = f"from {greeting} (mx.a.example [198.51.100.7]) by mx.b.example with ESMTP id 1 for <{recipient}>; today"
    text = str(render(parse_message(f"Received: {received}\nFrom: a@a.example\n\nhello\n".encode())))
    assert "⟦helo:host⟧" in text
    assert "⟦tls:" not in text


@pytest.mark.parametrize("protocol", ["ESMTPSA", "esmtpa", "(AES256-SHA encrypted) ESMTPSA"])
def test_an_authenticated_user(protocol):
    """The host of an authenticated user has no facts."""
    received = f"from pc (p7.isp.example [198.51.100.7]) by mx.b.example with {protocol} id 1; today"
    text = str(render(parse_message(f"Received: {received}\nFrom: a@b.example\n\nhello\n".encode())))
    assert "⟦helo:none⟧⟦reverse:none⟧" in text


@pytest.mark.parametrize(
    ("greeting", "kind"), [("[IPv6:2001:db8::7]", "ip"), ("198.51.100.7", "ip"), ("cafe.de", "host"), ("pc7", "bare")]
)
def test_the_kind_of_a_greeting(greeting, kind):
    """An address is an address in any form, and a name of hexadecimal digits is a name."""
    received = f"from {greeting} (mx.a.example [198.51.100.7]) by mx.b.example with ESMTP id 1; today"
    assert f"⟦helo:{kind}⟧" in str(render(parse_message(f"Received: {received}\nFrom: a@b.example\n\nx\n".encode())))


@pytest.mark.parametrize(
    "text", ["(", ")", "()", "(()", "from ", "by ", " ", "[", "a@", "with ", "HELO ", "(Exim ", "[::1] "]
)
def test_long_headers_take_no_time(text):
    """The time grows with the length of a header, not with its square."""
    start = time.process_time()
    for before in ("from ", "from a (", "from a (b [::1]) ", "from a (HELO "):
        read_client(before + text * 100_000)
    assert time.process_time() - start < 0.5


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
