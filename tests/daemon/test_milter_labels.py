"""Whose labels count for the mail that a mail server shows to the milter."""

import pytest
from listening import listening
from maildirs import make
from mta import added, connected_mta
from tiny_bundle import UNSURE

from spamlstm.config import Config, LabelScope, LearningConfig, MaildirConfig, MilterConfig
from spamlstm.learning.label import Label, Origin


def verdict(mta, recipients):
    """Return the verdict on a message for these recipients, as the header has it."""
    mta.content(UNSURE, recipients=recipients)
    return added(mta.verdict())["X-Spam-Status"].split(",")[0]


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (LabelScope.PER_MAILDIR, ["Yes", "Yes", "No", "No", "No", "No"]),
        (LabelScope.SHARED, ["Yes"] * 6),
    ],
)
def test_whose_labels_count(tmp_path, classifier, scope, expected):
    """With labels per Maildir, those of the only recipient count, in any case; with several, the model decides.

    Shared labels count for all messages, also for several recipients and for those who have no Maildir.
    """
    for name in ("ann", "bob"):
        make(tmp_path / "vmail" / name)
    config = Config(
        maildirs=(MaildirConfig(f"{tmp_path}/vmail/*"),),
        learning=LearningConfig(labels=scope, user_maildir=f"{tmp_path}/vmail/{{local}}"),
        milter=MilterConfig(listen=f"unix:{tmp_path}/m"),
    )

    def work(requests):
        # Label stores belong to the thread of the loop.
        if not labelled:
            raw = received + UNSURE
            labelled.append(running.stores.add_label(f"{tmp_path}/vmail/ann", raw, Label.SPAM, origin=Origin.COMMAND))
        requests.work()

    labelled = []
    received = b"Received: from mail.example.com (mail.example.com [192.0.2.7]) by mx.example.net with ESMTP id 4A\r\n"
    with (
        listening(tmp_path / "state", classifier, config, work=work) as running,
        connected_mta(f"{tmp_path}/m") as mta,
    ):
        mta.negotiate()
        mta.connect()
        recipients = [
            (b"ann@x.org",),
            (b"Ann@X.org",),
            (b"bob@x.org",),
            (b"ann@x.org", b"bob@x.org"),
            (b"../ann@x.org",),
            (),
        ]
        answers = [verdict(mta, one) for one in recipients]
    assert labelled == [True]
    assert answers == expected
