"""`python -m training`: train a model from labelled mail, and show what the choice of network is worth."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from spamlstm.errors import UserError
from spamlstm.model.bundle import MANIFEST

from . import progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .dataset import Dataset, Limits
    from .learn import Recipe

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
console = Console(stderr=True)

EX_USAGE = 64
EX_IOERR = 74
BY_SIGNAL = 128
# Typer gives no name to the parent of its usage errors, and which module it is in changes with its version.
ClickError: type[typer.BadParameter] = typer.BadParameter.__mro__[2]

Corpora = Annotated[list[Path], typer.Option("--corpus", help="Archive, folder of mail, or folder of archives.")]
Out = Annotated[Path, typer.Option("--out", help="Where the result is put, whole or not at all.")]
Without = Annotated[list[str] | None, typer.Option("--without", help="A source to leave out (NAME or NAME@YEAR).")]
First = Annotated[int | None, typer.Option("--first", min=1, help="Only so many messages of each corpus.")]
Epochs = Annotated[int, typer.Option(min=1, help="At most so many epochs.")]
Patience = Annotated[int, typer.Option(min=0, help="Stop after so many epochs that got no better; 0: never.")]
PerEpoch = Annotated[int, typer.Option(min=100, help="Messages drawn in an epoch.")]
Words = Annotated[int, typer.Option(min=600, max=60_000, help="Size of the vocabulary.")]
Synthetic = Annotated[int, typer.Option(min=0, help="How many messages of our own writing to add.")]
Share = Annotated[float, typer.Option(min=0, max=0.9, help="Their share of each class in training.")]
Hide = Annotated[list[str] | None, typer.Option(help="NAME=CHANCE: how often a part of a message is hidden.")]
WideRate = Annotated[float, typer.Option(min=0, help="Rate at which weights of tokens and pairs learn.")]
Seed = Annotated[int, typer.Option(help="Two runs of one seed on one machine give one model.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, or auto.")]
Threads = Annotated[int, typer.Option(min=0, help="Threads of PyTorch; 0: one for each core.")]


@app.command()
def fit(
    *,
    corpus: Corpora,
    out: Out,
    without: Without = None,
    first: First = None,
    epochs: Epochs = 6,
    per_epoch: PerEpoch = 50_000,
    vocabulary: Words = 16_000,
    synthetic: Synthetic = 30_000,
    synthetic_share: Share = 0.3,
    hide: Hide = None,
    wide_rate: WideRate = 0.3,
    patience: Patience = 3,
    seed: Seed = 1,
    threads: Threads = 0,
    name: Annotated[str, typer.Option(help="The model's name.")] = "default",
    version: Annotated[str, typer.Option(help="The model's version.")] = "1",
    device: Device = "auto",
    folds: Annotated[bool, typer.Option(help="Leave archives out first, to calibrate on them.")] = True,
    fold: Annotated[list[str] | None, typer.Option(help="Sources to leave out, A,B,C; instead of the usual.")] = None,
    slim: Annotated[bool, typer.Option(help="Only what judging needs: no weights for fine-tuning.")] = False,
    network: Annotated[Path | None, typer.Option(help="Take this bundle's network; only calibrate it anew.")] = None,
) -> None:
    """Train a bundle from CORPUS and put it at OUT. Broken off, the same command goes on where it was."""
    from . import fit as fitting
    from . import workplace
    from .batches import hiding

    workplace.refuse(out, holds=MANIFEST)
    recipe = _recipe(epochs=epochs, per_epoch=per_epoch, vocabulary=vocabulary, share=synthetic_share, seed=seed)
    recipe = replace(recipe, hiding=hiding(hide or ()), wide_rate=wide_rate, patience=patience)
    data, limits = _load(corpus, first=first, synthetic=synthetic, seed=seed, threads=threads)
    with progress.shown(console, "training", each=per_epoch) as tick:
        job = fitting.Job(
            recipe=recipe,
            limits=limits,
            out=out,
            name=name,
            version=version,
            device=_device(device),
            corpora=tuple(str(path) for path in corpus),
            folds=(tuple(tuple(names.split(",")) for names in fold) if fold else fitting.FOLDS) if folds else (),
            network=network,
            without=tuple(without or ()),
            slim=slim,
            say=_say,
            tick=tick,
        )
        made = fitting.fit(data, job)
    gap = made.parity["logit_gap"]["int8"]["mean"]
    _say(f"{out} is ready; int8 differs from PyTorch by {gap:.3f} in the mean logit")


@app.command(name="leave-out")
def leave_out(
    *,
    corpus: Corpora,
    out: Out,
    without: Annotated[list[str], typer.Option("--without", help="The sources that are judged.")],
    epochs: Epochs = 3,
    per_epoch: PerEpoch = 50_000,
    vocabulary: Words = 16_000,
    synthetic: Synthetic = 30_000,
    synthetic_share: Share = 0.3,
    hide: Hide = None,
    style: Annotated[bool, typer.Option(help="Let the network see the facts of fashion and the trace.")] = True,
    seed: Seed = 1,
    threads: Threads = 0,
    device: Device = "auto",
) -> None:
    """Train one network without some sources and write how it judges them: the experiment behind a decision."""
    from . import experiment
    from . import fit as fitting
    from .batches import hiding

    recipe = _recipe(epochs=epochs, per_epoch=per_epoch, vocabulary=vocabulary, share=synthetic_share, seed=seed)
    recipe = replace(recipe, hiding=hiding(hide or ()))
    data, limits = _load(corpus, first=None, synthetic=synthetic, seed=seed, threads=threads, style=style)
    with progress.shown(console, "training", each=per_epoch) as tick:
        job = fitting.Job(
            recipe=recipe,
            limits=limits,
            out=out,
            name="experiment",
            version="0",
            device=_device(device),
            corpora=tuple(str(path) for path in corpus),
            say=_say,
            tick=tick,
        )
        table = experiment.leave_out(data, job, without)
    print(table, end="")


@app.command(name="compare-cells")
def compare_cells(
    *,
    corpus: Corpora,
    out: Out,
    without: Annotated[list[str], typer.Option("--without", help="The sources that are judged.")],
    first: First = None,
    epochs: Epochs = 3,
    per_epoch: PerEpoch = 50_000,
    vocabulary: Words = 16_000,
    seed: Seed = 1,
    threads: Threads = 0,
    device: Device = "auto",
) -> None:
    """Train a perceptron, an RNN, a GRU, a one-way and the two-way LSTM on the same mail; write table and plot."""
    from . import compare, workplace

    workplace.refuse(out, holds=compare.DATA)
    recipe = _recipe(epochs=epochs, per_epoch=per_epoch, vocabulary=vocabulary, share=0, seed=seed)
    data, limits = _load(corpus, first=first, synthetic=0, seed=seed, threads=threads)
    with progress.shown(console, "training", each=per_epoch) as tick:
        compare.compare(data, recipe, limits, without=without, out=out, device=_device(device), say=_say, tick=tick)
    _say(f"the comparison is in {out}")


@app.command()
def finetune(
    *,
    parent: Annotated[Path, typer.Option("--from", help="The bundle whose network is taught.")],
    mail: Annotated[Path, typer.Option(help="A corpus folder, with targets.json; see training/finetune.py.")],
    out: Out,
    version: Annotated[str, typer.Option(help="The model's version.")],
    origin: Annotated[str, typer.Option(help="JSON that the manifest is to say of the labels.")] = "{}",
    rate: Annotated[float, typer.Option(min=0, help="Rate of the deep part.")] = 5e-4,
    wide_rate: WideRate = 0.3,
    seed: Seed = 1,
    threads: Threads = 0,
) -> None:
    """Teach a bundle's network the labels of one user, from where it stands; `spamlstm retrain` starts this."""
    import torch

    from . import finetune as tuning

    if threads:
        torch.set_num_threads(threads)
    # oneDNN makes machine code at run time, which systemd/spamlstm-retrain.service forbids; without it this is as fast.
    torch.backends.mkldnn.enabled = False  # type: ignore[assignment]
    with progress.shown(console, "retraining") as tick:
        task = tuning.Task(
            parent=parent,
            mail=mail,
            out=out,
            version=version,
            origin=json.loads(origin),
            rate=rate,
            wide_rate=wide_rate,
            seed=seed,
            say=_say,
            tick=tick,
        )
        tuning.finetune(task)


def _recipe(*, epochs: int, per_epoch: int, vocabulary: int, share: float, seed: int) -> Recipe:
    from .learn import Recipe
    from .network import NetworkConfig

    shape = NetworkConfig(vocabulary=vocabulary)
    return replace(Recipe(shape), epochs=epochs, per_epoch=per_epoch, synthetic=share, seed=seed)


def _load(
    paths: list[Path], *, first: int | None, synthetic: int, seed: int, threads: int, style: bool = True
) -> tuple[Dataset, Limits]:
    import torch

    from . import dataset

    if threads:
        torch.set_num_threads(threads)
    limits = dataset.Limits(style=style)
    with progress.shown(console, "reading") as tick:
        data = dataset.load(paths, limits=limits, first=first, synthetic=synthetic, seed=seed, tick=tick)
    _say(f"{len(data):,} messages in {len(set(data.group.tolist())):,} groups")
    return data, limits


def _say(line: str) -> None:
    progress.say(console, line)


def _device(options: str) -> str:
    import torch

    there = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
    if options == "auto":
        return there[-1]
    if options not in there:
        raise UserError(f"--device {options}: PyTorch finds no such device here; there is {' and '.join(there)}")
    return options


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and give its exit status: errors become a sentence, and Ctrl-C leaves a checkpoint."""
    try:
        app(args=list(arguments), prog_name=f"python -m {__package__}", standalone_mode=False)
    except UserError as error:
        return _fail(str(error), error.exit_status)
    except ClickError as error:
        error.show()
        return EX_USAGE
    except (KeyboardInterrupt, typer.Abort):
        return _fail("broken off; the same command goes on from the last epoch", BY_SIGNAL + 2)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", EX_IOERR)
    return 0


def _fail(sentence: str, status: int) -> int:
    print(f"training: {sentence}", file=sys.stderr)
    return status


if __name__ == "__main__":
    main()
