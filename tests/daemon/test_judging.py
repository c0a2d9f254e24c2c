"""The queue between the listeners and the daemon's loop."""

import pytest
from listening import PATIENCE, listening
from maildirs import make as make_maildir
from tiny_bundle import SPAM

from spamlstm.config import Config, LabelScope, LearningConfig, MaildirConfig
from spamlstm.config.users import UserProblem
from spamlstm.daemon.listeners.judging import JudgeRequest


@pytest.mark.parametrize(("user", "problem"), [("ann", None), ("eve", UserProblem.UNKNOWN), ("", None)])
def test_the_problem_of_a_user_is_found_only_if_asked_for(tmp_path, classifier, user, problem):
    """A request that asks is told why its user has no effect. Others, whose protocol cannot show it, do not wait."""
    make_maildir(tmp_path / "vmail" / "ann")
    learning = LearningConfig(labels=LabelScope.PER_MAILDIR, user_maildir=f"{tmp_path}/vmail/{{user}}")
    config = Config(maildirs=(MaildirConfig(f"{tmp_path}/vmail/*"),), learning=learning)
    with listening(tmp_path / "state", classifier, config) as one:
        asked, other = JudgeRequest(SPAM, user, explains_user=True), JudgeRequest(SPAM, user)
        for request in (asked, other):
            one.requests.submit(request)
        assert asked.answer.result(PATIENCE).user_problem is problem
        assert other.answer.result(PATIENCE).user_problem is None
