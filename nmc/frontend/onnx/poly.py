"""A normal form of elementwise programs: polynomials in variables, comparisons and opaque functions.

Two programs that mean the same in real numbers have the same form, whatever their spelling: `Where`, products with
a comparison, `Relu`, `Clip` and `Sign` all become sums of products with indicators [e > 0] and [e >= 0]. What a
comparison compares never contains an indicator: it is split by cases. Coefficients are arrays that broadcast over the
population; those that cancel up to single precision are zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nmc.ir.program import Program, Scalar, apply
from nmc.ir.tensor import Array

CLOSE = 2e-6
"""Relative difference of two coefficients that single precision cannot tell apart."""

LARGEST = 400
"""Terms of a form; a larger program is kept as it is."""

LONGEST = 6_000
"""Sums that may be formed for one program; those of real neurons take up to 2,000."""

WHOLE = frozenset({Scalar.FLOOR, Scalar.CEIL, Scalar.ROUND, Scalar.TRUNC})
"""Functions that give whole numbers."""

STAIRS = 16
"""A whole number that is bounded by so many is the sum of comparisons with each."""

Monomial = tuple[int, ...]
Form = dict[Monomial, Array]


class TooComplex(Exception):  # noqa: N818 - it is a verdict, not an error
    """A program without a small normal form."""


@dataclass(frozen=True, slots=True)
class Variable:
    """An input or a state."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """1 where form > 0 (or >= 0), else 0."""

    form: Form
    strict: bool


@dataclass(frozen=True, slots=True, eq=False)
class Opaque:
    """A function that is not resolved further."""

    op: Scalar
    args: tuple[Form, ...]


Atom = Variable | Step | Opaque


def equal(a: Array, b: Array) -> bool:
    """Whether two coefficients are the same number, up to single precision."""
    return bool(np.all(np.abs(a - b) <= CLOSE * np.maximum(1e-30, np.maximum(np.abs(a), np.abs(b)))))


def _equal_atoms(algebra: Algebra, a: Atom, b: Atom) -> bool:
    match a, b:
        case Step(), Step():
            return a.strict == b.strict and algebra.same(a.form, b.form)
        case Opaque(), Opaque():
            return a.op is b.op and all(algebra.same(x, y) for x, y in zip(a.args, b.args, strict=True))
        case _:
            return False


class Algebra:
    """Forms over a common set of atoms."""

    def __init__(self) -> None:
        self.atoms: list[Atom] = []
        self.sums = 0

    # ---- atoms ------------------------------------------------------------------------------------------------

    def variable(self, name: str) -> Form:
        """The form of a variable."""
        for number, atom in enumerate(self.atoms):
            if isinstance(atom, Variable) and atom.name == name:
                return {(number,): np.ones(())}
        self.atoms.append(Variable(name))
        return {(len(self.atoms) - 1,): np.ones(())}

    def number(self, value: Array | float) -> Form:
        """The form of a constant."""
        array = np.asarray(value, np.float64)
        if not bool(np.isfinite(array).all()):
            raise TooComplex
        return {(): array} if bool(np.any(array != 0)) else {}

    def _atom(self, new: Step | Opaque) -> int:
        for number, atom in enumerate(self.atoms):
            if _equal_atoms(self, new, atom):
                return number
        if len(self.atoms) > 200:
            raise TooComplex
        self.atoms.append(new)
        return len(self.atoms) - 1

    def is_step(self, atom: int) -> bool:
        """Whether an atom is an indicator."""
        return isinstance(self.atoms[atom], Step)

    def steps_in(self, form: Form) -> list[int]:
        """The indicators of a form."""
        return sorted({atom for monomial in form for atom in monomial if self.is_step(atom)})

    # ---- arithmetic -------------------------------------------------------------------------------------------

    def tidied(self, form: Form) -> Form:
        """The form with [e >= 0] e written as [e > 0] e: they are equal, for e is 0 where they differ."""
        for number in self.steps_in(form):
            atom = self.atoms[number]
            assert isinstance(atom, Step)
            if atom.strict:
                continue
            groups: dict[Monomial, Form] = {}
            for monomial, value in form.items():
                if number in monomial:
                    others = tuple(each for each in monomial if self.is_step(each) and each != number)
                    rest = tuple(each for each in monomial if not self.is_step(each))
                    groups.setdefault(others, {})[rest] = value
            for others, factor in groups.items():
                ratio = self.ratio(factor, atom.form)
                if ratio is None or not self.same(factor, self.scaled(atom.form, ratio)):
                    continue
                strict = self._atom(Step(atom.form, strict=True))
                swap: list[Form] = []
                for rest, value in factor.items():
                    swap.append({tuple(sorted((*rest, *others, number))): -value})
                    swap.append({tuple(sorted((*rest, *others, strict))): value})
                form = self.add(form, *swap)
        return form

    def same(self, a: Form, b: Form) -> bool:
        """Whether two forms are equal up to single precision."""
        scale = max((float(np.max(np.abs(c))) for form in (a, b) for c in form.values()), default=0.0)
        for monomial in a.keys() | b.keys():
            x = a.get(monomial, np.zeros(()))
            y = b.get(monomial, np.zeros(()))
            if not equal(x, y) and float(np.max(np.abs(x - y))) > CLOSE * scale:
                return False
        return True

    def add(self, *forms: Form) -> Form:
        """The sum; what cancels up to single precision is gone."""
        self.sums += 1
        if self.sums > LONGEST:
            raise TooComplex
        parts: dict[Monomial, list[Array]] = {}
        for form in forms:
            for monomial, value in form.items():
                parts.setdefault(monomial, []).append(value)
        result: Form = {}
        for monomial, values in parts.items():
            total = sum(values[1:], values[0])
            if len(values) > 1:
                scale = np.maximum.reduce(np.broadcast_arrays(*[np.abs(value) for value in values]))
                total = np.where(np.abs(total) <= CLOSE / 4 * scale, 0.0, total)
            if bool(np.any(total != 0)):
                result[monomial] = np.asarray(total)
        if len(result) > LARGEST:
            raise TooComplex
        return result

    def scaled(self, form: Form, factor: Array | float) -> Form:
        """The form times a constant."""
        array = np.asarray(factor, np.float64)
        if not bool(np.any(array != 0)):
            return {}
        return {monomial: np.asarray(value * array) for monomial, value in form.items()}

    def subtract(self, a: Form, b: Form) -> Form:
        """The difference."""
        return self.add(a, self.scaled(b, -1.0))

    def multiply(self, a: Form, b: Form) -> Form:
        """The product, with what comparisons imply for each other."""
        if len(a) * len(b) > LARGEST * 4:
            raise TooComplex
        terms: list[Form] = []
        for first, x in a.items():
            for second, y in b.items():
                monomial = self._product(first, second)
                if monomial is not None:
                    terms.append({monomial: np.asarray(x * y)})
        return self.add(*terms)

    def _product(self, a: Monomial, b: Monomial) -> Monomial | None:
        atoms = sorted([*a, *b])
        steps = sorted({atom for atom in atoms if self.is_step(atom)})
        rest = [atom for atom in atoms if not self.is_step(atom)]
        steps = self._implied(steps)
        if len(rest) > 4:
            raise TooComplex
        counts = [atom for atom in rest if isinstance(self.atoms[atom], Opaque)]
        if steps and counts:
            steps = self._implied([self._counted(step, counts) for step in steps])
            rest = [self._floored(atom, steps) for atom in rest]
        return tuple(sorted([*rest, *steps]))

    def _floored(self, number: int, steps: Sequence[int]) -> int:
        """Beside [e - c >= 0] with c >= 0, the truncation of e is its floor."""
        function = self.atoms[number]
        if not isinstance(function, Opaque) or function.op is not Scalar.TRUNC:
            return number
        for step in steps:
            atom = self.atoms[step]
            assert isinstance(atom, Step)
            level = self.level(atom.form, function.args[0])
            if level is not None and bool(np.all(level >= 0)):
                return self._atom(Opaque(Scalar.FLOOR, function.args))
        return number

    def _implied(self, steps: Sequence[int]) -> list[int]:
        """Without the indicators that others imply."""
        kept = list(dict.fromkeys(steps))
        for weak in list(kept):
            for strong in kept:
                if strong != weak and weak in kept and self._implies(strong, weak):
                    kept.remove(weak)
        return kept

    def _implies(self, strong: int, weak: int) -> bool:
        a, b = self.atoms[strong], self.atoms[weak]
        assert isinstance(a, Step)
        assert isinstance(b, Step)
        gap = self.constant(self.subtract(b.form, a.form))
        if gap is None:
            return False
        if bool(np.all(gap > 0)):
            return True
        return bool(np.all(gap == 0)) and (a.strict or not b.strict)

    def _counted(self, step: int, opaque: Sequence[int]) -> int:
        """Beside floor(e), [e - c >= 0] with 0 <= c <= 1 is [e - 1 >= 0]: the floor is 0 in between.

        So it is for each function that gives whole numbers, about where it is 0.
        """
        atom = self.atoms[step]
        assert isinstance(atom, Step)
        for number in opaque:
            function = self.atoms[number]
            if not isinstance(function, Opaque) or function.op not in WHOLE:
                continue
            level = self.level(atom.form, function.args[0])
            if level is None or not bool(np.all(_is_zero_from(function.op, level, strict=atom.strict))):
                continue
            reached = self.reaches(function, np.ones(()))
            return step if reached is None else self._single(reached, step)
        return step

    def _single(self, form: Form, default: int) -> int:
        if len(form) == 1:
            ((monomial, value),) = form.items()
            if len(monomial) == 1 and bool(np.all(value == 1)):
                return monomial[0]
        return default

    def constant(self, form: Form) -> Array | None:
        """The value of a form without atoms."""
        if not form:
            return np.zeros(())
        return form[()] if set(form) == {()} else None

    def ratio(self, a: Form, b: Form) -> Array | None:
        """The factor between the parts of two forms that are not constant; None if they are not proportional."""
        keys = [key for key in b if key]
        if not keys or {key for key in a if key} != set(keys):
            return None
        for key in keys:
            if bool(np.any(b[key] == 0)):
                return None
        factor = np.asarray(a[keys[0]] / b[keys[0]])
        if all(equal(np.asarray(a[key]), np.asarray(factor * b[key])) for key in keys):
            return factor
        return None

    def level(self, step: Form, of: Form) -> Array | None:
        """The level c for which a step's form is a positive multiple of another form less c; None if it is not."""
        ratio = self.ratio(step, of)
        if ratio is None or not bool(np.all(ratio > 0)):
            return None
        gap = self.constant(self.subtract(of, self.scaled(step, 1 / ratio)))
        return None if gap is None else _snapped(gap)

    # ---- comparisons and functions ----------------------------------------------------------------------------

    def _by_cases(self, form: Form, make: Callable[[Form], Form]) -> Form:
        """`make` of a form, split by the indicators in it, so that it sees forms without indicators."""
        steps = self.steps_in(form)
        if not steps:
            return make(form)
        if len(steps) > 6:
            raise TooComplex
        step = steps[0]
        one = {(step,): np.ones(())}
        true = self._by_cases(self.assume(form, step, true=True), make)
        false = self._by_cases(self.assume(form, step, true=False), make)
        if self.same(true, false):
            return true
        return self.add(self.multiply(one, self.subtract(true, false)), false)

    def assume(self, form: Form, step: int, *, true: bool) -> Form:
        """The form where an indicator has a value, and every indicator has that follows from it."""
        terms: list[Form] = []
        known = {step: true}
        for other in self.steps_in(form):
            if other != step:
                if true and self._implies(step, other):
                    known[other] = True
                elif not true and self._implies(other, step):
                    known[other] = False
        for monomial, value in form.items():
            if any(known.get(atom) is False for atom in monomial):
                continue
            terms.append({tuple(atom for atom in monomial if atom not in known): value})
        return self.add(*terms)

    def step(self, form: Form, *, strict: bool) -> Form:
        """[form > 0] or [form >= 0]."""
        return self._by_cases(form, lambda plain: self._plain_step(plain, strict=strict))

    def _plain_step(self, form: Form, *, strict: bool) -> Form:
        value = self.constant(form)
        if value is not None:
            return self.number(((value > 0) if strict else (value >= 0)).astype(np.float64))
        lead = form[min(key for key in form if key)]
        if bool(np.all(lead > 0)):
            return self._positive_step(self.scaled(form, 1 / lead), strict=strict)
        if bool(np.all(lead < 0)):
            other = self._positive_step(self.scaled(form, 1 / lead), strict=not strict)
            return self.subtract(self.number(1.0), other)
        return {(self._atom(Step(form, strict)),): np.ones(())}

    def _positive_step(self, form: Form, *, strict: bool) -> Form:
        whole = self._whole_step(form, strict=strict)
        return {(self._atom(Step(form, strict)),): np.ones(())} if whole is None else whole

    def _whole_step(self, form: Form, *, strict: bool) -> Form | None:
        """[f + c > 0] of a function f that gives whole numbers, as a comparison of its argument."""
        keys = [key for key in form if key]
        if len(keys) != 1 or len(keys[0]) != 1:
            return None
        function = self.atoms[keys[0][0]]
        if not isinstance(function, Opaque) or function.op not in WHOLE:
            return None
        level = _snapped(-form.get((), np.zeros(())))
        return self.reaches(function, np.floor(level) + 1 if strict else np.ceil(level))

    def reaches(self, function: Opaque, count: Array) -> Form | None:
        """[f >= count] of a function that gives whole numbers; None if neurons differ in how it is compared."""
        match function.op:
            case Scalar.FLOOR:
                level, closed = count, np.array(True)
            case Scalar.CEIL:
                level, closed = count - 1, np.array(False)
            case Scalar.ROUND:
                level, closed = count - 0.5, count % 2 == 0
            case _:
                level, closed = np.where(count >= 1, count, count - 1), count >= 1
        if bool(np.any(closed)) != bool(np.all(closed)):
            return None
        return self.step(self.subtract(function.args[0], self.number(level)), strict=not bool(np.all(closed)))

    def _staircase(self, op: Scalar, form: Form, bound: Array | None) -> Form | None:
        """A whole number between 0 and a small bound, as the sum of the steps that it reaches."""
        shortest = sorted(form, key=len)
        found = [each for key in shortest for number in key if isinstance(each := self.atoms[number], Opaque)]
        if not found or found[0].op not in WHOLE or bound is None or bound.ndim:
            return None
        function = {(self._atom(found[0]),): np.ones(())}
        if op is Scalar.MAX and bound == 0:
            alone = [value for key, value in form.items() if len(key) == 1 and self.is_step(key[0])]
            if len(alone) != 1:
                return None
            largest = alone[0]
            inner = self.apply(Scalar.MIN, [function, self.number(largest)])
        elif op is Scalar.MIN:
            largest = bound
            inner = self.apply(Scalar.MAX, [function, {}])
        else:
            return None
        if largest.ndim or not 1 <= largest <= STAIRS or largest % 1 or not self.same(form, inner):
            return None
        steps = [self.reaches(found[0], np.asarray(float(n))) for n in range(1, int(largest) + 1)]
        return (
            None
            if any(each is None for each in steps)
            else self.add(*(each for each in steps if each is not None))
        )

    def function(self, op: Scalar, args: Sequence[Form]) -> Form:
        """A function of forms, evaluated where they are constants."""
        values = [self.constant(arg) for arg in args]
        if all(value is not None for value in values):
            with np.errstate(all="ignore"):
                return self.number(
                    apply(op, [np.asarray(value, np.float64) for value in values if value is not None])
                )
        if len(args) == 1:
            return self._by_cases(args[0], lambda plain: self._plain_function(op, (plain,)))
        return self._plain_function(op, tuple(args))

    def _plain_function(self, op: Scalar, args: tuple[Form, ...]) -> Form:
        values = [self.constant(arg) for arg in args]
        if len(args) == 1 and values[0] is not None:
            return self.number(apply(op, [np.asarray(values[0], np.float64)]))
        return {(self._atom(Opaque(op, args)),): np.ones(())}

    def apply(self, op: Scalar, args: Sequence[Form]) -> Form:
        """A scalar operation on forms."""
        a = args[0]
        b = args[1] if len(args) > 1 else {}
        if op in {Scalar.MAX, Scalar.MIN} and self.constant(a) is not None:
            a, b = b, a
        one = self.number(1.0)
        match op:
            case Scalar.ADD:
                return self.add(a, b)
            case Scalar.SUB:
                return self.subtract(a, b)
            case Scalar.NEG:
                return self.scaled(a, -1.0)
            case Scalar.MUL | Scalar.AND:
                return self.multiply(a, b)
            case Scalar.OR:
                return self.subtract(self.add(a, b), self.multiply(a, b))
            case Scalar.NOT:
                return self.subtract(one, a)
            case Scalar.DIV:
                divisor = self.constant(b)
                if divisor is None or bool(np.any(divisor == 0)):
                    return self.function(op, args)
                return self.scaled(a, 1 / divisor)
            case Scalar.WHERE:
                return self.add(self.multiply(a, self.subtract(b, args[2])), args[2])
            case Scalar.ABOVE:
                return self.step(self.subtract(a, b), strict=True)
            case Scalar.AT_LEAST:
                return self.step(self.subtract(a, b), strict=False)
            case Scalar.EQUAL:
                difference = self.subtract(a, b)
                return self.subtract(self.step(difference, strict=False), self.step(difference, strict=True))
            case Scalar.MAX | Scalar.MIN if (stairs := self._staircase(op, a, self.constant(b))) is not None:
                return stairs
            case Scalar.MAX:
                difference = self.subtract(a, b)
                return self.add(b, self.multiply(self.step(difference, strict=True), difference))
            case Scalar.MIN:
                difference = self.subtract(a, b)
                return self.subtract(a, self.multiply(self.step(difference, strict=True), difference))
            case Scalar.ABS:
                doubled = self.scaled(self.step(a, strict=True), 2.0)
                return self.multiply(self.subtract(doubled, one), a)
            case Scalar.SIGN:
                both = self.add(self.step(a, strict=True), self.step(a, strict=False))
                return self.subtract(both, one)
            case _:
                return self.function(op, args)


def _snapped(level: Array) -> Array:
    """The multiple of a half that a number is, up to single precision."""
    near = np.rint(2 * level) / 2
    return np.where(np.abs(level - near) <= CLOSE, near, level)


def _is_zero_from(op: Scalar, level: Array, *, strict: bool) -> Array:
    """Whether a function that gives whole numbers is 0 where its argument is past a level and it is not yet 1."""
    match op:
        case Scalar.FLOOR:
            return (level >= 0) & ((level < 1) | ((level == 1) & (not strict)))
        case Scalar.CEIL:
            return ((level > -1) | ((level == -1) & strict)) & (level <= 0)
        case Scalar.ROUND:
            return (level >= -0.5) & (level <= 0.5)
        case _:
            return (np.abs(level) < 1) | (level == (-1 if strict else 1))


def forms(
    algebra: Algebra, program: Program, known: Mapping[str, Form] | None = None
) -> tuple[Form, list[Form]]:
    """The output and the new states of a program as forms; `known` are forms to take for some variables."""
    given = known or {}
    values: list[Form] = [
        given[name] if name in given else algebra.variable(name)
        for name in (*program.inputs, *program.states)
    ]
    values += [algebra.number(constant.values) for constant in program.constants]
    for instruction in program.code:
        values.append(algebra.apply(instruction.op, [values[arg] for arg in instruction.args]))
    return values[program.output], [values[index] for index in program.next]


def substituted(algebra: Algebra, form: Form, known: Mapping[int, Form]) -> Form:
    """The form with forms for some variables, also inside comparisons and functions."""
    terms: list[Form] = []
    for monomial, value in form.items():
        product: Form = {(): value}
        for atom in monomial:
            product = algebra.multiply(product, _replaced(algebra, atom, known))
        terms.append(product)
    return algebra.add(*terms)


def _replaced(algebra: Algebra, number: int, known: Mapping[int, Form]) -> Form:
    if number in known:
        return known[number]
    match algebra.atoms[number]:
        case Step(inner, strict):
            return algebra.step(substituted(algebra, inner, known), strict=strict)
        case Opaque(op, args):
            return algebra.function(op, [substituted(algebra, arg, known) for arg in args])
        case _:
            return {(number,): np.ones(())}
