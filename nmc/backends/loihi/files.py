"""The emitted program as files: `network.json`, `cores.json` and `parameters/*.npy`.

`read` believes nothing: what is missing, truncated, foreign or out of range is a ValueError that names the
place.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from enum import Enum, IntEnum
from typing import TypeVar

import numpy as np

from nmc.backends.loihi.program import (
    DELAY,
    POPULATION_FIELDS,
    REFRACTORY,
    STATE,
    STOCK,
    WEIGHT,
    Connection,
    Conv,
    Dense,
    Network,
    Output,
    Population,
    Rule,
    Sign,
    Source,
    Sparse,
    check,
)
from nmc.diagnostics import CompileError, Loc, error
from nmc.ir.graph import Slice
from nmc.ir.neuron import Comparison, Reset, ResetWhen
from nmc.ir.ops import Shape
from nmc.ir.tensor import FixedPoint, Tensor

FORMAT = "nmc.loihi/1"
NETWORK_FILE = "network.json"
CORES_FILE = "cores.json"
PARAMETERS = "parameters/"

Json = dict[str, "JsonValue"]
JsonValue = None | bool | int | str | list["JsonValue"] | Json
_Enumerated = TypeVar("_Enumerated", bound=Enum)


def write(network: Network) -> dict[str, bytes]:
    """The program's files by name. Equal networks give equal bytes."""
    writer = _Writer()
    structure: Json = {
        "format": FORMAT,
        "sources": [
            {"name": s.name, "shape": list(s.shape), "message_bits": s.message_bits, "signed": s.signed}
            for s in network.sources
        ],
        "populations": [_population_json(p, writer) for p in network.populations],
        "connections": [_connection_json(c, writer) for c in network.connections],
        "outputs": [{"name": o.name, "of": o.of, "delay": o.delay} for o in network.outputs],
    }
    cores: Json = {
        "format": FORMAT,
        "slices": [{"of": s.node, "start": s.start, "stop": s.stop, "core": s.core} for s in network.cores],
    }
    return {NETWORK_FILE: _encode(structure), CORES_FILE: _encode(cores), **writer.files}


def read(files: Mapping[str, bytes]) -> Network:
    """The network that `write` gave these files for; other names are ignored. Raises ValueError."""
    reader = _Reader(files)
    structure, cores = reader.document(NETWORK_FILE), reader.document(CORES_FILE)
    network = Network(
        sources=tuple(_read_source(part) for part in structure.parts("sources")),
        populations=tuple(_read_population(part) for part in structure.parts("populations")),
        connections=tuple(_read_connection(part) for part in structure.parts("connections")),
        outputs=tuple(
            Output(part.text("name"), part.text("of"), part.number("delay"))
            for part in structure.parts("outputs", known=("name", "of", "delay"))
        ),
        cores=tuple(
            Slice(part.text("of"), part.number("start"), part.number("stop"), part.number("core"))
            for part in cores.parts("slices", known=("of", "start", "stop", "core"))
        ),
    )
    structure.only("format", "sources", "populations", "connections", "outputs")
    cores.only("format", "slices")
    unread = sorted(name for name in files if name.startswith(PARAMETERS) and name not in reader.used)
    check(not unread, f"{', '.join(unread)}: not named by {NETWORK_FILE}")
    return network


def program(files: Mapping[str, bytes]) -> Network:
    """The network of an artifact's files. Raises CompileError (NMC403) where `read` finds them wrong."""
    try:
        return read(files)
    except ValueError as fault:
        message = f"the program in the artifact does not read: {fault}"
        advice = "compile the model again with this version of nmc"
        raise CompileError(error("NMC403", message, Loc(NETWORK_FILE), help=advice)) from fault


def _encode(document: Json) -> bytes:
    return (json.dumps(document, indent=1, ensure_ascii=True) + "\n").encode("ascii")


class _Writer:
    """Collects arrays as .npy files with readable, unique names."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def tensor(self, owner: str, field: str, tensor: Tensor) -> JsonValue:
        if tensor.shape == ():
            return int(tensor.data)
        slug = re.sub(r"[^A-Za-z0-9_-]+", "_", owner)
        name, count = f"{PARAMETERS}{slug}.{field}.npy", 1
        while name in self.files:
            count += 1
            name = f"{PARAMETERS}{slug}-{count}.{field}.npy"
        self.files[name] = _npy(tensor)
        return {"file": name}


def _npy(tensor: Tensor) -> bytes:
    dtype = np.dtype(np.int32) if tensor.number is None else tensor.number.dtype
    buffer = io.BytesIO()
    np.lib.format.write_array(
        buffer,
        np.ascontiguousarray(tensor.data.astype(dtype.newbyteorder("<"))),
        version=(1, 0),
        allow_pickle=False,
    )
    return buffer.getvalue()


def _population_json(population: Population, writer: _Writer) -> Json:
    part: Json = {"name": population.name, "shape": list(population.shape), "stock": population.stock}
    for field in POPULATION_FIELDS:
        part[field] = writer.tensor(population.name, field, getattr(population, field))
    rule = population.rule
    if rule != STOCK:
        part["rule"] = {
            "comparison": rule.comparison.name,
            "reset": rule.reset.name,
            "when": rule.when.name,
            "fire": rule.fire,
            "refractory": writer.tensor(population.name, "refractory", rule.refractory),
            "minimum": None
            if rule.minimum is None
            else writer.tensor(population.name, "minimum", rule.minimum),
            "every": rule.every,
            "phase": rule.phase,
        }
    return part


def _connection_json(connection: Connection, writer: _Writer) -> Json:
    part: Json = {
        "name": connection.name,
        "kind": type(connection).__name__.lower(),
        "pre": connection.pre,
        "post": connection.post,
    }
    part |= {
        "exponent": connection.exponent,
        "weight_bits": connection.weight_bits,
        "sign": connection.sign.value,
        "message_bits": connection.message_bits,
        "weight": writer.tensor(connection.name, "weight", connection.weight),
    }
    if isinstance(connection, Conv):
        window: Json = {
            "stride": list(connection.stride),
            "padding": list(connection.padding),
            "dilation": list(connection.dilation),
            "groups": connection.groups,
        }
        return part | window
    if isinstance(connection, Sparse):
        part["post_index"] = writer.tensor(connection.name, "post_index", connection.post_index)
        part["pre_index"] = writer.tensor(connection.name, "pre_index", connection.pre_index)
    part["delay"] = (
        None if connection.delay is None else writer.tensor(connection.name, "delay", connection.delay)
    )
    return part


class _Reader:
    """Opens documents and arrays, and keeps note of which arrays were asked for."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files
        self.used: set[str] = set()

    def document(self, name: str) -> _Part:
        check(name in self.files, f"{name}: missing")
        try:
            document = json.loads(self.files[name].decode("utf-8"))
        except ValueError as fault:
            raise ValueError(f"{name}: {fault}") from fault
        check(isinstance(document, dict), f"{name}: not an object")
        part = _Part(self, name, document)
        found = part.text("format")
        check(found == FORMAT, f"{name}: format `{found}`, not `{FORMAT}`")
        return part

    def array(self, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
        check(name in self.files and name.startswith(PARAMETERS), f"{name}: missing")
        self.used.add(name)
        buffer = io.BytesIO(self.files[name])
        try:
            array = np.lib.format.read_array(buffer, allow_pickle=False)
        except (ValueError, EOFError) as fault:
            raise ValueError(f"{name}: {fault}") from fault
        check(not buffer.read(1), f"{name}: bytes after the end of the array")
        check(array.dtype.kind == "i", f"{name}: {array.dtype}, not integers")
        return array


class _Part:
    """One JSON object, with the place it stands at for messages."""

    def __init__(self, reader: _Reader, place: str, content: Json) -> None:
        self.reader, self.place, self.content = reader, place, content

    def only(self, *known: str) -> None:
        unknown = sorted(set(self.content) - set(known))
        check(not unknown, f"{self.place}: unknown field `{unknown[0] if unknown else ''}`")

    def value(self, key: str) -> JsonValue:
        check(key in self.content, f"{self.place}: no field `{key}`")
        return self.content[key]

    def text(self, key: str) -> str:
        value = self.value(key)
        if not isinstance(value, str):
            raise ValueError(f"{self.place}: `{key}` is not text")
        return value

    def flag(self, key: str) -> bool:
        value = self.value(key)
        if not isinstance(value, bool):
            raise ValueError(f"{self.place}: `{key}` is neither true nor false")
        return value

    def number(self, key: str) -> int:
        return self._integer(key, self.value(key))

    def numbers(self, key: str) -> tuple[int, ...]:
        return tuple(self._integer(key, item) for item in self._list(key))

    def pair(self, key: str) -> tuple[int, int]:
        values = self.numbers(key)
        if len(values) != 2:
            raise ValueError(f"{self.place}: `{key}` is not a pair")
        return values[0], values[1]

    def one_of(self, key: str, kind: type[_Enumerated]) -> _Enumerated:
        found = self.text(key)
        by_name = {member.name: member for member in kind}
        check(found in by_name, f"{self.place}: `{key}` is `{found}`, none of {', '.join(by_name)}")
        return by_name[found]

    def tensor(self, key: str, number: FixedPoint | None) -> Tensor:
        value = self.value(key)
        try:
            if isinstance(value, dict):
                return Tensor(
                    self.reader.array(_Part(self.reader, f"{self.place} {key}", value).text("file")), number
                )
            return Tensor(self._integer(key, value), number)
        except ValueError as fault:
            raise ValueError(f"{self.place}: `{key}`: {fault}") from fault

    def optional_tensor(self, key: str, number: FixedPoint) -> Tensor | None:
        return None if self.value(key) is None else self.tensor(key, number)

    def part(self, key: str) -> _Part:
        value = self.value(key)
        if not isinstance(value, dict):
            raise ValueError(f"{self.place}: `{key}` is not an object")
        return _Part(self.reader, f"{self.place} {key}", value)

    def parts(self, key: str, known: tuple[str, ...] | None = None) -> list[_Part]:
        found: list[_Part] = []
        for index, item in enumerate(self._list(key)):
            if not isinstance(item, dict):
                raise ValueError(f"{self.place}: `{key}` holds something that is not an object")
            part = _Part(self.reader, f"{self.place} {key}[{index}]", item)
            if known is not None:
                part.only(*known)
            found.append(part)
        return found

    def _list(self, key: str) -> list[JsonValue]:
        value = self.value(key)
        if not isinstance(value, list):
            raise ValueError(f"{self.place}: `{key}` is not a list")
        return value

    def _integer(self, key: str, value: JsonValue) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"{self.place}: `{key}` is not an integer")
        return value


def _shape(part: _Part) -> Shape:
    shape = part.numbers("shape")
    check(bool(shape) and all(size > 0 for size in shape), f"{part.place}: a shape of {list(shape)}")
    return shape


def _read_source(part: _Part) -> Source:
    part.only("name", "shape", "message_bits", "signed")
    return Source(part.text("name"), _shape(part), part.number("message_bits"), part.flag("signed"))


def _read_population(part: _Part) -> Population:
    part.only("name", "shape", "stock", "rule", *POPULATION_FIELDS)
    population = Population(
        name=part.text("name"),
        shape=_shape(part),
        rule=_read_rule(part.part("rule")) if "rule" in part.content else STOCK,
        **{field: part.tensor(field, number) for field, number in POPULATION_FIELDS.items()},
    )
    check(population.stock == part.flag("stock"), f"{part.place}: `stock` is wrong")
    return population


def _read_rule(part: _Part) -> Rule:
    part.only(*Rule.__dataclass_fields__)
    return Rule(
        comparison=part.one_of("comparison", Comparison),
        reset=part.one_of("reset", Reset),
        when=part.one_of("when", ResetWhen),
        fire=part.flag("fire"),
        refractory=part.tensor("refractory", REFRACTORY),
        minimum=part.optional_tensor("minimum", STATE),
        every=part.number("every"),
        phase=part.number("phase"),
    )


class _Kind(IntEnum):
    dense = 0
    sparse = 1
    conv = 2


def _read_connection(part: _Part) -> Connection:
    name, pre, post, kind = part.text("name"), part.text("pre"), part.text("post"), part.one_of("kind", _Kind)
    ends = ("name", "kind", "pre", "post")
    ends += ("exponent", "weight_bits", "sign", "message_bits", "weight")
    weight, exponent = part.tensor("weight", WEIGHT), part.number("exponent")
    bits, sign, message_bits = (
        part.number("weight_bits"),
        part.one_of("sign", Sign),
        part.number("message_bits"),
    )
    if kind is _Kind.conv:
        part.only(*ends, "stride", "padding", "dilation", "groups")
        return Conv(
            name,
            pre,
            post,
            weight,
            part.pair("stride"),
            part.pair("padding"),
            part.pair("dilation"),
            part.number("groups"),
            exponent,
            bits,
            sign,
            message_bits,
        )
    delay = part.optional_tensor("delay", DELAY)
    if kind is _Kind.dense:
        part.only(*ends, "delay")
        return Dense(name, pre, post, weight, exponent, bits, sign, message_bits, delay)
    part.only(*ends, "delay", "post_index", "pre_index")
    rows, columns = part.tensor("post_index", None), part.tensor("pre_index", None)
    return Sparse(name, pre, post, rows, columns, weight, exponent, bits, sign, message_bits, delay)
