"""The configuration: one TOML file that the entry point reads once and passes on as frozen values."""

from pathlib import Path

from spamlstm.config.locations import find_config_file
from spamlstm.config.values import (
    Action,
    AnyListener,
    AuthMethod,
    CatchUp,
    Config,
    Costs,
    DaemonConfig,
    FilterConfig,
    HttpConfig,
    ImapConfig,
    LabelScope,
    LearningConfig,
    ListenerConfig,
    MaildirConfig,
    MetricsConfig,
    MilterConfig,
    PolicyConfig,
    SpamdConfig,
    Thresholds,
    TlsMode,
)

__all__ = [
    "Action",
    "AnyListener",
    "AuthMethod",
    "CatchUp",
    "Config",
    "Costs",
    "DaemonConfig",
    "FilterConfig",
    "HttpConfig",
    "ImapConfig",
    "LabelScope",
    "LearningConfig",
    "ListenerConfig",
    "MaildirConfig",
    "MetricsConfig",
    "MilterConfig",
    "PolicyConfig",
    "SpamdConfig",
    "Thresholds",
    "TlsMode",
    "load_config",
    "load_found_config",
]


def load_config(path: Path) -> Config:
    """Return the configuration in a file.

    Raises ConfigError if the file cannot be read or used. The error lists every problem of the file with its key.
    """
    from spamlstm.config.reading import load_file  # this import takes 6 ms and is not needed without a file

    return load_file(path)


def load_found_config(named: Path | None) -> Config:
    """Return the configuration in the file `named` or in the default file, or the defaults if there is no file.

    Raises ConfigError like `load_config`.
    """
    file = find_config_file(named)
    return load_config(file) if file else Config()
