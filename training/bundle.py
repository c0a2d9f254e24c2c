"""Write a bundle: the network with int8 tables, checked against PyTorch on real mail, its manifest and its card."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import safetensors.torch
import torch

from spamlstm.errors import DataError
from spamlstm.evaluation.metrics import calibration_error, one_minus_roca_pct, sm_at_hm
from spamlstm.features.render import TEXT_VERSION
from spamlstm.model import bundle as bundles
from spamlstm.model.network import Wide, row_logits

from . import calibrate, card, export, judging, learn, weights
from .batches import Example, collate, rows
from .generated import collapsed
from .sampling import evenly

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from spamlstm.config import Thresholds
    from spamlstm.model.encoder import Vocabulary
    from spamlstm.model.manifest import WideSpec
    from spamlstm.model.policy import Calibration

    from .dataset import Dataset
    from .fit import Job
    from .network import Network
    from .sampling import Split

PARITY_MESSAGES = 1_000
# float32 sums in another order differ in the sixth digit, int8 tables in the second. A difference of 0.1 in the logit
# changes a probability by at most 2.5 points; the verdicts are compared too.
MOST_FLOAT_GAP = 1e-3
MOST_MEAN_GAP = 0.1
MOST_FLIPS = 5  # changed verdicts among PARITY_MESSAGES, or among fewer if there are fewer
SELF_TEST_ROWS = 2
# float32 sums on another processor differ by less than 1e-5.
SELF_TEST_TOLERANCE = 0.001


@dataclass(frozen=True, slots=True)
class WrittenBundle:
    """The path of a new bundle, and figures from its manifest."""

    path: Path
    parity: dict[str, Any]
    metrics: dict[str, Any]


def write(
    data: Dataset,
    network: Network,
    vocabulary: Vocabulary,
    part: Split,
    left: calibrate.LeftOut,
    *,
    job: Job,
    how: str,
    into: Path,
) -> WrittenBundle:
    """Write a complete bundle into the empty folder `into`. DataError if ONNX and PyTorch disagree.

    `how` says in words which network classified the messages of `left`. The figures count all of these, the
    calibration only those of `calibrate.distinct`.
    """
    vocabulary.save(into / bundles.TOKENIZER)
    counted = calibrate.distinct(left)
    calibration = calibrate.calibrate(counted)
    thresholds = calibrate.thresholds(counted, calibration, job.costs)
    sample = _sample(data, vocabulary, part, job)
    exported = write_network(network, sample, calibration=calibration, thresholds=thresholds, slim=job.slim, into=into)
    metrics = {"left_out": _left_out(left, calibration, thresholds), "left_out_note": how}
    manifest = {
        "name": job.name,
        "version": job.version,
        "text_version": TEXT_VERSION,
        "input": {
            "pad_id": 0,
            "header_tokens": job.limits.header,
            "window_tokens": job.limits.window,
            "window_bytes": job.limits.window_bytes,
            "max_windows": job.limits.windows,
            "style": job.limits.style,
            "piece_tokens": job.limits.piece,
            "vocab_size": len(vocabulary),
        },
        "calibration": asdict(calibration),
        "thresholds": {"ham": thresholds.ham, "spam": thresholds.spam, "costs": asdict(job.costs)},
        "network": network.config.as_dict(),
        "recipe": learn.describe(job.recipe),
        "metrics": metrics,
        "corpora": _corpora(data, part),
        "without": list(job.without),
        **exported,
        **provenance(job.device),
    }
    seal(into, manifest)
    return WrittenBundle(into, manifest["parity"], metrics)


def write_network(
    network: Network, sample: list[Example], *, calibration: Calibration, thresholds: Thresholds, slim: bool, into: Path
) -> dict[str, Any]:
    """Write the files of a network into `into` and return their part of the manifest.

    DataError if ONNX and PyTorch disagree on `sample`.
    """
    plain = into.parent / "float.onnx"
    onnx.save(export.graph(network.deep), plain)
    export.quantize(plain, into / bundles.NETWORK)
    spec = _write_wide(network, into / bundles.WIDE)
    exact = _Exported(plain, export.exact(network))
    table = Wide.read((into / bundles.WIDE).read_bytes(), spec, shown=bundles.WIDE) if spec else None
    shipped = _Exported(into / bundles.NETWORK, table)
    parity = _parity(network, sample, exact, shipped, calibration=calibration, thresholds=thresholds)
    plain.unlink()
    if not slim:
        # The table of the wide part would be most of the file. Training starts from its int8 weights in WIDE.
        state = {
            name: tensor.contiguous() for name, tensor in network.state_dict().items() if name not in weights.TABLES
        }
        safetensors.torch.save_file(state, into / bundles.WEIGHTS)
    return {**({"wide": asdict(spec)} if spec else {}), "parity": parity, "self_test": _self_test(sample, shipped)}


def provenance(device: str) -> dict[str, Any]:
    """Return the manifest's record of when and with which versions a bundle is made."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "trained_with": {"torch": torch.__version__, "python": platform.python_version(), "device": device},
    }


def seal(into: Path, manifest: dict[str, Any]) -> None:
    """Complete a bundle: write its card, and the manifest with the hashes of all files."""
    (into / bundles.CARD).write_text(card.text(manifest), "utf-8")
    bundles.seal(into, manifest)


def _sample(data: Dataset, vocabulary: Vocabulary, part: Split, job: Job) -> list[Example]:
    """Return messages of the validation and the training part, at equal distances."""
    chosen = evenly(np.concatenate((part.validation, part.train)), PARITY_MESSAGES)
    return [data.encode_one(index, vocabulary, job.limits) for index in chosen]


@dataclass(frozen=True, slots=True)
class _Exported:
    """A network that runs without PyTorch."""

    deep: Path
    wide: Wide | None

    def logits(self, sample: list[Example]) -> NDArray[np.float64]:
        """Return (N,) the logit of the first window of each message."""
        session = export.session(self.deep)
        found = np.zeros(len(sample))
        for start in range(0, len(sample), 32):
            some = sample[start : start + 32]
            batch = collate([rows(example, 1) for example in some], [False] * len(some))
            logits = row_logits(session, batch.ids, batch.lengths, self.wide)
            found[start : start + 32] = logits
        return found


def _write_wide(network: Network, path: Path) -> WideSpec | None:
    made = export.table(network)
    if made is None:
        return None
    np.save(path, made[0])
    return made[1]


def _parity(
    network: Network,
    sample: list[Example],
    exact: _Exported,
    shipped: _Exported,
    *,
    calibration: Calibration,
    thresholds: Thresholds,
) -> dict[str, Any]:
    """Return the differences between the logits of the exported networks and of PyTorch's network.

    Raises DataError if a difference exceeds the bounds above.
    """
    torch_logits = judging.logits(network, sample, windows=1)
    gaps, flips = {}, 0
    for name, exported in (("float32", exact), ("int8", shipped)):
        found = exported.logits(sample)
        gap = np.abs(found - torch_logits)
        gaps[name] = {"mean": float(gap.mean()), "max": float(gap.max())}
        flips = int(
            np.count_nonzero(
                _verdicts(found, calibration, thresholds) != _verdicts(torch_logits, calibration, thresholds)
            )
        )
    if gaps["float32"]["max"] > MOST_FLOAT_GAP:
        raise DataError(f"ONNX and PyTorch differ by {gaps['float32']['max']:.2g} in a logit; no bundle was written")
    if gaps["int8"]["mean"] > MOST_MEAN_GAP or flips > MOST_FLIPS:
        raise DataError(
            f"int8 and PyTorch differ by {gaps['int8']['mean']:.2g} in the mean logit and in {flips} of "
            f"{len(sample):,} verdicts; no bundle was written"
        )
    return {"messages": len(sample), "logit_gap": gaps, "other_verdict_pct": 100 * flips / len(sample)}


def _verdicts(logits: NDArray[np.float64], calibration: Calibration, thresholds: Thresholds) -> NDArray[np.int64]:
    """Return 0 for ham, 1 for unsure, and 2 for spam."""
    return np.digitize(calibrate.probabilities(logits, calibration), [thresholds.ham, thresholds.spam])


def _self_test(sample: list[Example], shipped: _Exported) -> dict[str, Any]:
    chosen = [sample[0], sample[-1]][:SELF_TEST_ROWS]
    ids = [rows(example, 1)[0][:64].tolist() for example in chosen]
    short = [Example(np.array(row, np.uint16), (np.array([], np.uint16),), spam=False) for row in ids]
    return {"ids": ids, "logits": shipped.logits(short).tolist(), "tolerance": SELF_TEST_TOLERANCE}


def _left_out(left: calibrate.LeftOut, calibration: Calibration, thresholds: Thresholds) -> dict[str, Any]:
    """Return the figures of each source."""
    verdicts = _verdicts(left.logits, calibration, thresholds)
    probability = calibrate.probabilities(left.logits, calibration)
    found = {}
    for name in np.unique(left.source).tolist():
        members = left.source == name
        spam = left.spam[members]
        found[name] = {
            **_figures(spam, left.logits[members]),
            **_shares(spam, verdicts[members]),
            "calibration_error": None
            if (error := calibration_error(spam, probability[members])) is None
            else error.value,
        }
    return found


def _shares(spam: NDArray[np.bool_], verdicts: NDArray[np.int64]) -> dict[str, float | None]:
    """Return the percentages of the ham and of the spam that have the wrong verdict, or are unsure."""
    kinds = {"ham_as_spam_pct": (~spam, 2), "ham_unsure_pct": (~spam, 1), "spam_as_ham_pct": (spam, 0)}
    kinds["spam_unsure_pct"] = spam, 1
    return {
        name: 100 * float(np.mean(verdicts[members] == verdict)) if members.any() else None
        for name, (members, verdict) in kinds.items()
    }


def _figures(spam: NDArray[np.bool_], logits: NDArray[np.float64]) -> dict[str, Any]:
    figure = one_minus_roca_pct(spam, logits)
    return {
        "n_ham": int(np.count_nonzero(~spam)),
        "n_spam": int(np.count_nonzero(spam)),
        "one_minus_roca_pct": None if figure is None else figure.value,
        "sm_at_hm_1_pct": sm_at_hm(spam, logits, 1.0),
    }


def _corpora(data: Dataset, part: Split) -> list[dict[str, Any]]:
    used = np.concatenate((part.train, part.validation))
    source, spam = collapsed(data.source[used]), data.spam[used]
    return [
        {
            "name": str(name),
            "ham": int(np.count_nonzero((source == name) & ~spam)),
            "spam": int(np.count_nonzero((source == name) & spam)),
        }
        for name in np.unique(source)
    ]
