"""What a user configures: one TOML file, read once by the entry point and passed in as frozen values."""

from pathlib import Path

from spamlstm.config.places import find
from spamlstm.config.values import (
    Action,
    CatchUp,
    Config,
    Costs,
    DaemonConfig,
    Layer,
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
    "Layer",
    "LearningConfig",
    "MaildirConfig",
    "MetricsConfig",
    "PolicyConfig",
    "Thresholds",
    "load",
    "load_found",
]


def load(path: Path) -> Config:
    """Read a configuration file whole; a ConfigError names every problem in it, each with its line and key."""
    from spamlstm.config.reading import load_file  # with tomllib 6 ms, which a start without a file need not pay

    return load_file(path)


def load_found(named: Path | None) -> Config:
    """What the file named says, else the one in the usual places, else the defaults; a ConfigError as `load` has it."""
    file = find(named)
    return load(file) if file else Config()
