"""Reading a configuration: every setting is read, and each has a cautious default."""

import pytest

from spamlstm.config import load_config, values


def written(tmp_path, text):
    path = tmp_path / "config.toml"
    path.write_text(text)
    return path


def test_a_whole_policy(tmp_path):
    """Every key of [policy] is read."""
    text = """
    [policy]
    allow = ["friend@x.org", "list:announce.x.org"]
    deny = ["@bad.org"]
    thresholds = { ham = 0.1, spam = 0.9 }
    costs = { false_positive = 20, false_negative = 1, unsure = 0.5 }
    """
    policy = load_config(written(tmp_path, text)).policy
    assert policy.allow == ("friend@x.org", "list:announce.x.org")
    assert policy.deny == ("@bad.org",)
    assert (policy.thresholds, policy.costs) == (values.Thresholds(0.1, 0.9), values.Costs(20, 1, 0.5))


def test_maildirs_and_daemon(tmp_path):
    """Every key of [daemon] and [[maildir]] is read; actions are sorted, and `none` means no action."""
    text = """
    daemon = { scan_seconds = 30, catch_up = "unseen", dry_run = true }
    [[maildir]]
    path = "~/Maildir"
    junk = "INBOX.Spam"
    spam = ["file", "keyword", "tag"]
    unsure = ["none"]
    ham = ["tag"]
    dry_run = false
    [[maildir]]
    path = "/var/vmail/*/*/Maildir"
    """
    config = load_config(written(tmp_path, text))
    assert config.daemon == values.DaemonConfig(scan_seconds=30, catch_up=values.CatchUp.UNSEEN, dry_run=True)
    every = (values.Action.TAG, values.Action.KEYWORD, values.Action.FILE)
    assert config.maildirs == (
        values.MaildirConfig(
            "~/Maildir", junk="INBOX.Spam", spam=every, unsure=(), ham=(values.Action.TAG,), dry_run=False
        ),
        values.MaildirConfig("/var/vmail/*/*/Maildir"),
    )
    assert [config.is_dry(section) for section in config.maildirs] == [False, True]


@pytest.mark.parametrize(
    ("listen", "address"), [("127.0.0.1:9469", ("127.0.0.1", 9469)), ("[::1]:80", ("::1", 80)), (None, None)]
)
def test_metrics(tmp_path, listen, address):
    """Both settings of [metrics] are read, and neither has a default."""
    text = f'[metrics]\ntextfile = "~/x.prom"\nlisten = "{listen}"' if listen else ""
    metrics = load_config(written(tmp_path, text)).metrics
    assert metrics == values.MetricsConfig("~/x.prom" if listen else None, listen)
    assert metrics.address() == address


def test_learning(tmp_path):
    """Every key of [learning] is read."""
    text = """
    [learning]
    learn_from_moves = false
    labels = "per-maildir"
    max_false_positive_rate = 0
    ignore_folders = ["Receipts", "Lists/announce"]
    """
    assert load_config(written(tmp_path, text)).learning == values.LearningConfig(
        learn_from_moves=False,
        labels=values.LabelScope.PER_MAILDIR,
        max_false_positive_rate=0.0,
        ignore_folders=("Receipts", "Lists/announce"),
    )


def test_the_defaults_are_cautious():
    """By default spam is tagged and filed to the junk folder, unsure is tagged, ham is left; old mail is not judged."""
    section = values.MaildirConfig("~/Maildir")
    assert (section.junk, section.spam, section.unsure, section.ham) == ("auto", ("tag", "file"), ("tag",), ())
    assert values.DaemonConfig() == values.DaemonConfig(scan_seconds=45, catch_up=values.CatchUp.NEW, dry_run=False)
    assert not values.Config().is_dry(section)


def test_a_file_of_windows(tmp_path):
    """A file with a byte order mark and with the line ends of Windows is read as any other."""
    path = tmp_path / "config.toml"
    path.write_bytes(b'\xef\xbb\xbf[[maildir]]\r\npath = "/m"\r\n')
    assert load_config(path).maildirs == (values.MaildirConfig("/m"),)


def test_an_empty_file_changes_nothing(tmp_path):
    """An empty file means the defaults."""
    assert load_config(written(tmp_path, "")) == values.Config()
