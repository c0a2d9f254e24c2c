"""Writing a configuration: the first file of a user, and the effective configuration."""

import grp
import os
import re
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spamlstm.config import load_config, values
from spamlstm.config.reading import read_config
from spamlstm.config.writing import default_text, to_toml, write_default
from spamlstm.errors import UserError


def test_the_default_file_shows_the_defaults():
    """Without comments the file has one section and no other setting; its comments show the defaults."""
    plain = values.Config(maildirs=(values.MaildirConfig("~/Maildir"),))
    assert read_config(default_text().encode()) == (plain, [])
    uncommented = re.sub(r"^# (\w+ = )", r"\1", default_text(), flags=re.MULTILINE)
    uncommented_config, problems = read_config(uncommented.encode())
    assert problems == []
    assert (uncommented_config.daemon, uncommented_config.policy.costs, uncommented_config.policy.thresholds) == (
        plain.daemon,
        values.Costs(),
        values.Thresholds(0.2, 0.98),
    )
    template = uncommented_config.learning.user_maildir
    assert uncommented_config.learning == values.LearningConfig(user_maildir=template)
    assert set(uncommented_config.listeners()) == {"filter", "http", "milter", "spamd"}
    assert uncommented_config.maildirs == (values.MaildirConfig("~/Maildir", dry_run=False),)


def test_the_file_is_private_and_its_folders_are_made(tmp_path, monkeypatch):
    """Only the owner can read an allow list. The folders of the default file are created."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "new"))
    path = tmp_path / "new" / "spamlstm" / "config.toml"
    write_default(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == default_text()
    assert load_config(path).maildirs


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to a group")
def test_a_file_for_a_service(tmp_path, monkeypatch):
    """The group of the service can read the file and enter new folders; it can change neither."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "etc"))
    path = tmp_path / "etc" / "spamlstm" / "config.toml"
    write_default(path, group="nogroup")
    group = grp.getgrnam("nogroup").gr_gid
    for one, bits in ((path, 0o640), (path.parent, 0o750), (path.parent.parent, 0o750)):
        assert (one.stat().st_uid, one.stat().st_gid, stat.S_IMODE(one.stat().st_mode)) == (0, group, bits)
    assert load_config(path).maildirs
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_a_group_that_does_not_exist(tmp_path):
    """An unknown group is an error, and nothing is written."""
    with pytest.raises(UserError, match="no group 'mial'"):
        write_default(tmp_path / "etc" / "config.toml", group="mial")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_never_overwritten(tmp_path):
    """An existing file stays as it is, and no file is created through a dangling link."""
    path, link = tmp_path / "config.toml", tmp_path / "link.toml"
    path.write_text("mine")
    link.symlink_to("nowhere")
    for one in (path, link):
        with pytest.raises(UserError, match="already exists"):
            write_default(one)
    assert path.read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


ACTIONS = st.sets(st.sampled_from(values.Action)).map(lambda some: tuple(one for one in values.Action if one in some))
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/*?[]"), min_size=1, max_size=8)
MAILDIRS = st.builds(
    values.MaildirConfig,
    path=NAMES.map(lambda name: f"/x{name}"),
    junk=st.sampled_from(["auto", "Junk", 'a"b\\c', "Ünerwünscht"]),
    spam=ACTIONS,
    unsure=ACTIONS,
    ham=ACTIONS.map(lambda some: tuple(one for one in some if one is not values.Action.FILE)),
    dry_run=st.sampled_from([None, True, False]),
)
THRESHOLDS = (
    st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted).map(lambda thresholds: values.Thresholds(*thresholds))
)
POSITIVE = st.floats(1e-300, 1e300)
CONFIGS = st.builds(
    values.Config,
    policy=st.builds(
        values.PolicyConfig,
        allow=st.lists(NAMES.filter(str.isalnum).map("@{}".format), max_size=3).map(tuple),
        thresholds=st.none() | THRESHOLDS,
        costs=st.none() | st.builds(values.Costs, POSITIVE, POSITIVE, POSITIVE),
    ),
    maildirs=st.lists(MAILDIRS, max_size=3, unique_by=lambda one: one.path).map(tuple),
    daemon=st.builds(values.DaemonConfig, st.floats(30, 60), st.sampled_from(values.CatchUp), st.booleans()),
    learning=st.builds(
        values.LearningConfig,
        st.booleans(),
        st.sampled_from(values.LabelScope),
        st.floats(0, 0.1),
        st.lists(NAMES.filter(str.isalnum), max_size=2).map(tuple),
    ),
    metrics=st.builds(
        values.MetricsConfig,
        textfile=st.none() | NAMES.map(lambda name: f"/{name}.prom"),
        listen=st.none() | st.integers(1, 65535).map("[::1]:{}".format),
    ),
)


@given(CONFIGS)
def test_the_shown_configuration_can_be_read_back(config):
    """The TOML of any configuration reads back as that configuration, and holds no control characters."""
    text = to_toml(config)
    assert read_config(text.encode()) == (config, [])
    assert text.replace("\n", "").isprintable()
