"""What a user configures: one TOML file, read once by the entry point and passed in as frozen values."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from spamlstm.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The bars between the verdicts, as probabilities of spam: p <= ham is ham, p >= spam is spam, between is unsure.

    Raises ValueError with a sentence unless 0 <= ham <= spam <= 1.
    """

    ham: float
    spam: float

    def __post_init__(self) -> None:
        """Refuse bars that would contradict each other."""
        if not 0.0 <= self.ham <= self.spam <= 1.0:
            raise ValueError(f"the thresholds must satisfy 0 <= ham <= spam <= 1, not ham={self.ham}, spam={self.spam}")


@dataclass(frozen=True, slots=True)
class Costs:
    """What each mistake costs, in any unit: ham judged spam, spam judged ham, and a message left unsure.

    Raises ValueError with a sentence unless all are finite, and the first two above zero.
    """

    false_positive: float = 10.0
    false_negative: float = 1.0
    unsure: float = 0.2

    def __post_init__(self) -> None:
        """Refuse costs that no threshold follows from."""
        wrong = self.false_positive <= 0 or self.false_negative <= 0 or self.unsure < 0
        if wrong or not all(map(math.isfinite, (self.false_positive, self.false_negative, self.unsure))):
            raise ValueError("the costs must be finite, false_positive and false_negative above 0, unsure not below 0")


@dataclass(frozen=True, slots=True)
class PolicyConfig:
    """The `[policy]` table. None means: as the model's bundle says."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    thresholds: Thresholds | None = None
    costs: Costs | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that a configuration file can say."""

    policy: PolicyConfig = field(default_factory=PolicyConfig)


def load(path: Path) -> Config:
    """Read a configuration file; a ConfigError names the key that is wrong and what it should be."""
    import tomllib  # with difflib 6 ms, which a start without a configuration need not pay

    try:
        table = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise ConfigError(f"the configuration {path} cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"the configuration {path} is not valid TOML: {error}") from error
    return _Reader(path).config(table)


_Bars = TypeVar("_Bars", Thresholds, Costs)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns the parsed table of one file into values; each complaint names the file."""

    path: Path

    def config(self, table: dict[str, Any]) -> Config:
        self._known(table, ("policy",), "")
        return Config(policy=self._policy(self._table(table, "policy", "policy")))

    def _policy(self, table: dict[str, Any]) -> PolicyConfig:
        self._known(table, ("allow", "deny", "thresholds", "costs"), "policy.")
        return PolicyConfig(
            allow=self._strings(table, "allow"),
            deny=self._strings(table, "deny"),
            thresholds=self._numbers(table, "thresholds", Thresholds, ("ham", "spam")),
            costs=self._numbers(table, "costs", Costs, ("false_positive", "false_negative", "unsure")),
        )

    def _table(self, table: dict[str, Any], key: str, name: str) -> dict[str, Any]:
        value = table.get(key, {})
        if not isinstance(value, dict):
            raise self._error(f"'{name}' must be a table")
        return value

    def _strings(self, table: dict[str, Any], key: str) -> tuple[str, ...]:
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise self._error(f"'policy.{key}' must be a list of strings")
        return tuple(value)

    def _numbers(self, table: dict[str, Any], key: str, kind: type[_Bars], names: tuple[str, ...]) -> _Bars | None:
        if key not in table:
            return None
        values = self._table(table, key, f"policy.{key}")
        self._known(values, names, f"policy.{key}.")
        for name in names:
            if isinstance(values.get(name), bool) or not isinstance(values.get(name), int | float):
                raise self._error(f"'policy.{key}.{name}' must be there and be a number")
        try:
            return kind(**{name: float(values[name]) for name in names})
        except ValueError as error:
            raise self._error(f"'policy.{key}': {error}") from error

    def _known(self, table: dict[str, Any], names: tuple[str, ...], prefix: str) -> None:
        import difflib

        for key in table:
            if key not in names:
                near = difflib.get_close_matches(key, names, 1)
                hint = f"did you mean '{near[0]}'?" if near else "known are: " + ", ".join(names)
                raise self._error(f"'{prefix}{key}' is not a setting; {hint}")

    def _error(self, sentence: str) -> ConfigError:
        return ConfigError(f"the configuration {self.path} cannot be used: {sentence}")
