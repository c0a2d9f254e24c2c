"""Deliveries, readers, users, crashes and the pipeline in one Maildir: each message is there once, unchanged."""

from hypothesis import HealthCheck, settings
from mailbox_machine import Mailbox

TestMailbox = Mailbox.TestCase
TestMailbox.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
