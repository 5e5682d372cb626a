"""Files say what the program is, byte for byte, and anything else is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmc import driver
from nmc.artifact import npy_bytes
from nmc.backends.loihi import files
from nmc.backends.loihi.emit import lower
from nmc.backends.loihi.program import Network
from nmc.diagnostics import CompileError
from tests.backends.loihi.networks import KINDS, model


def program(kind: str = "feed_forward", seed: int = 0) -> Network:
    return lower(driver.lower(model(kind, seed), target="loihi"))


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(KINDS), st.integers(0, 1000))
def test_read_gives_what_was_written(kind: str, seed: int) -> None:
    try:
        network = program(kind, seed)
    except CompileError:
        return
    written = files.write(network)
    again = files.read(written)
    assert again == network
    assert files.write(again) == written


def test_files_are_text_and_arrays_of_small_integers() -> None:
    written = files.write(program())
    assert set(written) >= {"network.json", "cores.json", "parameters/w0.weight.npy"}
    assert json.loads(written["network.json"])["format"] == "nmc.loihi/1"
    assert b"<i2" in written["parameters/w0.weight.npy"][:80]


def test_files_of_the_artifact_that_are_not_the_programs_are_left_alone() -> None:
    written = files.write(program())
    assert files.read({**written, "graph.nmc": b"", "run_lava.py": b""}) == program()


@pytest.mark.parametrize("name", ["network.json", "cores.json", "parameters/w0.weight.npy"])
def test_read_names_the_file_that_is_missing(name: str) -> None:
    written = files.write(program())
    del written[name]
    with pytest.raises(ValueError, match=f"{name}: missing"):
        files.read(written)


@pytest.mark.parametrize("name", ["network.json", "cores.json", "parameters/w0.weight.npy"])
@pytest.mark.parametrize("part", [0.0, 0.2, 0.9])
def test_read_refuses_files_that_were_cut(name: str, part: float) -> None:
    written = files.write(program())
    written[name] = written[name][: int(part * len(written[name]))]
    with pytest.raises(ValueError, match=name):
        files.read(written)


def test_read_refuses_bytes_behind_an_array_and_arrays_that_nobody_names() -> None:
    written = files.write(program())
    name = "parameters/w0.weight.npy"
    with pytest.raises(ValueError, match="bytes after the end"):
        files.read({**written, name: written[name] + b"\0"})
    with pytest.raises(ValueError, match=r"not named by network\.json"):
        files.read({**written, "parameters/other.npy": written[name]})


@pytest.mark.parametrize("array", [np.zeros((2, 2)), np.zeros(2, np.int16), np.array([object()])])
def test_read_refuses_arrays_of_another_kind(array: np.ndarray) -> None:
    written = files.write(program())
    if array.dtype == object:
        content = written["parameters/w0.weight.npy"].replace(b"'<i2'", b"'|O' ")
    else:
        content = npy_bytes(array)
    with pytest.raises(ValueError, match=r"w0|weight"):
        files.read({**written, "parameters/w0.weight.npy": content})


def drop(document: dict[str, Any]) -> None:
    del document["populations"][0]["threshold"]


def out_of_range(document: dict[str, Any]) -> None:
    document["populations"][0]["threshold"] = 1 << 20


def not_a_number(document: dict[str, Any]) -> None:
    document["populations"][0]["threshold"] = "10"


def a_truth(document: dict[str, Any]) -> None:
    document["connections"][0]["exponent"] = True


def added(document: dict[str, Any]) -> None:
    document["connections"][0]["colour"] = 1


def other_kind(document: dict[str, Any]) -> None:
    document["connections"][0]["kind"] = "wire"


def other_format(document: dict[str, Any]) -> None:
    document["format"] = "nmc.loihi/2"


def no_list(document: dict[str, Any]) -> None:
    document["sources"] = {}


def no_object(document: dict[str, Any]) -> None:
    document["sources"] = [1]


def no_shape(document: dict[str, Any]) -> None:
    document["sources"][0]["shape"] = []


def not_stock(document: dict[str, Any]) -> None:
    document["populations"][0]["stock"] = not document["populations"][0]["stock"]


def outside(document: dict[str, Any]) -> None:
    document["connections"][0]["weight"]["file"] = "../secret.npy"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop, r"network.json populations\[0\]: no field `threshold`"),
        (out_of_range, r"populations\[0\]: `threshold`: .* do not fit 17 unsigned bits"),
        (not_a_number, r"populations\[0\]: `threshold` is not an integer"),
        (a_truth, r"connections\[0\]: `exponent` is not an integer"),
        (added, r"connections\[0\]: unknown field `colour`"),
        (other_kind, r"connections\[0\]: `kind` is `wire`, none of dense, sparse, conv"),
        (other_format, "format `nmc.loihi/2`, not `nmc.loihi/1`"),
        (no_list, "`sources` is not a list"),
        (no_object, "`sources` holds something that is not an object"),
        (no_shape, r"sources\[0\]: a shape of \[\]"),
        (not_stock, r"populations\[0\]: `stock` is wrong"),
        (outside, r"../secret.npy: missing"),
    ],
)
def test_read_names_the_field_that_is_wrong(change: Callable[[dict[str, Any]], None], message: str) -> None:
    written = files.write(program())
    document = json.loads(written["network.json"])
    change(document)
    with pytest.raises(ValueError, match=message):
        files.read({**written, "network.json": json.dumps(document).encode()})


def test_names_that_are_no_file_names_do_not_collide() -> None:
    from dataclasses import replace

    network = program()
    layer = network.populations[0]
    first = replace(layer, name="a/b", bias_mantissa=_ramp(layer.shape))
    second = replace(layer, name="a:b", bias_mantissa=_ramp(layer.shape))
    from tests.backends.loihi.networks import on_one_core

    both = on_one_core((), (first, second), ())
    written = files.write(both)
    assert {"parameters/a_b.bias_mantissa.npy", "parameters/a_b-2.bias_mantissa.npy"} <= set(written)
    assert files.read(written) == both


def _ramp(shape: tuple[int, ...]) -> Any:
    from nmc.backends.loihi.program import BIAS
    from nmc.ir.tensor import Tensor

    return Tensor(np.arange(int(np.prod(shape))).reshape(shape), BIAS)


def test_program_refuses_what_does_not_read_with_the_way_out() -> None:
    with pytest.raises(CompileError, match=r"NMC403.*network\.json: missing"):
        files.program({})
