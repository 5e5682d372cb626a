"""Train the two digits networks of this folder; write them as NIR, with test data and the spikes they gave.

Every neuron does the same in every step, from v = 0:

    v = v * (1 - DT / TAU) + x      # Euler; the resistance TAU / DT makes the gain of the input 1
    spike = v > THRESHOLD
    v = 0 where it spiked           # in the same step

An edge has no delay: a spike reaches the last layer in the step in which it was made. The class of a sample
is the output neuron with the most spikes over all steps (the lowest one of several).

    python examples/digits/train.py [--out DIR]
"""

import argparse
import json
from collections import OrderedDict
from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

DT = 1e-4  # s, one step
TAU = 8 * DT  # s, so that v keeps 7/8 of itself from step to step
THRESHOLD = 1.0
STEPS = 16  # a pixel holds 0..16, so a rate over 16 steps loses nothing
CLASSES = 10
TEST_SAMPLES = 360
SEED = 0
BATCH = 64
LEARNING_RATE = 5e-3
# 7/16 lies on the 4 bit grid of step 1/16 and on the 8 bit grid of step 1/256: on neither is it an outlier.
WEIGHT_LIMIT = 7 / 16
RECORDED_SAMPLES = 16  # whose spikes are written in full
EQUATION = (
    "v = v * (1 - dt / tau) + (r * dt / tau) * x; spike = v > v_threshold; v = 0 where spiked, same step"
)


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


class LIF(nn.Module):
    """Leaky integrate-and-fire neurons; input and spikes are (steps, batch, *shape)."""

    def forward(self, x: Tensor) -> Tensor:
        v = torch.zeros_like(x[0])
        spikes: list[Tensor] = []
        for x_t in x:
            v = v * (1 - DT / TAU) + x_t
            spike = Spike.apply(v - THRESHOLD)
            v = v * (1 - spike.detach())
            spikes.append(spike)
        return torch.stack(spikes)


def dense() -> nn.Sequential:
    """64 - 128 - 10, fully connected."""
    layers = [
        ("fc1", nn.Linear(64, 128)),
        ("lif1", LIF()),
        ("fc2", nn.Linear(128, CLASSES)),
        ("lif2", LIF()),
    ]
    return nn.Sequential(OrderedDict(layers))


def convolutional() -> nn.Sequential:
    """1x8x8 - 8x7x7 - sum over 2x2 - 8x3x3 (the seventh row and column are left out) - 16x3x3 - 10."""
    layers = [
        ("conv1", nn.Conv2d(1, 8, kernel_size=4, padding=1)),
        ("lif1", LIF()),
        ("pool", nn.AvgPool2d(2, divisor_override=1)),  # divided by 1: a sum
        ("conv2", nn.Conv2d(8, 16, kernel_size=3, padding=1)),
        ("lif2", LIF()),
        ("flatten", nn.Flatten()),
        ("fc", nn.Linear(16 * 3 * 3, CLASSES)),
        ("lif3", LIF()),
    ]
    return nn.Sequential(OrderedDict(layers))


def run(model: nn.Sequential, x: Tensor) -> dict[str, Tensor]:
    """The spikes (steps, batch, *shape) of every LIF layer, by its name."""
    spikes: dict[str, Tensor] = {}
    for name, layer in model.named_children():
        if isinstance(layer, LIF):
            x = spikes[name] = layer(x)
        else:
            x = layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])
    return spikes


def output_counts(spikes: dict[str, Tensor]) -> Tensor:
    """Spikes of the last layer over all steps: (batch, classes)."""
    return list(spikes.values())[-1].sum(0)


def encode(images: Tensor) -> Tensor:
    """A pixel of k (0..16) spikes k times, evenly over STEPS: (batch, *shape) to (steps, batch, *shape)."""
    pixels = images.round().long()[None]
    step = torch.arange(STEPS).view(-1, *[1] * images.dim())
    before = (2 * step * pixels + STEPS) // (2 * STEPS)  # spikes before this step: step * k / 16, rounded
    after = (2 * (step + 1) * pixels + STEPS) // (2 * STEPS)
    return (after - before).float()


def distort(images: Tensor, amount: float = 0.1) -> Tensor:
    """A random small rotation, shear, scale and shift of each image (batch, 1, 8, 8), against overfitting."""

    def uniform() -> Tensor:
        return (2 * torch.rand(len(images)) - 1) * amount

    angle = uniform()
    rows = [
        torch.stack([(1 + uniform()) * angle.cos(), uniform() / 2 - angle.sin(), uniform()], dim=-1),
        torch.stack([angle.sin(), (1 + uniform()) * angle.cos(), uniform()], dim=-1),
    ]
    grid = nn.functional.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    return nn.functional.grid_sample(images, grid, align_corners=False).clamp(0, 16)


def train(model: nn.Sequential, images: Tensor, labels: Tensor, *, epochs: int) -> None:
    """Cross-entropy on the output's spike counts. `images` is (batch, 1, 8, 8), as the pixels are: 0..16."""
    shape = (64,) if isinstance(model[0], nn.Linear) else (1, 8, 8)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    steps = epochs * -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=max(steps, 2))
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(BATCH):
            x = encode(distort(images[batch])).view(STEPS, -1, *shape)
            loss = nn.functional.cross_entropy(output_counts(run(model, x)) / 2, labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.clamp_(-WEIGHT_LIMIT, WEIGHT_LIMIT)


def to_nir(model: nn.Sequential, input_shape: tuple[int, ...]) -> nir.NIRGraph:
    """The same network as a NIR graph: weights in float32, one node per layer, under the layer's name."""
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input(np.array(input_shape))}
    x = torch.zeros(1, *input_shape)
    for name, layer in model.named_children():
        shape = tuple(x.shape[1:])
        x = layer(x[None])[0] if isinstance(layer, LIF) else layer(x)
        nodes[name] = nir_node(layer, shape)
    nodes["output"] = nir.Output(np.array(x.shape[1:]))
    return nir.NIRGraph(nodes, list(pairwise(nodes)), metadata={"dt": DT, "preset": "snntorch"})


def nir_node(layer: nn.Module, shape: tuple[int, ...]) -> nir.NIRNode:
    """One layer whose input has `shape` (without steps and batch) as a NIR node."""
    match layer:
        case LIF():
            one = np.ones(shape)
            return nir.LIF(
                tau=TAU * one, r=TAU / DT * one, v_leak=0 * one, v_threshold=THRESHOLD * one, v_reset=0 * one
            )
        case nn.Linear():
            return nir.Affine(weight=layer.weight.detach().numpy(), bias=layer.bias.detach().numpy())
        case nn.Conv2d(padding=(int(above), int(left))):
            return nir.Conv2d(
                input_shape=(shape[1], shape[2]),
                weight=layer.weight.detach().numpy(),
                stride=1,
                padding=(above, left),
                dilation=1,
                groups=1,
                bias=layer.bias.detach().numpy() if layer.bias is not None else np.zeros(layer.out_channels),
            )
        case nn.AvgPool2d(divisor_override=1):
            return nir.SumPool2d(
                kernel_size=np.array([2, 2]), stride=np.array([2, 2]), padding=np.array([0, 0])
            )
        case nn.Flatten():
            return nir.Flatten(np.array(shape), start_dim=0)
        case _:
            raise TypeError(f"no NIR node for {layer}")


def simulate(graph: nir.NIRGraph, x: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The output's spikes by what the NIR graph says: NumPy in float64, nothing shared with PyTorch."""
    following = dict(graph.edges)
    signal = x.astype(np.float64)
    name = following["input"]
    while name != "output":
        node = graph.nodes[name]
        leading, shape = signal.shape[:2], signal.shape[2:]
        match node:
            case nir.LIF():
                v = np.zeros(signal.shape[1:])
                for step in range(len(signal)):
                    v = v + (DT / node.tau) * (node.v_leak - v + node.r * signal[step])
                    signal[step] = v > node.v_threshold
                    v = np.where(signal[step] > 0, node.v_reset, v)
            case nir.Affine():
                signal = signal @ node.weight.astype(np.float64).T + node.bias
            case nir.Conv2d():
                (above, left), kernel = node.padding, node.weight.shape[2:]
                padded = np.pad(signal, ((0, 0), (0, 0), (0, 0), (above, above), (left, left)))
                windows = sliding_window_view(padded, kernel, axis=(3, 4))
                weight = node.weight.astype(np.float64)
                signal = np.einsum("tnihwab,oiab->tnohw", windows, weight, optimize=True)
                signal = signal + node.bias[:, None, None]
            case nir.SumPool2d():
                height, width = (int(size) // 2 for size in shape[1:])
                signal = signal[..., : 2 * height, : 2 * width]
                signal = signal.reshape(*leading, shape[0], height, 2, width, 2).sum((4, 6))
            case nir.Flatten():
                signal = signal.reshape(*leading, -1)
            case _:
                raise TypeError(f"node {name}: {type(node).__name__}")
        name = following[name]
    return signal.astype(np.uint8)


def on_grid(weight: NDArray[np.float32], bits: int) -> NDArray[np.float32]:
    """Weights on the finest power-of-two grid on which a signed integer of `bits` holds the largest one."""
    grid = 2.0 ** np.ceil(np.log2(np.abs(weight).max() / (2 ** (bits - 1) - 1)))
    return (np.round(weight / grid) * grid).astype(np.float32)


def accuracy(counts: NDArray[np.integer], labels: NDArray[np.integer]) -> float:
    """Share of the samples whose label has the most spikes in `counts` (samples, classes)."""
    return float(np.mean(counts.argmax(1) == labels))


def load(train_samples: int | None, test_samples: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training images and labels, test images and labels. Which 360 samples are held out is fixed."""
    pixels, labels = load_digits(return_X_y=True)
    split = train_test_split(pixels, labels, test_size=TEST_SAMPLES, random_state=0, stratify=labels)
    train_x, test_x, train_y, test_y = (torch.as_tensor(part) for part in split)
    images = (part.float().view(-1, 1, 8, 8) for part in (train_x[:train_samples], test_x[:test_samples]))
    return (*images, train_y[:train_samples].long(), test_y[:test_samples].long())


def build(
    suffix: str, out: Path, *, epochs: int, train_samples: int | None = None, test_samples: int = TEST_SAMPLES
) -> dict[str, object]:
    """Train one network, write `digits{suffix}.nir`, `test{suffix}.npz`, `expected{suffix}.npz` into `out`.

    Returns what `meta.json` says about it. Raises RuntimeError when the file that was written, run by
    `simulate`, gives other spike counts than PyTorch did for more than one sample in a hundred (float32
    against float64).
    """
    torch.manual_seed(SEED)
    model, shape = (convolutional(), (1, 8, 8)) if suffix == "_conv" else (dense(), (64,))
    train_images, test_images, train_labels, test_labels = load(train_samples, test_samples)
    train(model, train_images, train_labels, epochs=epochs)

    path = out / f"digits{suffix}.nir"
    nir.write(path, to_nir(model, shape))
    x, y = encode(test_images).view(STEPS, -1, *shape), test_labels.numpy()
    with torch.no_grad():
        spikes = {name: part.numpy().astype(np.uint8) for name, part in run(model, x).items()}
    *hidden, output = spikes
    counts = spikes[output].sum(0, dtype=np.uint8)
    first = {f"spikes_{name}": spikes[name][:, :RECORDED_SAMPLES] for name in hidden}
    first["spikes"] = spikes[output][:, :RECORDED_SAMPLES]
    x = x.numpy().astype(np.uint8)
    np.savez_compressed(out / f"test{suffix}.npz", x=x, y=y)
    np.savez_compressed(out / f"expected{suffix}.npz", counts=counts, **first)

    graph = nir.read(path)
    same = np.mean((simulate(graph, x).sum(0) == counts).all(1))
    if same < 0.99:
        raise RuntimeError(
            f"{path.name}: NumPy gives PyTorch's spike counts for only {same:.1%} of the samples"
        )
    print(f"{path.name}: accuracy {accuracy(counts, y):.4f}, NumPy gives the same counts for {same:.2%}")
    rounded: dict[str, float] = {}
    for bits in (8, 4):
        graph = nir.read(path)
        for node in graph.nodes.values():
            if isinstance(node, nir.Affine | nir.Conv2d):
                node.weight = on_grid(node.weight, bits)
        rounded[str(bits)] = accuracy(simulate(graph, x).sum(0), y)
        print(f"{path.name}: accuracy {rounded[str(bits)]:.4f} with weights rounded to {bits} bits")
    rates = {name: round(float(part.mean()), 4) for name, part in spikes.items()}
    print(f"{path.name}: spikes per neuron and step {rates}")
    return {
        "float_accuracy": accuracy(counts, y),
        "accuracy_with_rounded_weights": rounded,
        "spikes_per_neuron_and_step": rates,
        "steps": STEPS,
        "dt": DT,
        "equation": EQUATION,
        "decoding": "highest spike count of the output over all steps; the lowest index of several",
        "test_samples": len(y),
        "train_samples": len(train_labels),
        "epochs": epochs,
        "seed": SEED,
        "torch": str(torch.__version__),
    }


def main() -> None:
    """Write everything that this folder holds besides this script and the README."""
    parser = argparse.ArgumentParser(description="train the digits networks and write them as NIR")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write into")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    meta = {
        "digits.nir": build("", out, epochs=100),
        "digits_conv.nir": build("_conv", out, epochs=120),
    }
    (out / "meta.json").write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
