"""Load the network of a bundle into PyTorch, from where fine-tuning starts.

The table of the wide part is read from `wide.npy`, as int8, and is also the evidence that the deep part reads. The deep
part is read from `weights.safetensors`. A slim bundle has no such file: its deep part is read from `model.onnx`, whose
embedding is int8. So the training starts from the scores that the filter gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import safetensors.torch
import torch
from onnx import numpy_helper

from spamlstm.errors import DataError
from spamlstm.model import bundle as bundles
from spamlstm.model.network import Wide

from .export import GATES
from .network import Network, NetworkConfig

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from spamlstm.model.bundle import Bundle


TABLES = ("wide.table.weight", "deep.evidence")
"""The names of what is read from `wide.npy`. Older bundles have these in `weights.safetensors` and `model.onnx`."""


def load(bundle: Bundle) -> Network:
    """Return the network of a bundle. DataError if its layout is unknown."""
    try:
        # Older networks add the whole correction, add up facts together with the text, and have no projection.
        older = {"margin": 0.0, "gain": 1.0, "facts": 0, "projection": 0}
        network = Network(NetworkConfig(**(older | bundle.manifest["network"])))
        exact = bundle.read(bundles.WEIGHTS) if bundle.has(bundles.WEIGHTS) else None
        state = _dequantize(bundle, network.config) if exact is None else safetensors.torch.load(exact)
        network.load_state_dict(_tables(bundle) | state)
    except (KeyError, TypeError, RuntimeError, ValueError, ZeroDivisionError) as error:
        raise DataError(
            f"the network of {bundle.path} cannot be trained further: this version has another layout ({error})"
        ) from error
    return network.eval()


def _dequantize(bundle: Bundle, config: NetworkConfig) -> dict[str, Tensor]:
    model = onnx.load_model_from_string(bundle.read(bundles.NETWORK))
    found = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    state = {
        "embedding.weight": _float(found, "embedding"),
        "attention.weight": found["attention"].T,
        **({"evidence": _float(found, "evidence")} if "evidence_quantized" in found else {}),
        **({"projection.weight": found["projection"].T} if config.projection else {}),
        **{f"{name}.bias": found[f"{name}_bias"] for name in ("dense", "out")},
        # The quantizer transposes these.
        **{
            f"{name}.weight": found[f"{name}_weight"].reshape(-1, found[f"{name}_bias"].size).T
            for name in ("dense", "out")
        },
    }
    for direction, layer in enumerate(("ahead",) if config.one_way else ("ahead", "back")):
        parts = dict(zip(("bias_ih_l0", "bias_hh_l0"), np.split(found["biases"][direction], 2), strict=True))
        for part, name in (("weight_ih_l0", "input_weights"), ("weight_hh_l0", "state_weights")):
            parts[part] = found[name][direction]
        state |= {f"{layer}.{part}": _torch_gates(value, config.cell) for part, value in parts.items()}
    return {f"deep.{name}": torch.from_numpy(np.array(value, np.float32)) for name, value in state.items()}


def _tables(bundle: Bundle) -> dict[str, Tensor]:
    if bundle.wide is None:
        return {}
    table = Wide.read(bundle.read(bundles.WIDE), bundle.wide, shown=bundles.WIDE).table
    weights = torch.from_numpy(table.astype(np.float32) * np.float32(bundle.wide.scale))
    found = {"wide.table.weight": weights[:, None], "wide.bias": torch.tensor([bundle.wide.bias])}
    return found | ({"deep.evidence": weights * bundle.wide.evidence} if bundle.wide.evidence else {})


def _float(found: dict[str, NDArray], name: str) -> NDArray:
    """Convert an int8 table to float. It has one scale."""
    scale, zero = found[f"{name}_scale"], found[f"{name}_zero_point"]
    return (found[f"{name}_quantized"].astype(np.float32) - zero.astype(np.float32)) * scale


def _torch_gates(value: NDArray, cell: str) -> NDArray:
    """Bring the gates from ONNX's order into PyTorch's."""
    blocks = np.split(value, len(GATES[cell]))
    return np.concatenate([blocks[GATES[cell].index(gate)] for gate in range(len(blocks))])
