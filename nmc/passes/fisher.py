"""How much the outputs mind each weight, by gradient: the diagonal of the Fisher information, through PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nmc.ir.graph import Graph
from nmc.ir.linear import Reals
from nmc.ir.ops import LinearOp
from nmc.passes.measure import in_model_units

Array = npt.NDArray[Any]

SAMPLES = 8
"""Samples whose gradients are squared; each takes a run forwards and backwards."""


def fisher(graph: Graph, data: Mapping[str, Array], *, samples: int = SAMPLES) -> dict[str, Reals]:
    """For each connection the mean square of the outputs' gradient with respect to each weight, of the weights' shape.

    The outputs are the rates of a sample, as if they were measured with an error of the same size each: their Fisher
    information is then the sum over outputs of squared gradients. A random sign for each output makes one gradient of
    them whose square is that sum on average (Hutchinson); the signs are fixed.
    Raises CompileError: NMC230 without PyTorch.
    """
    from nmc.sim.differentiable import Executor

    executor = Executor(graph)
    torch = executor.torch
    signs = np.random.default_rng(0)
    names = [node.name for node in graph.nodes if isinstance(node.op, LinearOp)]
    weights = [executor.parameters[f"{name}.weight"] for name in names]
    total = {name: np.zeros(tuple(weight.shape)) for name, weight in zip(names, weights, strict=True)}
    count = min(samples, *(array.shape[1] for array in data.values()))
    for sample in range(count):
        run = executor.run({name: array[:, sample : sample + 1] for name, array in data.items()})
        rates = torch.cat([run.given[node.name].mean(dim=0).reshape(-1) for node in graph.outputs])
        sign = torch.tensor(signs.choice([-1.0, 1.0], rates.shape[0]), dtype=rates.dtype)
        gradients = torch.autograd.grad((rates * sign).sum(), weights, allow_unused=True)
        for name, gradient in zip(names, gradients, strict=True):
            if gradient is not None:
                total[name] += np.square(gradient.detach().numpy().astype(np.float64)) / count
    return total


def expected_loss(
    information: Mapping[str, Reals], real: Graph, integer: Graph, links: tuple[str, ...]
) -> float:
    """What rounding the weights of some connections is expected to move the outputs, squared: sum of F * error**2.

    The integer weights are taken in the model's units, after the factor by which each row was scaled.
    """
    exact, coarse = in_model_units(real, integer, links)
    weight = np.concatenate([information[name].ravel() for name in links])
    return float(np.sum(weight * np.square(exact - coarse)))
