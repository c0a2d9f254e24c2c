"""Innocent text for padding and cover: the minutes of a garden society, written for this suite."""

from functools import cache
from pathlib import Path


@cache
def minutes(words: int) -> str:
    """Return the first words of the text."""
    return " ".join(Path(__file__).with_name("innocent.txt").read_text("utf-8").split()[:words])
