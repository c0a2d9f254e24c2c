"""spamlstm: a spam filter for people who run their own mail."""

__version__ = "0.1.0"
