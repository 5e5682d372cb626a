"""Train a digits network for SFQ: integrate-and-fire neurons without a leak, weights of 3 bits; write it as NIR.

Every neuron does the same in every step, from v = 0:

    v = v + w @ x           # w whole numbers from -3 to 3
    spike = v > threshold   # a whole number, one a layer
    v = 0 where it spiked

An edge has no delay. The class of a sample is the output neuron with the most spikes over all steps (the lowest one
of several). Weights are rounded while training, and gradients pass through the rounding.

    python examples/sfq/train.py [--out DIR]
"""

import argparse
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

STEPS = 16  # a pixel holds 0..16, so a rate over 16 steps loses nothing
SIZES = (64, 24, 10)
LARGEST = 3  # weights are -3 to 3: 3 bits, sign included
THRESHOLDS = (24.0, 16.0)
DT = 1.0  # s, one step; only 1 / DT, the resistance that makes the gain of an input 1, is ever used
EPOCHS = 60
BATCH = 64
LEARNING_RATE = 1e-2
TEST_SAMPLES = 360
SEED = 0


class Spike(torch.autograd.Function):
    """1 where u > 0, else 0; backwards the slope of atan(pi * u) / pi."""

    @staticmethod
    def forward(ctx: Any, u: Tensor) -> Tensor:  # Any: torch gives its context no public type
        ctx.save_for_backward(u)
        return (u > 0).to(u.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # Any: as above
        (u,) = ctx.saved_tensors
        return gradient / (1 + (torch.pi * u) ** 2)


class Layer(nn.Module):
    """Weights that are whole numbers, and integrate-and-fire neurons; input and spikes are (steps, batch, neurons)."""

    def __init__(self, pre: int, post: int, threshold: float) -> None:
        super().__init__()
        self.latent = nn.Parameter(torch.randn(post, pre) * 1.2)
        self.threshold = threshold

    @property
    def weight(self) -> Tensor:
        rounded = self.latent.clamp(-LARGEST, LARGEST).round()
        return self.latent + (rounded - self.latent).detach()

    def forward(self, x: Tensor) -> Tensor:
        drive = x @ self.weight.T
        v = torch.zeros_like(drive[0])
        spikes: list[Tensor] = []
        for each in drive:
            v = v + each
            spike = Spike.apply((v - self.threshold) / self.threshold)
            v = v * (1 - spike.detach())
            spikes.append(spike)
        return torch.stack(spikes)


def encode(images: np.ndarray) -> Tensor:
    """A pixel of value k spikes k times in 16 steps, evenly; (steps, samples, 64)."""
    steps = np.arange(1, STEPS + 1)[:, None, None]
    return torch.tensor((steps * images // STEPS - (steps - 1) * images // STEPS), dtype=torch.float32)


def train(x: Tensor, y: Tensor) -> nn.Sequential:
    """The trained network."""
    model = nn.Sequential(
        *(Layer(a, b, t) for a, b, t in zip(SIZES[:-1], SIZES[1:], THRESHOLDS, strict=True))
    )
    optimizer = torch.optim.Adam(model.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for _ in range(EPOCHS):
        order = torch.randperm(len(y))
        for batch in order.split(BATCH):
            loss = nn.functional.cross_entropy(model(x[:, batch]).sum(0), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            for layer in model:
                layer.latent.data.clamp_(-LARGEST - 0.4, LARGEST + 0.4)
        schedule.step()
    return model


def graph(model: nn.Sequential) -> nir.NIRGraph:
    """The network as NIR."""
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input(input_type={"input": np.array([SIZES[0]])})}
    for k, layer in enumerate(model, 1):
        size = layer.latent.shape[0]
        nodes[f"fc{k}"] = nir.Linear(weight=layer.weight.detach().round().numpy().astype(np.float64))
        nodes[f"if{k}"] = nir.IF(
            r=np.full(size, 1 / DT), v_threshold=np.full(size, layer.threshold), v_reset=np.zeros(size)
        )
    nodes["output"] = nir.Output(output_type={"output": np.array([SIZES[-1]])})
    names = list(nodes)
    return nir.NIRGraph(nodes=nodes, edges=list(pairwise(names)), metadata={"dt": DT})


def main() -> None:
    """Train, write `digits.nir`, `test.npz`, `expected.npz` and `meta.json`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    out: Path = parser.parse_args().out
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    digits = load_digits()
    images, labels = digits.data.astype(np.int64), digits.target.astype(np.int64)
    x_train, x_test, y_train, y_test = train_test_split(
        images, labels, test_size=TEST_SAMPLES, stratify=labels, random_state=SEED
    )
    model = train(encode(x_train), torch.tensor(y_train))
    with torch.no_grad():
        counts = model(encode(x_test)).sum(0).numpy().astype(np.int64)
    accuracy = float((counts.argmax(1) == y_test).mean())
    out.mkdir(parents=True, exist_ok=True)
    nir.write(out / "digits.nir", graph(model))
    np.savez_compressed(out / "test.npz", x=encode(x_test).numpy().astype(np.uint8), y=y_test)
    np.savez_compressed(out / "expected.npz", counts=counts)
    meta = {
        "accuracy": accuracy,
        "sizes": SIZES,
        "weights": f"whole numbers, -{LARGEST} to {LARGEST}",
        "thresholds": THRESHOLDS,
        "steps": STEPS,
        "epochs": EPOCHS,
        "test_samples": TEST_SAMPLES,
        "seed": SEED,
        "torch": torch.__version__,
    }
    (out / "meta.json").write_text(json.dumps(meta, indent=2) + "\n")
    print(f"accuracy on {TEST_SAMPLES} test samples: {accuracy:.4f}")


if __name__ == "__main__":
    main()
