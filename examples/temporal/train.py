"""Train the recurrent network of this folder; write it as NIR, with test data and the spikes it gave.

The task: two cues, one after the other, each one of three symbols; a symbol is a short noisy burst on its own
four inputs. The class is how far the second symbol is from the first, (second - first) mod 3, so either cue
alone says nothing about it. When the first cue comes is random, and so is the pause of 9 to 13 steps between
the cues. Two controls say how much of the task the neurons can do by their own decaying state: the trained
network with its recurrent weights zeroed, and a network that was trained without any.

Every neuron does the same in every step, from i = v = 0 (the readout has no i; its x goes straight into v):

    i = i * (1 - DT / TAU_SYN) + x  # Euler; w_in = TAU_SYN / DT makes the gain of the input 1
    v = v * (1 - DT / TAU_MEM) + i  # the new i; the resistance TAU_MEM / DT makes its gain 1
    spike = v > THRESHOLD
    v = 0 where it spiked           # in the same step

The recurrent edge takes one step: x in step t holds the hidden spikes of step t - 1, and none in step 0. The
other edges have no delay. The class of a sample is the output neuron with the most spikes over all steps (the
lowest one of several).

    python examples/temporal/train.py [--out DIR]
"""

import argparse
import json
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

DT = 1e-4  # s, one step
TAU_SYN = 2 * DT  # s, hidden: i keeps 1/2 of itself from step to step
TAU_MEM = 4 * DT  # s, hidden: v keeps 3/4
TAU_READOUT = 8 * DT  # s, readout: v keeps 7/8
THRESHOLD = 1.0
STEPS = 40
SYMBOLS = 3  # as many classes
INPUTS_PER_SYMBOL = 4
INPUTS = SYMBOLS * INPUTS_PER_SYMBOL
HIDDEN = 64
BURST = 3  # steps that a cue lasts
CUE_RATE = 0.75  # spikes per input and step while its symbol is shown
NOISE_RATE = 0.01  # and at any time
ONSET = (0, 12)  # step in which the first cue begins, both ends included
GAP = (12, 16)  # steps from there to the beginning of the second cue, both ends included
TRAIN_SAMPLES, TEST_SAMPLES = 4000, 500
SEED = 0
BATCH = 100
LEARNING_RATE = 5e-3
# 7/16 lies on the 4 bit grid of step 1/16 and on the 8 bit grid of step 1/256: on neither is it an outlier.
WEIGHT_LIMIT = 7 / 16
RECORDED_SAMPLES = 16  # whose spikes are written in full
EQUATION = (
    "hidden: i = i * (1 - dt / tau_syn) + (w_in * dt / tau_syn) * x; "
    "v = v * (1 - dt / tau_mem) + (r * dt / tau_mem) * i; "
    "readout: v = v * (1 - dt / tau) + (r * dt / tau) * x; "
    "both: spike = v > v_threshold; v = 0 where spiked, same step"
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


def spike_and_reset(v: Tensor) -> tuple[Tensor, Tensor]:
    """Spikes of the membranes `v`, and `v` after them."""
    spike = Spike.apply(v - THRESHOLD)
    return spike, v * (1 - spike.detach())


class Network(nn.Module):
    """12 - 64 recurrent - 3. With `recurrent` false, the same without the recurrent weights."""

    def __init__(self, *, recurrent: bool) -> None:
        super().__init__()
        self.fc1 = nn.Linear(INPUTS, HIDDEN)
        self.w_rec = nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.fc2 = nn.Linear(HIDDEN, SYMBOLS)
        self.recurrent = recurrent
        nn.init.uniform_(self.fc1.weight, -WEIGHT_LIMIT, WEIGHT_LIMIT)
        nn.init.normal_(self.w_rec.weight, 0, HIDDEN**-0.5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden and output spikes (steps, batch, neurons) for input spikes (steps, batch, 12)."""
        i = v = spike = torch.zeros(x.shape[1], HIDDEN)
        v_readout = torch.zeros(x.shape[1], SYMBOLS)
        hidden: list[Tensor] = []
        output: list[Tensor] = []
        for x_t in x:
            current = self.fc1(x_t) + self.w_rec(spike) if self.recurrent else self.fc1(x_t)
            i = i * (1 - DT / TAU_SYN) + current
            v = v * (1 - DT / TAU_MEM) + i
            spike, v = spike_and_reset(v)
            hidden.append(spike)
            v_readout = v_readout * (1 - DT / TAU_READOUT) + self.fc2(spike)
            out, v_readout = spike_and_reset(v_readout)
            output.append(out)
        return torch.stack(hidden), torch.stack(output)


def make_samples(samples: int, *, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Input spikes (steps, samples, 12) and classes (samples,)."""
    rng = np.random.default_rng(seed)
    first, classes = rng.integers(0, SYMBOLS, (2, samples))
    onset = rng.integers(ONSET[0], ONSET[1] + 1, samples)
    second_onset = onset + rng.integers(GAP[0], GAP[1] + 1, samples)
    step = np.arange(STEPS)[:, None, None]
    symbol = np.arange(INPUTS) // INPUTS_PER_SYMBOL
    rate = np.full((STEPS, samples, INPUTS), NOISE_RATE)
    for shown, begin in ((first, onset), ((first + classes) % SYMBOLS, second_onset)):
        now = (step >= begin[:, None]) & (step < begin[:, None] + BURST)
        rate[now & (symbol == shown[:, None])] = CUE_RATE
    return (rng.random(rate.shape) < rate).astype(np.uint8), classes


def train(network: Network, x: Tensor, classes: Tensor, *, epochs: int) -> None:
    """Cross-entropy on the output's spike counts. `x` is (steps, samples, 12)."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    steps = epochs * -(-len(classes) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=max(steps, 2))
    for _ in range(epochs):
        for batch in torch.randperm(len(classes)).split(BATCH):
            _, output = network(x[:, batch])
            loss = nn.functional.cross_entropy(output.sum(0) / 2, classes[batch])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                for parameter in network.parameters():
                    parameter.clamp_(-WEIGHT_LIMIT, WEIGHT_LIMIT)


def to_nir(network: Network) -> nir.NIRGraph:
    """The same network as a NIR graph, weights in float32."""
    one, out = np.ones(HIDDEN), np.ones(SYMBOLS)
    weight = {name: parameter.detach().numpy() for name, parameter in network.named_parameters()}
    nodes: dict[str, nir.NIRNode] = {
        "input": nir.Input(np.array([INPUTS])),
        "fc1": nir.Affine(weight["fc1.weight"], weight["fc1.bias"]),
        "hidden": nir.CubaLIF(
            tau_syn=TAU_SYN * one,
            tau_mem=TAU_MEM * one,
            r=TAU_MEM / DT * one,
            v_leak=0 * one,
            v_threshold=THRESHOLD * one,
            v_reset=0 * one,
            w_in=TAU_SYN / DT * one,
        ),
        "w_rec": nir.Linear(weight["w_rec.weight"]),
        "fc2": nir.Affine(weight["fc2.weight"], weight["fc2.bias"]),
        "readout": nir.LIF(
            tau=TAU_READOUT * out,
            r=TAU_READOUT / DT * out,
            v_leak=0 * out,
            v_threshold=THRESHOLD * out,
            v_reset=0 * out,
        ),
        "output": nir.Output(np.array([SYMBOLS])),
    }
    edges = [
        ("input", "fc1"),
        ("fc1", "hidden"),
        ("hidden", "w_rec"),
        ("w_rec", "hidden"),
        ("hidden", "fc2"),
        ("fc2", "readout"),
        ("readout", "output"),
    ]
    return nir.NIRGraph(nodes, edges, metadata={"dt": DT, "preset": "snntorch"})


def simulate(graph: nir.NIRGraph, x: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The output's spikes by what the NIR graph says: NumPy in float64, nothing shared with PyTorch."""
    fc1, w_rec, fc2, hidden, readout = (
        graph.nodes[name] for name in ("fc1", "w_rec", "fc2", "hidden", "readout")
    )
    i = np.zeros((x.shape[1], *hidden.tau_mem.shape))
    v, spike = i.copy(), i.copy()
    v_readout = np.zeros((x.shape[1], *readout.tau.shape))
    output: list[NDArray[np.bool_]] = []
    for x_t in x:
        current = x_t @ fc1.weight.astype(np.float64).T + fc1.bias + spike @ w_rec.weight.astype(np.float64).T
        i = i + (DT / hidden.tau_syn) * (hidden.w_in * current - i)
        v = v + (DT / hidden.tau_mem) * (hidden.v_leak - v + hidden.r * i)
        spike = (v > hidden.v_threshold).astype(np.float64)
        v = np.where(spike > 0, hidden.v_reset, v)
        current = spike @ fc2.weight.astype(np.float64).T + fc2.bias
        v_readout = v_readout + (DT / readout.tau) * (readout.v_leak - v_readout + readout.r * current)
        output.append(v_readout > readout.v_threshold)
        v_readout = np.where(output[-1], readout.v_reset, v_readout)
    return np.stack(output).astype(np.uint8)


def on_grid(weight: NDArray[np.float32], bits: int) -> NDArray[np.float32]:
    """Weights on the finest power-of-two grid on which a signed integer of `bits` holds the largest one."""
    grid = 2.0 ** np.ceil(np.log2(np.abs(weight).max() / (2 ** (bits - 1) - 1)))
    return (np.round(weight / grid) * grid).astype(np.float32)


def accuracy(counts: NDArray[np.integer], classes: NDArray[np.integer]) -> float:
    """Share of the samples whose class has the most spikes in `counts` (samples, classes)."""
    return float(np.mean(counts.argmax(1) == classes))


def build(
    out: Path, *, epochs: int, train_samples: int = TRAIN_SAMPLES, test_samples: int = TEST_SAMPLES
) -> dict[str, object]:
    """Train the network, write `temporal.nir`, `test.npz` and `expected.npz` into `out`.

    Returns what `meta.json` says about it. Raises RuntimeError when the file that was written, run by
    `simulate`, gives other spike counts than PyTorch did for more than one sample in a hundred (float32
    against float64).
    """
    train_x, train_classes = make_samples(train_samples, seed=SEED)
    x, y = make_samples(test_samples, seed=SEED + 1)

    def trained(*, recurrent: bool) -> Network:
        torch.manual_seed(SEED)
        network = Network(recurrent=recurrent)
        train(network, torch.tensor(train_x).float(), torch.tensor(train_classes), epochs=epochs)
        return network

    def spikes_of(network: Network) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        with torch.no_grad():
            hidden, output = network(torch.tensor(x).float())
        return hidden.numpy().astype(np.uint8), output.numpy().astype(np.uint8)

    network = trained(recurrent=True)
    path = out / "temporal.nir"
    nir.write(path, to_nir(network))
    hidden, output = spikes_of(network)
    counts = output.sum(0, dtype=np.uint8)
    np.savez_compressed(out / "test.npz", x=x, y=y)
    np.savez_compressed(
        out / "expected.npz",
        counts=counts,
        spikes=output[:, :RECORDED_SAMPLES],
        spikes_hidden=hidden[:, :RECORDED_SAMPLES],
    )

    same = np.mean((simulate(nir.read(path), x).sum(0) == counts).all(1))
    if same < 0.99:
        raise RuntimeError(
            f"{path.name}: NumPy gives PyTorch's spike counts for only {same:.1%} of the samples"
        )
    print(f"{path.name}: accuracy {accuracy(counts, y):.4f}, NumPy gives the same counts for {same:.2%}")
    rounded: dict[str, float] = {}
    for bits in (8, 4):
        graph = nir.read(path)
        for name in ("fc1", "w_rec", "fc2"):
            graph.nodes[name].weight = on_grid(graph.nodes[name].weight, bits)
        rounded[str(bits)] = accuracy(simulate(graph, x).sum(0), y)
        print(f"{path.name}: accuracy {rounded[str(bits)]:.4f} with weights rounded to {bits} bits")
    rates = {"hidden": round(float(hidden.mean()), 4), "readout": round(float(output.mean()), 4)}
    print(f"{path.name}: spikes per neuron and step {rates}")

    network.recurrent = False
    zeroed = accuracy(spikes_of(network)[1].sum(0), y)
    print(f"control: accuracy {zeroed:.4f} with the recurrent weights zeroed")
    feed_forward = accuracy(spikes_of(trained(recurrent=False))[1].sum(0), y)
    print(f"control: accuracy {feed_forward:.4f} when trained without recurrent weights")
    return {
        "float_accuracy": accuracy(counts, y),
        "accuracy_with_rounded_weights": rounded,
        "accuracy_with_recurrent_weights_zeroed": zeroed,
        "accuracy_when_trained_without_recurrent_weights": feed_forward,
        "spikes_per_neuron_and_step": rates,
        "steps": STEPS,
        "dt": DT,
        "equation": EQUATION,
        "recurrent_delay_steps": 1,
        "decoding": "highest spike count of the output over all steps; the lowest index of several",
        "test_samples": test_samples,
        "train_samples": train_samples,
        "epochs": epochs,
        "seed": SEED,
        "torch": str(torch.__version__),
    }


def main() -> None:
    """Write everything that this folder holds besides this script and the README."""
    parser = argparse.ArgumentParser(description="train the temporal network and write it as NIR")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write into")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    meta = {"temporal.nir": build(out, epochs=30)}
    (out / "meta.json").write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
