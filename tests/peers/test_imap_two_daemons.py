"""Two daemons of one account, each with its own state: neither takes the other's moves for those of the user."""

import shutil

import pytest
from clients import moved
from imap_account import served
from watching import until

from spamlstm.config import Action
from spamlstm.daemon.imap.answers import FILED_KEYWORD, RETURNED_KEYWORD

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(shutil.which("dovecot") is None, reason="dovecot is not installed here"),
]


def test_what_one_daemon_files_is_no_label_for_the_other(server, tiny, tmp_path):
    """A daemon that files unsure mail does not teach the other one. At least one learns what the user moves later."""
    with (
        served(server, tmp_path / "one", tiny) as first,
        served(server, tmp_path / "two", tiny, unsure=(Action.FILE,)) as second,
    ):
        both = (first, second)
        for number in range(9):
            server.deliver(number)
        until(lambda: first.places() == {"INBOX": [0, 3, 6], "Junk": [1, 2, 4, 5, 7, 8], "Archive": []})
        for one in both:
            one.visited()
            assert one.labels() == {}
        with server.session() as session:
            moved(session, "Junk", 4, "INBOX", "MOVE")
            until(lambda: any(one.labels() == {4: "ham"} for one in both))
            until(lambda: keywords(session, "INBOX", 4) >= {RETURNED_KEYWORD, "$NotJunk"})
            assert not keywords(session, "INBOX", 4) & {FILED_KEYWORD, "$Junk"}
            moved(session, "INBOX", 4, "Junk", "MOVE")
            until(lambda: any(one.labels() == {4: "spam"} for one in both))
            moved(session, "INBOX", 3, "Junk", "MOVE")
            until(lambda: any(one.labels().get(3) == "spam" for one in both))
        assert first.places()["INBOX"] == [0, 6]
        assert not first.tally.failed
        assert not second.tally.failed


@pytest.mark.parametrize("is_learned", [True, False], ids=["learned", "at-once"])
def test_mail_that_the_user_moved_back_stays(server, tiny, tmp_path, is_learned):
    """A daemon leaves mail in the inbox that another one filed and the user moved back while the first one was down."""
    with served(server, tmp_path / "one", tiny):
        server.deliver(0)
    with served(server, tmp_path / "two", tiny) as second:
        server.deliver(1)
        until(lambda: second.places()["Junk"] == [1])
        if is_learned:
            with server.session() as session:
                moved(session, "Junk", 1, "INBOX", "MOVE")
            until(lambda: second.labels() == {1: "ham"})
            second.visited()
    if not is_learned:
        with server.session() as session:
            moved(session, "Junk", 1, "INBOX", "MOVE")
    with served(server, tmp_path / "one", tiny) as first:
        server.deliver(4)
        until(lambda: first.places() == {"INBOX": [0, 1], "Junk": [4], "Archive": []})
        first.visited()
        assert first.places() == {"INBOX": [0, 1], "Junk": [4], "Archive": []}
        assert first.labels() == {}


def keywords(session, folder, mark):
    """Return the keywords of a message."""
    session.select(folder)
    (number,) = session.search(None, "HEADER", "X-Mark", str(mark))[1]
    if len(number.split()) != 1:
        return set()
    answer = session.fetch(number.decode(), "(FLAGS)")[1][0].decode()
    return {one for one in answer.partition("FLAGS (")[2].partition(")")[0].split() if not one.startswith("\\")}
