"""The configuration: one TOML file, which the entry point reads once and passes on as frozen values."""

from pathlib import Path

from spamlstm.config.locations import find_config_file
from spamlstm.config.values import (
    Action,
    CatchUp,
    Config,
    Costs,
    DaemonConfig,
    LabelScope,
    LearningConfig,
    MaildirConfig,
    MetricsConfig,
    PolicyConfig,
    Thresholds,
)

__all__ = [
    "Action",
    "CatchUp",
    "Config",
    "Costs",
    "DaemonConfig",
    "LabelScope",
    "LearningConfig",
    "MaildirConfig",
    "MetricsConfig",
    "PolicyConfig",
    "Thresholds",
    "load_config",
    "load_found_config",
]


def load_config(path: Path) -> Config:
    """Return the configuration in a file. ConfigError names every problem in the file, each with its key."""
    from spamlstm.config.reading import load_file  # 6 ms with tomllib, which a start without a file saves

    return load_file(path)


def load_found_config(named: Path | None) -> Config:
    """Return the configuration of the named or else the default file, or the defaults; raises as `load_config`."""
    file = find_config_file(named)
    return load_config(file) if file else Config()
