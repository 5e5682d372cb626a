"""Values in the text form of a graph: how each type is shown, and how it is read back.

Everything is walked by the fields of its dataclass and read by the types of these fields, so that a new
operation needs nothing here. A field is `name=value`, or `name(…)` if the value has fields itself; one that is
called `shape` stands without its name. Enums are their names in lower case, None is `none`.

    0.9   [0.9, 0.8]   0.9:f32   3   [3, -2]:s8e-4       tensors of at most eight elements: float64, float32,
                                                         plain integers (int64), mantissas with their number
    @fc1.weight:s8e-4[128, 64]#5f0c1a77e3b2              larger ones, by name, with format, shape and digest
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from nmc.diagnostics import nearest
from nmc.ir.neuron import Arithmetic
from nmc.ir.tensor import Array, FixedPoint, Tensor

INLINE = 8
"""The most elements that a tensor shows in the text itself."""

DIGEST = 12
"""Hexadecimal digits of a digest."""

_WORD = r"(?:(?!->)[\w.+\-/~])+"
_TOKEN = re.compile(rf"\s*(?:(?P<string>\"(?:[^\"\\]|\\.)*\")|(?P<mark>->|[=()\[\],:@#])|(?P<word>{_WORD}))")
_NUMBER = re.compile(r"([su])(\d+)e(-?\d+)")
_DTYPES = {"f64": np.dtype(np.float64), "f32": np.dtype(np.float32), "i64": np.dtype(np.int64)}


# ---- showing ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Names:
    """What the text refers to by name: arithmetics, and tensors by the node and the path that have them."""

    arithmetics: Mapping[Arithmetic, str]
    tensors: Mapping[tuple[str, str], str]


def is_inline(tensor: Tensor) -> bool:
    """Whether the text holds the tensor's values itself."""
    return 0 < tensor.size <= INLINE and bool(np.isfinite(tensor.data).all())


def show_string(text: str) -> str:
    """The text itself if it is a word that means nothing else, else as a JSON string."""
    plain = re.fullmatch(_WORD, text) is not None and text != "none"
    return text if plain else json.dumps(text, ensure_ascii=False)


def show_fields(value: object, names: Names, *, node: str = "", path: str = "") -> list[str]:
    """All fields of a dataclass, each as text."""
    shown: list[str] = []
    for each in fields(value):  # pyright: ignore[reportArgumentType] - a dataclass instance, as all callers have
        part = getattr(value, each.name)
        inner = f"{path}.{each.name}" if path else each.name
        text = show_value(part, names, node=node, path=inner)
        if each.name == "shape":
            shown.append(text)
        else:
            shown.append(f"{each.name}{'' if text.startswith('(') else '='}{text}")
    return shown


def show_value(value: object, names: Names, *, node: str, path: str) -> str:
    """One value; `node` and `path` say whose, which names a large tensor."""
    match value:
        case None:
            return "none"
        case Enum():
            return value.name.lower()
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case str():
            return show_string(value)
        case FixedPoint():
            return str(value)
        case Tensor():
            return (
                _show_tensor(value) if is_inline(value) else _show_reference(value, names.tensors[node, path])
            )
        case Arithmetic():
            return names.arithmetics[value]
        case tuple():
            parts = [show_value(part, names, node=node, path=f"{path}.{at}") for at, part in enumerate(value)]
            return f"[{', '.join(parts)}]"
        case _ if is_dataclass(value):
            return f"({' '.join(show_fields(value, names, node=node, path=path))})"
        case _:
            raise TypeError(f"no text form for {type(value).__name__}")


def _show_tensor(tensor: Tensor) -> str:
    def nested(values: Any) -> str:  # Any: a list of lists, as deep as the tensor has axes
        return f"[{', '.join(map(nested, values))}]" if isinstance(values, list) else values

    cells = np.array([_show_cell(cell) for cell in tensor.data.flat], object).reshape(tensor.shape)
    text = nested(cells.tolist())
    form = _format(tensor)
    return text if form in {"f64", "i64"} else f"{text}:{form}"


def _show_cell(cell: np.generic) -> str:
    """The shortest decimal that gives the same bits again."""
    if cell.dtype == np.float32:
        short = str(cell)
        return short if np.float32(float(short)) == cell else repr(cell.item())
    return repr(cell.item())


def _show_reference(tensor: Tensor, name: str) -> str:
    """`name` has no colon, as names of tensors never have."""
    return f"@{name}:{_format(tensor)}{list(tensor.shape)}#{tensor.digest()[:DIGEST]}"


def _format(tensor: Tensor) -> str:
    if tensor.number is not None:
        return str(tensor.number)
    return next(name for name, dtype in _DTYPES.items() if dtype == tensor.data.dtype)


# ---- reading ----------------------------------------------------------------------------------------------


class SyntaxFault(Exception):  # noqa: N818 - it is caught where the line is known and becomes a Diagnostic
    """What is wrong at a column of a line, counted from 1."""

    def __init__(self, message: str, column: int, *, help: str = "", code: str = "NMC140") -> None:  # noqa: A002 - as in Diagnostic
        super().__init__(message)
        self.message = message
        self.column = column
        self.help = help
        self.code = code


@dataclass(frozen=True, slots=True)
class Known:
    """What names in the text refer to."""

    arithmetics: Mapping[str, Arithmetic]
    tensors: Mapping[str, Tensor | Array]


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int


_END = "end of line"


class Line:
    """The tokens of one line, taken from left to right."""

    def __init__(self, text: str, known: Known) -> None:
        self.known = known
        self._tokens: list[_Token] = []
        self._next = 0
        at = 0
        while at < len(text.rstrip()):
            found = _TOKEN.match(text, at)
            if found is None:
                rest = text[at:].lstrip()
                raise SyntaxFault(f"`{rest[0]}` means nothing here", len(text) - len(rest) + 1)
            kind = str(found.lastgroup)
            self._tokens.append(_Token(kind, found[kind], found.start(kind) + 1))
            at = found.end()
        self._tokens.append(_Token(_END, _END, len(text.rstrip()) + 1))

    @property
    def column(self) -> int:
        """Where the next token begins."""
        return self._tokens[self._next].column

    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self._tokens[self._next].kind == _END

    def sees(self, mark: str) -> bool:
        """Whether the next token is this mark."""
        token = self._tokens[self._next]
        return token.kind == "mark" and token.text == mark

    def accept(self, mark: str) -> bool:
        """Take the mark if it comes next."""
        if not self.sees(mark):
            return False
        self._next += 1
        return True

    def expect(self, mark: str) -> None:
        """Take the mark, which must come next."""
        if not self.accept(mark):
            raise self.fault(f"expected `{mark}`, found `{self._tokens[self._next].text}`")

    def finish(self) -> None:
        """Nothing may be left."""
        if not self.at_end():
            raise self.fault(f"`{self._tokens[self._next].text}` is too much")

    def word(self, what: str) -> str:
        """Take a bare word."""
        return self._take(what, {"word"}).text

    def string(self, what: str) -> str:
        """Take a word or a quoted string."""
        token = self._take(what, {"word", "string"})
        if token.kind == "word":
            return token.text
        try:
            return str(json.loads(token.text))
        except json.JSONDecodeError as fault:
            raise SyntaxFault(f"the string is malformed: {fault.msg}", token.column) from fault

    def sees_word(self, text: str) -> bool:
        """Whether the next token is this bare word."""
        token = self._tokens[self._next]
        return token.kind == "word" and token.text == text

    def accept_word(self, text: str) -> bool:
        """Take the bare word if it comes next."""
        if not self.sees_word(text):
            return False
        self._next += 1
        return True

    def fault(self, message: str, *, help: str = "", back: int = 0) -> SyntaxFault:  # noqa: A002 - as in Diagnostic
        """An error at the next token, or at one that was taken `back` tokens ago."""
        return SyntaxFault(message, self._tokens[self._next - back].column, help=help)

    def _take(self, what: str, kinds: set[str]) -> _Token:
        token = self._tokens[self._next]
        if token.kind not in kinds:
            raise self.fault(f"expected {what}, found `{token.text}`")
        self._next += 1
        return token


def read_fields(line: Line, form: type, *, until: Callable[[Line], bool]) -> dict[str, Any]:
    """Fields of a dataclass by name; Any: each has the type that the dataclass gives it."""
    hints = _types(form)
    values: dict[str, Any] = {}
    while not until(line):
        if line.sees("[") and "shape" not in values:
            values["shape"] = read_value(line, hints["shape"])
            continue
        name = line.word("a field")
        if name not in hints:
            message = f"`{form.__name__.lower()}` has no field `{name}`"
            raise line.fault(message, help=nearest(name, hints), back=1)
        if name in values:
            raise line.fault(f"`{name}` is there twice", back=1)
        if not line.sees("("):
            line.expect("=")
        values[name] = read_value(line, hints[name])
    return values


@cache
def _types(form: type) -> dict[str, Any]:
    """The types of a dataclass's fields; looking them up takes longer than reading a line."""
    return get_type_hints(form)


def build(form: type, values: Mapping[str, Any], *, column: int) -> Any:
    """The dataclass from all its fields; Any: an instance of `form`."""
    missing = [f"`{each.name}`" for each in fields(form) if each.init and each.name not in values]
    if missing:
        raise SyntaxFault(f"`{form.__name__.lower()}` lacks {', '.join(missing)}", column)
    try:
        return form(**values)
    except ValueError as fault:
        raise SyntaxFault(str(fault), column) from fault


def read_value(line: Line, hint: Any) -> Any:
    """One value of the type `hint`, as annotations name it; Any on both sides: types are values here."""
    if isinstance(hint, UnionType):
        if line.accept_word("none"):
            return None
        (hint,) = (option for option in get_args(hint) if option is not NoneType)
    if get_origin(hint) is tuple:
        return _read_tuple(line, get_args(hint))
    if hint is Tensor:
        return _read_tensor(line)
    if hint is FixedPoint:
        return _read_number(line, line.word("a number format"))
    if hint is Arithmetic:
        return _read_arithmetic(line)
    if is_dataclass(hint):
        column = line.column
        line.expect("(")
        values = read_fields(line, hint, until=lambda rest: rest.sees(")"))  # pyright: ignore[reportArgumentType]
        line.expect(")")
        return build(hint, values, column=column)  # pyright: ignore[reportArgumentType]
    if hint is str:
        return line.string("a text")
    return _read_scalar(line, hint)


def _read_scalar(line: Line, hint: Any) -> Any:
    text = line.word("a value")
    if issubclass(hint, Enum):
        choices = {choice.name.lower(): choice for choice in hint}
        if text not in choices:
            raise line.fault(f"`{text}` is no {hint.__name__}", help=nearest(text, choices), back=1)
        return choices[text]
    if hint is bool and text in {"true", "false"}:
        return text == "true"
    try:
        return {int: int, float: float}[hint](text)
    except (KeyError, ValueError):
        raise line.fault(f"`{text}` is no {hint.__name__}", back=1) from None


def _read_tuple(line: Line, hints: tuple[Any, ...]) -> tuple[Any, ...]:
    values: list[Any] = []
    start = line.column
    line.expect("[")
    endless = hints[-1] is Ellipsis
    while not line.sees("]"):
        if values:
            line.expect(",")
        values.append(read_value(line, hints[0] if endless else hints[min(len(values), len(hints) - 1)]))
    line.expect("]")
    if not endless and len(values) != len(hints):
        raise SyntaxFault(f"{len(values)} entries where {len(hints)} are needed", start)
    return tuple(values)


def _read_arithmetic(line: Line) -> Arithmetic:
    name = line.word("the name of an arithmetic")
    if name not in line.known.arithmetics:
        known = nearest(name, line.known.arithmetics)
        raise line.fault(f"no arithmetic `{name}` before this line", help=known, back=1)
    return line.known.arithmetics[name]


def _read_number(line: Line, text: str) -> FixedPoint:
    found = _NUMBER.fullmatch(text)
    if found is None:
        help_ = "`s` or `u`, bits, `e` and the exponent, such as s8e-4"
        raise line.fault(f"`{text}` is no number format", help=help_, back=1)
    try:
        return FixedPoint(int(found[2]), found[1] == "s", int(found[3]))
    except ValueError as fault:
        raise line.fault(str(fault), back=1) from fault


def _read_tensor(line: Line) -> Tensor:
    column = line.column
    try:
        return _read_reference(line) if line.accept("@") else _read_inline(line)
    except (ValueError, OverflowError) as fault:  # ragged lists, mantissas that do not fit
        raise SyntaxFault(str(fault), column) from fault


def _read_inline(line: Line) -> Tensor:
    cells: list[str] = []
    values = _read_cells(line, cells)
    whole = all(re.fullmatch(r"-?\d+", cell) for cell in cells)
    form = line.word("a format") if line.accept(":") else "i64" if whole else "f64"
    number = None if form in _DTYPES else _read_number(line, form)
    if not whole and form not in {"f64", "f32"}:
        raise line.fault(f"`{form}` needs integers", back=1)
    return Tensor(np.array(values, np.int64 if number else _DTYPES[form]), number)


def _read_cells(line: Line, cells: list[str]) -> Any:
    """A number, or a list of such; `cells` collects the words."""
    if line.accept("["):
        values = [_read_cells(line, cells)]
        while line.accept(","):
            values.append(_read_cells(line, cells))
        line.expect("]")
        return values
    cells.append(line.word("a number"))
    try:
        return int(cells[-1]) if re.fullmatch(r"-?\d+", cells[-1]) else float(cells[-1])
    except ValueError:
        raise line.fault(f"`{cells[-1]}` is no number", back=1) from None


def _read_reference(line: Line) -> Tensor:
    column = line.column
    name = line.string("the name of a tensor")
    line.expect(":")
    form = line.word("a format")
    number = None if form in _DTYPES else _read_number(line, form)
    shape = read_value(line, tuple[int, ...])
    line.expect("#")
    digest = line.word("a digest")
    held = line.known.tensors.get(name)
    if held is None:
        help_ = nearest(name, line.known.tensors)
        raise SyntaxFault(f"there is no tensor `{name}`", column, help=help_, code="NMC141")
    try:
        tensor = Tensor(held.data if isinstance(held, Tensor) else held, number)
    except ValueError as fault:
        raise SyntaxFault(f"the tensor `{name}`: {fault}", column, code="NMC141") from fault
    wanted, found = f"{form}{list(shape)}#{digest}", _show_reference(tensor, name).split(":", 1)[1]
    if wanted != found:
        raise SyntaxFault(f"the tensor `{name}` is {found}, not {wanted}", column, code="NMC141")
    return tensor
