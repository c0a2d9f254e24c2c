"""What a user configures: one TOML file, read once by the entry point and passed in as frozen values."""

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
    """Read a configuration file whole; a ConfigError names every problem in it, each with its line and key."""
    from spamlstm.config.reading import load_file  # with tomllib 6 ms, which a start without a file need not pay

    return load_file(path)


def load_found_config(named: Path | None) -> Config:
    """What the file named says, else the one in the usual places, else the defaults; a ConfigError as `load` has it."""
    file = find_config_file(named)
    return load_config(file) if file else Config()
