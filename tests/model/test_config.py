"""The configuration: what it says is taken, what it means to say is guessed at, nothing is ignored."""

import pytest

from spamlstm import config
from spamlstm.config import Costs, Thresholds
from spamlstm.errors import ConfigError


def written(tmp_path, text):
    path = tmp_path / "config.toml"
    path.write_text(text)
    return path


def test_a_whole_policy(tmp_path):
    """Every key of the policy arrives."""
    text = """
    [policy]
    allow = ["friend@x.org", "list:announce.x.org"]
    deny = ["@bad.org"]
    thresholds = { ham = 0.1, spam = 0.9 }
    costs = { false_positive = 20, false_negative = 1, unsure = 0.5 }
    """
    policy = config.load(written(tmp_path, text)).policy
    assert policy.allow == ("friend@x.org", "list:announce.x.org")
    assert policy.deny == ("@bad.org",)
    assert (policy.thresholds, policy.costs) == (Thresholds(0.1, 0.9), Costs(20, 1, 0.5))


def test_an_empty_file_changes_nothing(tmp_path):
    """Defaults are the bundle's."""
    assert config.load(written(tmp_path, "")) == config.Config()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[policy]\nalow = []", "did you mean 'allow'"),
        ("[polic]", "did you mean 'policy'"),
        ("policy = 1", "must be a table"),
        ("[policy]\nallow = 'x'", "list of strings"),
        ("[policy]\nthresholds = { ham = 0.9, spam = 0.1 }", "0 <= ham <= spam <= 1"),
        ("[policy]\nthresholds = { ham = 0.9 }", "policy.thresholds.spam"),
        ("[policy]\ncosts = { false_positive = nan, false_negative = 1, unsure = 1 }", "finite"),
        ("[policy", "not valid TOML"),
    ],
)
def test_a_mistake_is_told(tmp_path, text, words):
    """The sentence names the file and what is wrong in it."""
    with pytest.raises(ConfigError, match=r"config\.toml") as caught:
        config.load(written(tmp_path, text))
    assert words in str(caught.value)


def test_a_missing_file(tmp_path):
    """A named configuration that is not there is an error, not a default."""
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(tmp_path / "none.toml")
