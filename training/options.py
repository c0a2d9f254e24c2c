"""The options that several commands of `python -m training` share, and the objects that they choose."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spamlstm.errors import UserError

from . import progress

if TYPE_CHECKING:
    from rich.console import Console

    from .dataset import Dataset, Limits
    from .learn import Recipe

Corpora = Annotated[list[Path], typer.Option("--corpus", help="Archive, folder of mail, or folder of archives.")]
Out = Annotated[Path, typer.Option("--out", help="Path of the result; an earlier result is replaced at the end.")]
Without = Annotated[
    list[str] | None,
    typer.Option(
        "--without", help="Source to leave out: NAME, NAME@YEAR, or NAME: for all sources that begin with NAME:"
    ),
]
LeftOut = Annotated[list[str], typer.Option("--without", help="Source to leave out and classify: NAME or NAME@YEAR.")]
First = Annotated[int | None, typer.Option("--first", min=1, help="Read only the first N messages of each corpus.")]
Epochs = Annotated[int, typer.Option(min=1, help="Number of epochs of each part of the network.")]
PerEpoch = Annotated[int, typer.Option(min=100, help="Messages per epoch.")]
Bare = Annotated[
    float, typer.Option(min=0, max=1, help="Share of messages of which the linear models see only the text.")
]
Lent = Annotated[
    float, typer.Option(min=0, max=1, help="Share of the spam that the linear models see with the header of ham.")
]
WideParts = Annotated[int, typer.Option(min=1, help="Number of linear models whose mean is the wide part.")]
Vocabulary = Annotated[int, typer.Option(min=600, max=60_000, help="Size of the vocabulary.")]
Synthetic = Annotated[int, typer.Option(min=0, help="Number of synthetic messages to generate and add.")]
Share = Annotated[
    float | None, typer.Option(min=0, max=0.9, help="Share of synthetic messages in each class [default: 0.3].")
]
ModernFolder = Annotated[
    Path | None,
    typer.Option("--modern", help="Folder of templates and newsletters; modern mail made of them is added."),
]
ModernCount = Annotated[
    int | None, typer.Option(min=1, help="Number of messages made of the texts of --modern [default: 40000].")
]
ModernShare = Annotated[
    float | None, typer.Option(min=0, max=0.9, help="Share of these messages in each class [default: 0.3].")
]
Evaded = Annotated[
    float, typer.Option(min=0, max=1, help="Share of the messages of the corpora of which a disguised copy is added.")
]
EvadedShare = Annotated[
    float | None, typer.Option(min=0, max=0.9, help="Share of disguised copies in each class [default: 0.06].")
]
Weights = Annotated[
    list[str] | None, typer.Option("--weight", help="Sample the real mail of a source more often: NAME=FACTOR.")
]
WideRate = Annotated[float, typer.Option(min=0, help="Learning rate of the weights of tokens and pairs.")]
DeepRows = Annotated[
    float, typer.Option(min=0.1, help="Rows of an epoch of the deep part for each message of --per-epoch.")
]
Seed = Annotated[int, typer.Option(help="Random seed; same seed, same machine, same model.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, or auto.")]
Kept = Annotated[
    Path | None,
    typer.Option("--data", help="File that keeps the rendered mail for further runs; delete it if the mail changes."),
]
Threads = Annotated[int, typer.Option(min=0, help="Threads, or networks trained at the same time; 0: one per core.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """The options of all commands that train networks on corpora."""

    corpus: list[Path]
    epochs: int
    per_epoch: int
    vocabulary: int
    synthetic: int
    synthetic_share: float | None
    modern: Path | None
    modern_count: int | None
    modern_share: float | None
    evaded: float
    evaded_share: float | None
    seed: int
    kept: Path | None
    threads: int

    def recipe(self) -> Recipe:
        """Return the recipe with these options.

        Raises UserError if a share or a number would have no effect, because there are no such messages.
        """
        from .learn import Recipe
        from .network import NetworkConfig

        shares = ("synthetic", self.synthetic_share, self.synthetic), ("evaded", self.evaded_share, self.evaded)
        for name, share, wanted in shares:
            if share is not None and not wanted:
                raise UserError(f"--{name}-share has no effect without --{name}; add it, or leave out the share")
        if self.modern is None and (self.modern_count is not None or self.modern_share is not None):
            raise UserError("--modern-count and --modern-share need --modern FOLDER")
        recipe = Recipe(NetworkConfig(vocabulary=self.vocabulary))
        return replace(
            recipe,
            epochs=self.epochs,
            per_epoch=self.per_epoch,
            synthetic=recipe.synthetic if self.synthetic_share is None else self.synthetic_share,
            dressed=recipe.dressed if self.modern_share is None else self.modern_share,
            disguised=recipe.disguised if self.evaded_share is None else self.evaded_share,
            seed=self.seed,
        )

    def read_mail(self, console: Console, *, first: int | None = None, style: bool = True) -> tuple[Dataset, Limits]:
        """Read the corpora with a progress bar, and add the generated mail and the disguised copies.

        `first` is the number of messages that are read of each corpus, or None for all. Without `style`, the text is
        rendered without the facts of style. With the option --data, the rendered mail is read from this file if it was
        kept from the same corpora and options, and otherwise written to it.
        """
        import torch

        from . import dataset
        from .generated import Modern

        if self.threads:
            torch.set_num_threads(self.threads)
        limits = dataset.Limits(style=style)
        options: dict[str, Any] = {
            "limits": limits,
            "first": first,
            "synthetic": self.synthetic,
            "seed": self.seed,
            "modern": Modern(self.modern, self.modern_count or 40_000) if self.modern else None,
            "evaded": self.evaded,
        }
        with progress.shown(console, "reading") as tick:
            data = (
                dataset.load_kept(self.kept, self.corpus, **options, tick=tick)
                if self.kept
                else dataset.load(self.corpus, **options, tick=tick)
            )
        progress.say(console, f"{len(data):,} messages in {len(set(data.group.tolist())):,} groups")
        return data, limits


def chosen_weight(given: str) -> tuple[str, float]:
    """Return the name and the factor in NAME=FACTOR. Raises UserError if `given` has another form."""
    name, _, factor = given.rpartition("=")
    try:
        value = float(factor)
    except ValueError:
        value = -1.0
    if not name or not 0 < value < 1000:
        raise UserError(f"--weight {given}: write NAME=FACTOR with a factor above 0, for example lists=3")
    return name, value


def chosen_origin(given: str) -> dict[str, Any]:
    """Return the JSON object about the labels. Raises UserError if `given` is something else."""
    try:
        value = json.loads(given)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise UserError("--origin takes a JSON object")
    return value


def chosen_device(name: str) -> str:
    """Return the device with this name; "auto" is cuda if PyTorch can use it, else cpu.

    Raises UserError if PyTorch cannot use the device.
    """
    import torch

    available = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
    if name == "auto":
        return available[-1]
    if name not in available:
        raise UserError(f"--device {name}: PyTorch has no such device here; use {' or '.join(available)}")
    return name
