"""Networks in plain PyTorch, in the ways in which people write them, exported and run beside PyTorch itself."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmc.frontend.load import load
from nmc.ir.graph import Graph, OverTime
from nmc.ir.ops import Elementwise, Neuron
from nmc.sim.golden import simulate
from nmc.sim.interchange import from_steps, inputs_to_steps, layout_of

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = pytest.mark.torch

T, B, N, H = 10, 3, 12, 8
Update = Callable[..., tuple[Any, ...]]


def exported(model: Any, args: tuple[Any, ...], names: list[str], outputs: list[str], folder: Path) -> Graph:
    path = folder / "model.onnx"
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.eval(),
            args,
            str(path),
            input_names=names,
            output_names=outputs,
            dynamo=False,
            opset_version=17,
        )
    return load(path)


def spikes(seed: int = 0) -> Any:
    return (torch.rand(T, B, N, generator=torch.Generator().manual_seed(seed)) < 0.4).float()


def layer(rows: int, columns: int, seed: int = 0) -> Any:
    made = nn.Linear(columns, rows)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        made.weight.copy_(torch.randn(rows, columns, generator=generator) * 1.5 / math.sqrt(columns))
        made.bias.copy_(torch.rand(rows, generator=generator) * 0.2)
    return made


# ---- one step: a membrane, spelled in many ways -----------------------------------------------------------


class Step(nn.Module):
    """A layer of neurons; `update` takes the current and the states, and gives spikes and the new states."""

    def __init__(self, update: Update) -> None:
        super().__init__()
        self.inward, self.back, self.update = layer(H, N), layer(H, H, 1), update

    def forward(self, x: Any, *states: Any) -> Any:
        return self.update(self, self.inward(x), *states)


def run(update: Update, states: list[Any], folder: Path) -> Graph:
    """The graph of a step, which golden has run beside PyTorch: outputs equal at every step, states close."""
    model, x = Step(update), spikes()
    names = [f"s{k}" for k in range(len(states))]
    graph = exported(model, (x[0], *states), ["x", *names], ["y", *(f"{name}_out" for name in names)], folder)
    wanted: list[Any] = []
    with torch.no_grad():
        for given in x:
            out, *states = model(given, *states)
            wanted.append(out.numpy())
    assert np.any(wanted)
    got = simulate(graph, {"x": x.numpy()}, dtype=np.float32).outputs["y"]
    np.testing.assert_allclose(got.astype(float), np.stack(wanted), rtol=1e-5, atol=1e-5)
    return graph


def heaviside(u: Any) -> Any:
    return (u > 0).float()


def where(m: Any, c: Any, v: Any) -> Any:
    v = 0.9 * v + c
    s = torch.where(v > 1, torch.ones_like(v), torch.zeros_like(v))
    return s, torch.where(s > 0.5, torch.zeros_like(v), v)


def floor_of_sign(m: Any, c: Any, v: Any) -> Any:
    v = v + (c - v) / 2
    s = torch.floor((torch.sign(v - 0.3) + 1) / 2)
    return s, (1 - s) * v + s * (-0.1)


def sign_of_relu(m: Any, c: Any, v: Any) -> Any:
    v = 0.85 * v + 0.6 * c
    s = torch.sign(torch.relu(v - 0.7))
    return s, v - 0.7 * s


def clamped_ceil(m: Any, c: Any, v: Any) -> Any:
    v = 0.9 * v + c
    s = torch.clamp(torch.ceil(v - 1.0), 0, 1)
    return s, v * (1 - s)


def clamped_floor(m: Any, c: Any, v: Any) -> Any:
    v = 0.9 * v + c
    s = torch.clamp(torch.floor(v / 0.75), 0, 1)
    return s, v - s * 0.75


def bounded_by_tensors(m: Any, c: Any, v: Any) -> Any:
    v = 0.9 * v + c
    s = torch.minimum(torch.maximum(torch.ceil(v - 1), torch.tensor(0.0)), torch.tensor(1.0))
    return s, v - s


def several_spikes(m: Any, c: Any, v: Any) -> Any:
    v = 0.9 * v + c
    s = torch.clamp(torch.floor(v), min=0)
    return s, v - s


def several_spikes_by_cast(m: Any, c: Any, v: Any) -> Any:
    v = 0.9 * v + c
    s = (v > 0).float() * v.int().float()
    return s, v - s


def detached(m: Any, c: Any, v: Any) -> Any:
    v = 0.9 * v + c
    s = heaviside(v - 1)
    return s, v - s.detach()


def late_reset(m: Any, c: Any, v: Any) -> Any:
    r = heaviside(v - 1).detach()
    v = 0.9 * v + c - r
    return heaviside(v - 1), v


def masked_fill(m: Any, c: Any, v: Any) -> Any:
    v = 0.9 * v + c
    s = v >= 1
    return s.float(), v.masked_fill(s, 0.0)


def straight_through(m: Any, c: Any, v: Any) -> Any:
    v = 0.9 * v + c
    smooth = torch.sigmoid(4 * (v - 1))
    s = (heaviside(v - 1) - smooth).detach() + smooth
    return s, v * (1 - s)


def bounded_below(m: Any, c: Any, v: Any) -> Any:
    v = torch.clamp(0.9 * v + c, min=-0.5)
    s = (v >= 1).float()
    return s, v - s


def exponential(m: Any, c: Any, v: Any) -> Any:
    a = torch.exp(-1 / torch.tensor(5.0))
    v = a * v + (1 - a) * c * 3
    s = torch.gt(v, 0.6).to(torch.float32)
    return s, v - s * 0.6


def lerp(m: Any, c: Any, v: Any) -> Any:
    v = torch.lerp(v, c * 3, 0.3)
    s = (v - 0.5).gt(0).float()
    return s, v * (s == 0).float()


def addcmul(m: Any, c: Any, v: Any) -> Any:
    v = torch.addcmul(c, v, torch.tensor(0.9))
    s = 1 - (v <= 1).float()
    return s, v - s


def logical_not(m: Any, c: Any, v: Any) -> Any:
    v = 0.9 * v + c
    s = torch.logical_not(v < 1).float()
    return s, v * (1.0 - s)


def resting(m: Any, c: Any, v: Any) -> Any:
    v = -0.2 + 0.9 * (v + 0.2) + c
    s = heaviside(v - 1)
    return s, s * (-0.2) + (1 - s) * v


def refractory(m: Any, c: Any, v: Any, r: Any) -> Any:
    v = torch.where(r > 0, v, 0.9 * v + c)
    s = ((v > 1) & (r <= 0)).float()
    return s, v * (1 - s), torch.where(s > 0, torch.full_like(r, 2.0), torch.clamp(r - 1, min=0))


def old_current(m: Any, c: Any, i: Any, v: Any) -> Any:
    v = 0.9 * v + i
    s = heaviside(v - 1)
    return s, 0.8 * i + c, v - s


def recurrent(m: Any, c: Any, v: Any, before: Any) -> Any:
    v = 0.9 * v + c + m.back(before)
    s = heaviside(v - 1)
    return s, v * (1 - s), s


ONE_STATE = [where, floor_of_sign, sign_of_relu, clamped_ceil, clamped_floor, bounded_by_tensors, several_spikes,
             several_spikes_by_cast, detached, late_reset, masked_fill, straight_through, bounded_below, exponential,
             lerp, addcmul, logical_not, resting]  # fmt: skip
TWO_STATES = [refractory, old_current, recurrent]


@pytest.mark.parametrize("update", [*ONE_STATE, *TWO_STATES], ids=lambda each: each.__name__)
def test_step_is_lifted_however_it_is_spelled(update: Update, tmp_path: Path) -> None:
    states = [torch.zeros(B, H)] * (2 if update in TWO_STATES else 1)
    graph = run(update, states, tmp_path)
    assert [type(node.op) for node in graph.nodes if isinstance(node.op, Neuron | Elementwise)] == [Neuron]


# ---- one step: neurons outside the families, which golden runs as they are --------------------------------


def adaptive(m: Any, c: Any, v: Any, b: Any) -> Any:
    v = 0.9 * v + c
    s = heaviside(v - (1 + 0.5 * b))
    return s, v - s * (1 + 0.5 * b), 0.95 * b + s


def two_synapses(m: Any, c: Any, i: Any, j: Any, v: Any) -> Any:
    i, j = 0.8 * i + c, 0.5 * j + c
    v = 0.9 * v + (i - j)
    s = heaviside(v - 1)
    return s, i, j, v * (1 - s)


def resonant(m: Any, c: Any, x: Any, y: Any) -> Any:
    new = 0.95 * (math.cos(0.6) * x - math.sin(0.6) * y) + c
    y = 0.95 * (math.sin(0.6) * x + math.cos(0.6) * y)
    return heaviside(y - 0.6), new, y


def quadratic(m: Any, c: Any, v: Any) -> Any:
    v = v + 0.1 * v * v + 0.5 * c
    s = heaviside(v - 1)
    return s, v * (1 - s)


def ternary(m: Any, c: Any, v: Any) -> Any:
    v = 0.9 * v + c
    s = heaviside(v - 1) - heaviside(-1 - v)
    return s, v - s


def graded(m: Any, c: Any, v: Any) -> Any:
    v = 0.9 * v + c
    s = heaviside(v - 1)
    return s * v, v * (1 - s)


def rounded(m: Any, c: Any, v: Any) -> Any:
    v = 0.9 * v + c
    s = torch.clamp(torch.round(v), 0, 4)
    return s, v - s


@pytest.mark.parametrize(
    ("update", "count"),
    [
        (adaptive, 2),
        (two_synapses, 3),
        (resonant, 2),
        (quadratic, 1),
        (ternary, 1),
        (graded, 1),
        (rounded, 1),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_step_outside_the_families_runs_as_the_program_it_is(
    update: Update, count: int, tmp_path: Path
) -> None:
    graph = run(update, [torch.zeros(B, H)] * count, tmp_path)
    assert [type(node.op) for node in graph.nodes if isinstance(node.op, Neuron | Elementwise)] == [
        Elementwise
    ]
    assert any(note.code == "NMC073" for note in graph.notes)


def spiked_once(m: Any, c: Any, v: Any, done: Any) -> Any:
    v = v + c
    s = (v >= 1).float() * (1 - done)
    return s, v, torch.maximum(done, s)


def buffered(m: Any, c: Any, b: Any) -> Any:
    return b[:, :, -1], torch.cat([c.unsqueeze(-1), b[:, :, :-1]], -1)


def rolled(m: Any, c: Any, b: Any, v: Any) -> Any:
    b = torch.cat([c.unsqueeze(1), torch.roll(b, 1, 1)[:, 1:]], 1)
    v = 0.9 * v + b[:, 3]
    s = heaviside(v - 1)
    return s, b, v * (1 - s)


@pytest.mark.parametrize(
    ("update", "shapes"),
    [(spiked_once, [(B, H), (B, H)]), (buffered, [(B, H, 5)]), (rolled, [(B, 6, H), (B, H)])],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_step_with_memory_of_its_own_kind_runs_as_in_pytorch(
    update: Update, shapes: list[tuple[int, ...]], tmp_path: Path
) -> None:
    run(update, [torch.zeros(shape) for shape in shapes], tmp_path)


def test_buffers_along_any_axis_are_delays(tmp_path: Path) -> None:
    graph = run(buffered, [torch.zeros(B, H, 5)], tmp_path)
    assert sum(edge.delay for edge in graph.edges) == 5
    (layout,) = (each for each in graph.layouts if each.slots is not None)
    assert layout.slots is not None
    assert (layout.slots.axis, layout.slots.ages) == (1, (0, 1, 2, 3, 4))


# ---- all steps: what is given of them ---------------------------------------------------------------------


def fire(v: Any, c: Any) -> Any:
    v = 0.9 * v + c
    s = heaviside(v - 1)
    return s, v * (1 - s)


class Sequence(nn.Module):
    """Two layers and a leaky readout over all steps; `give` makes the output of spikes and readouts."""

    def __init__(self, give: Callable[..., Any], *, batch_first: bool = False, held: bool = False) -> None:
        super().__init__()
        self.a, self.b, self.give = layer(H, N), layer(5, H, 1), give
        self.batch_first, self.held = batch_first, held

    def forward(self, x: Any) -> Any:
        x = x.transpose(0, 1) if self.batch_first else x
        samples = x.shape[0] if self.held else x.shape[1]
        v, w, u = torch.zeros(samples, H), torch.zeros(samples, 5), torch.zeros(samples, 5)
        out: list[Any] = []
        readouts: list[Any] = []
        for t in range(T):
            s, v = fire(v, self.a(x if self.held else x[t]))
            current = self.b(s)
            z, w = fire(w, current)
            u = 0.8 * u + 0.2 * current
            out.append(z)
            readouts.append(u)
        return self.give(self, out, readouts)


GIVEN = {
    "stack": (lambda m, s, u: torch.stack(s, 1 if m.batch_first else 0), OverTime.EVERY),
    "sum": (lambda m, s, u: sum(s), OverTime.SUM),
    "mean": (lambda m, s, u: torch.stack(s).mean(0), OverTime.MEAN),
    "last": (lambda m, s, u: u[-1], OverTime.LAST),
    "max": (lambda m, s, u: torch.stack(u).max(0)[0], OverTime.MAX),
    "mean_readout": (lambda m, s, u: torch.stack(u).mean(0), OverTime.MEAN),
    "softmax": (lambda m, s, u: torch.softmax(torch.stack(u), -1).sum(0), OverTime.SUM),
    "log_softmax": (lambda m, s, u: torch.log_softmax(sum(s), -1), OverTime.LAST),
    "groups": (lambda m, s, u: torch.stack(u).sum(0)[:, :4].reshape(-1, 2, 2).sum(-1), OverTime.SUM),
}
"""What a network may give in the end, and how it is understood."""


def compare(model: Any, x: Any, folder: Path) -> Graph:
    """The graph of a network over all steps; golden gives what PyTorch gives, in the file's own axes."""
    graph = exported(model, (x,), ["x"], ["y"], folder)
    with torch.no_grad():
        wanted = model(x).numpy()
    assert np.any(wanted)
    result = simulate(graph, inputs_to_steps(graph, {"x": x.numpy()}), dtype=np.float32)
    layout = layout_of(graph, "y")
    assert layout is not None
    np.testing.assert_allclose(
        from_steps(layout, result.outputs["y"].astype(float)), wanted, rtol=1e-5, atol=1e-5
    )
    return graph


def given_over(graph: Graph) -> OverTime:
    layout = layout_of(graph, "y")
    assert layout is not None
    return layout.over_time


@pytest.mark.parametrize("batch_first", [False, True], ids=["time first", "batch first"])
@pytest.mark.parametrize("name", GIVEN)
def test_sequence_gives_what_pytorch_gives_of_all_steps(name: str, batch_first: bool, tmp_path: Path) -> None:
    give, over = GIVEN[name]
    x = spikes().transpose(0, 1).contiguous() if batch_first else spikes()
    assert given_over(compare(Sequence(give, batch_first=batch_first), x, tmp_path)) is over


@pytest.mark.parametrize("name", ["stack", "sum", "mean", "last", "max"])
def test_steps_over_one_image_are_found(name: str, tmp_path: Path) -> None:
    image = torch.rand(B, N, generator=torch.Generator().manual_seed(2))
    give, over = GIVEN[name]
    graph = compare(Sequence(give, held=True), image, tmp_path)
    assert given_over(graph) is over
    layout = layout_of(graph, "x")
    assert layout is not None
    assert layout.held == T
    assert sum(isinstance(node.op, Neuron) for node in graph.nodes) >= 2


class Convolutional(nn.Module):
    """The multi-step form: layers over steps and samples at once, neurons step by step; one image for all steps."""

    def __init__(self, repeat: Callable[..., Any], *, early: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.c, self.bn, self.pool = (
            nn.Conv2d(1, 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(4),
            nn.MaxPool2d(2),
        )
        self.skip, self.a = nn.Conv2d(4, 4, 3, padding=1), layer(6, 64)
        with torch.no_grad():
            self.c.weight.mul_(4)
            self.bn.running_mean.uniform_(-0.2, 0.2)
            self.bn.running_var.uniform_(0.5, 1.5)
        self.repeat, self.early = repeat, early

    def neurons(self, x: Any) -> Any:
        v, out = torch.zeros_like(x[0]), []
        for t in range(x.shape[0]):
            v = v + (x[t] - v) / 2.0
            s = (v >= 0.4).float()
            v = v * (1 - s)
            out.append(s)
        return torch.stack(out)

    def forward(self, x: Any) -> Any:
        if self.early:
            h = self.bn(self.c(self.repeat(x).flatten(0, 1)))
            h = h.view(T, -1, *h.shape[1:])
        else:
            h = self.repeat(self.bn(self.c(x)))
        s = self.neurons(h)
        r = self.skip(s.flatten(0, 1)).view(T, -1, 4, 8, 8)
        s = self.neurons(r) + s
        h = self.a(self.pool(s.flatten(0, 1)).flatten(1)).view(T, -1, 6)
        return self.neurons(h).mean(0)


REPEATS = {
    "repeat": lambda x: x.unsqueeze(0).repeat(T, *[1] * x.dim()),
    "expand": lambda x: x.unsqueeze(0).expand(T, *[-1] * x.dim()),
    "stack": lambda x: torch.stack([x] * T),
}


@pytest.mark.parametrize("early", [False, True], ids=["after the first layer", "before it"])
@pytest.mark.parametrize("name", REPEATS)
def test_image_repeated_inside_the_file_is_read_in_steps(name: str, early: bool, tmp_path: Path) -> None:
    image = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    graph = compare(Convolutional(REPEATS[name], early=early), image, tmp_path)
    assert sum(isinstance(node.op, Neuron) for node in graph.nodes) == 3
