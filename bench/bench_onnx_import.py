"""Time of importing ONNX: a 50 MB step model, and unrolled models of growing length. CPU seconds.

Run from the checkout: python bench/bench_onnx_import.py
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from nmc.frontend.onnx import load


def _scalar(name: str, value: float) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(value, np.float32), name)


def unrolled(steps: int, layers: int, width: int) -> onnx.ModelProto:
    """A network of leaky integrate-and-fire layers, all steps in one graph."""
    rng = np.random.default_rng(0)
    constants = [_scalar("beta", 0.9), _scalar("one", 1.0), numpy_helper.from_array(np.array([0]), "zero")]
    for layer in range(layers):
        weight = rng.normal(0, 0.3, (width, width)).astype(np.float32)
        constants += [numpy_helper.from_array(weight, f"w{layer}")]
    nodes: list[onnx.NodeProto] = []
    membranes: dict[int, str] = {}
    collected: list[str] = []
    for t in range(steps):
        constants.append(numpy_helper.from_array(np.array(t), f"t{t}"))
        nodes.append(helper.make_node("Gather", ["x", f"t{t}"], [f"x{t}"], axis=0))
        current = f"x{t}"
        for layer in range(layers):
            tag = f"{layer}_{t}"
            nodes.append(helper.make_node("Gemm", [current, f"w{layer}"], [f"lin{tag}"], transB=1))
            v = f"lin{tag}"
            if layer in membranes:
                nodes.append(helper.make_node("Mul", [membranes[layer], "beta"], [f"leak{tag}"]))
                nodes.append(helper.make_node("Add", [f"leak{tag}", v], [f"v{tag}"]))
                v = f"v{tag}"
            nodes.append(helper.make_node("Greater", [v, "one"], [f"above{tag}"]))
            nodes.append(helper.make_node("Cast", [f"above{tag}"], [f"spike{tag}"], to=TensorProto.FLOAT))
            nodes.append(helper.make_node("Sub", ["one", f"spike{tag}"], [f"rest{tag}"]))
            nodes.append(helper.make_node("Mul", [v, f"rest{tag}"], [f"kept{tag}"]))
            membranes[layer] = f"kept{tag}"
            current = f"spike{tag}"
        nodes.append(helper.make_node("Unsqueeze", [current, "zero"], [f"out{t}"]))
        collected.append(f"out{t}")
    nodes.append(helper.make_node("Concat", collected, ["spk"], axis=0))
    shape = [steps, 2, width]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "spk")]
    graph = helper.make_graph(nodes, "unrolled", ends[:1], ends[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def stepwise(layers: int, width: int) -> onnx.ModelProto:
    """One step of integrate-and-fire layers with large weights."""
    rng = np.random.default_rng(0)
    constants = [_scalar("beta", 0.9), _scalar("one", 1.0)]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", width])]
    outputs: list[onnx.ValueInfoProto] = []
    nodes: list[onnx.NodeProto] = []
    current = "x"
    for k in range(layers):
        constants.append(numpy_helper.from_array(rng.normal(size=(width, width)).astype(np.float32), f"w{k}"))
        inputs.append(helper.make_tensor_value_info(f"v{k}", TensorProto.FLOAT, ["batch", width]))
        outputs.append(helper.make_tensor_value_info(f"v{k}_out", TensorProto.FLOAT, ["batch", width]))
        nodes += [
            helper.make_node("MatMul", [current, f"w{k}"], [f"lin{k}"]),
            helper.make_node("Mul", [f"v{k}", "beta"], [f"leak{k}"]),
            helper.make_node("Add", [f"leak{k}", f"lin{k}"], [f"h{k}"]),
            helper.make_node("Greater", [f"h{k}", "one"], [f"above{k}"]),
            helper.make_node("Cast", [f"above{k}"], [f"spike{k}"], to=TensorProto.FLOAT),
            helper.make_node("Sub", [f"h{k}", f"spike{k}"], [f"v{k}_out"]),
        ]
        current = f"spike{k}"
    outputs.append(helper.make_tensor_value_info(current, TensorProto.FLOAT, ["batch", width]))
    graph = helper.make_graph(nodes, "step", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def measure(model: onnx.ModelProto, path: Path) -> tuple[float, float]:
    """Megabytes and CPU seconds."""
    onnx.save(model, path)
    start = time.process_time()
    load(path)
    return path.stat().st_size / 1e6, time.process_time() - start


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        measure(stepwise(1, 8), path)
        size, seconds = measure(stepwise(3, 2048), path)
        print(f"one step, {size:.0f} MB: {seconds:.2f} s")
        for steps in (25, 50, 100):
            model = unrolled(steps, 71, 32)
            seconds = measure(model, path)[1]
            print(f"{steps} unrolled steps, {len(model.graph.node)} nodes: {seconds:.2f} s")


if __name__ == "__main__":
    main()
