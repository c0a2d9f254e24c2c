"""The network of a bundle, back in PyTorch: what fine-tuning starts from.

A slim bundle has no `weights.safetensors`; but what it judges by are the same weights in int8, and a training that goes
on from there begins at the very answers that the filter gives.
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
from spamlstm.model.wide import Wide

from .export import GATES
from .network import Network, NetworkConfig

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from spamlstm.model.bundle import Bundle


def load(bundle: Bundle) -> Network:
    """The network as it was trained, or, of a slim bundle, as it judges. DataError if this trainer did not make it."""
    try:
        network = Network(NetworkConfig(**bundle.manifest["network"]))
        kept = bundle.read(bundles.WEIGHTS) if bundle.has(bundles.WEIGHTS) else None
        state = _shipped(bundle, network.config) if kept is None else safetensors.torch.load(kept)
        network.load_state_dict(state)
    except (KeyError, TypeError, RuntimeError, ValueError) as error:
        raise DataError(
            f"the network of {bundle.path} cannot be trained on; it is of another make ({error})"
        ) from error
    return network.eval()


def _shipped(bundle: Bundle, config: NetworkConfig) -> dict[str, Tensor]:
    model = onnx.load_model_from_string(bundle.read(bundles.NETWORK))
    found = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    state = {
        "embedding.weight": _float(found, "embedding"),
        "attention.weight": found["attention"].T,
        **{f"{name}.bias": found[f"{name}_bias"] for name in ("dense", "out")},
        # The quantizer turned them round.
        **{
            f"{name}.weight": found[f"{name}_weight"].reshape(-1, found[f"{name}_bias"].size).T
            for name in ("dense", "out")
        },
    }
    for place, layer in enumerate(("ahead",) if config.one_way else ("ahead", "back")):
        parts = dict(zip(("bias_ih_l0", "bias_hh_l0"), np.split(found["biases"][place], 2), strict=True))
        for part, name in (("weight_ih_l0", "input_weights"), ("weight_hh_l0", "state_weights")):
            parts[part] = _float(found, name)[place].T
        state |= {f"{layer}.{part}": _ungated(value, config.cell) for part, value in parts.items()}
    tensors = {f"deep.{name}": torch.from_numpy(np.array(value, np.float32)) for name, value in state.items()}
    return tensors | _wide(bundle)


def _wide(bundle: Bundle) -> dict[str, Tensor]:
    if bundle.wide is None:
        return {}
    table = Wide.read(bundle.read(bundles.WIDE), bundle.wide, shown=bundles.WIDE).table
    weights = table.astype(np.float32) * np.float32(bundle.wide.scale)
    return {"wide.table.weight": torch.from_numpy(weights[:, None]), "wide.bias": torch.tensor([bundle.wide.bias])}


def _float(found: dict[str, NDArray], name: str) -> NDArray:
    """int8 back to float; scales and zeros are for the whole, or (D, outputs) for (D, inputs, outputs)."""
    scale, zero = (
        np.expand_dims(found[f"{name}_{part}"], -2) if found[f"{name}_{part}"].ndim else found[f"{name}_{part}"]
        for part in ("scale", "zero_point")
    )
    return (found[f"{name}_quantized"].astype(np.float32) - zero.astype(np.float32)) * scale


def _ungated(value: NDArray, cell: str) -> NDArray:
    blocks = np.split(value, len(GATES[cell]))
    return np.concatenate([blocks[GATES[cell].index(place)] for place in range(len(blocks))])
