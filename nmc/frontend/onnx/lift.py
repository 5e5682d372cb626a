"""From an elementwise program to a neuron: parameters read off its normal form, checked symbolically, then proved.

`lift` proposes a neuron of the known families; the proposal counts only if the neuron's own step, written in the same
algebra from `ir/neuron.py`'s rules, is the program's form, and if both agree on thousands of points.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nmc.frontend.onnx.poly import CLOSE, Algebra, Form, Opaque, Step, TooComplex, equal, forms, substituted
from nmc.ir.neuron import Comparison, CurrentUsed, Reset, ResetWhen, SpikeFrom
from nmc.ir.ops import Fire, Membrane, Neuron, Synapse
from nmc.ir.program import Program, Scalar
from nmc.ir.tensor import Array, Tensor

COUNT_LIMIT = 1000.0
"""A bound on the spikes of one step from here on is a guard that no run reaches."""


@dataclass(frozen=True, slots=True)
class Lifted:
    """A neuron, and how it stands in for the program.

    `gains` scale each input of the program before they are summed, `offset` is added to the sum, `amplitude` scales
    the output. `variables` says which variable of the neuron each state of the program is; states without one are
    functions of others.
    """

    neuron: Neuron
    gains: tuple[Array, ...]
    amplitude: Array
    variables: dict[str, str]
    offset: Array
    capped: float | None = None


@dataclass(frozen=True, slots=True)
class Parameters:
    """A neuron's numbers while it is being recognized."""

    decay: Array
    gain: Array
    bias: Array
    synapse: tuple[Array, Array, CurrentUsed] | None
    threshold: Array | None = None
    comparison: Comparison = Comparison.ABOVE
    spike_from: SpikeFrom = SpikeFrom.NEW
    reset: Reset = Reset.NONE
    when: ResetWhen = ResetWhen.SAME_STEP
    value: Array | None = None
    minimum: Array | None = None


def lift(program: Program, initial: Sequence[Array], shape: tuple[int, ...]) -> Lifted | None:
    """The neuron that a program is; None if it is of no known family."""
    try:
        return _Reader(program, initial, shape).read()
    except TooComplex:
        return None


class _Reader:
    """The forms of a program, and what has been found out about them."""

    def __init__(self, program: Program, initial: Sequence[Array], shape: tuple[int, ...]) -> None:
        self.program = program
        self.initial = dict(zip(program.states, initial, strict=True))
        self.shape = shape
        self.algebra = Algebra()
        for name in (*program.inputs, *program.states):
            self.algebra.variable(name)
        self.out, nexts = forms(self.algebra, program)
        self.next = dict(zip(program.states, nexts, strict=True))
        self.capped: float | None = None

    def var(self, name: str) -> int:
        """The atom of a variable."""
        ((atom,),) = self.algebra.variable(name)
        return atom

    def read(self) -> Lifted | None:
        """The neuron."""
        self._uncap()
        self._fold_spike_states()
        states = list(self.next)
        if len(states) == 3 or (len(states) == 2 and self._refractory_state(states) is not None):
            return self._refractory(states)
        return self._plain(states, None)

    def _uncap(self) -> None:
        """Without guards on the number of spikes that no run reaches."""
        algebra = self.algebra
        counts = [each for each in algebra.atoms if isinstance(each, Opaque) and each.op is Scalar.FLOOR]
        for number, atom in enumerate(list(algebra.atoms)):
            if not isinstance(atom, Step):
                continue
            levels = [algebra.level(atom.form, count.args[0]) for count in counts]
            far = [level for level in levels if level is not None and bool(np.all(level >= COUNT_LIMIT))]
            if far:
                self.capped = float(np.rint(np.min(far[0]))) - 1
                self.out = algebra.assume(self.out, number, true=False)
                self.next = {
                    name: algebra.assume(form, number, true=False) for name, form in self.next.items()
                }

    def _fold_spike_states(self) -> None:
        """A state that holds the last spike becomes a comparison of the membrane of the step before."""
        algebra = self.algebra
        for name in list(self.next):
            form = self.next[name]
            if not form or set().union(*form) - set(algebra.steps_in(form)) or len(self.next) == 1:
                continue
            for other in list(self.next):
                if other == name:
                    continue
                found = self._spike_of(form, self.next[other], other)
                if found is None or not self._starts_as(name, found, other):
                    continue
                known = {self.var(name): found}
                del self.next[name]
                self.out = substituted(algebra, self.out, known)
                self.next = {key: substituted(algebra, each, known) for key, each in self.next.items()}
                break

    def _spike_of(self, spike: Form, membrane: Form, name: str) -> Form | None:
        algebra = self.algebra
        for number in algebra.steps_in(spike):
            atom = algebra.atoms[number]
            assert isinstance(atom, Step)
            plain = membrane
            for step in algebra.steps_in(membrane):
                plain = algebra.assume(plain, step, true=False)
            ratio = algebra.ratio(atom.form, plain)
            if ratio is None:
                continue
            threshold = plain.get((), np.zeros(())) - atom.form.get((), np.zeros(())) / ratio
            for strict in (True, False):
                shifted = algebra.subtract(membrane, algebra.number(threshold))
                if algebra.same(algebra.step(shifted, strict=strict), spike):
                    old = algebra.subtract(algebra.variable(name), algebra.number(threshold))
                    return algebra.step(old, strict=strict)
        return None

    def _starts_as(self, name: str, form: Form, other: str) -> bool:
        algebra = self.algebra
        value = algebra.constant(
            substituted(algebra, form, {self.var(other): algebra.number(self.initial[other])})
        )
        return value is not None and bool(np.all(value == self.initial[name]))

    # ---- refractory periods -----------------------------------------------------------------------------------

    def _refractory_state(self, states: Sequence[str]) -> str | None:
        """A state that only matters by being above zero."""
        algebra = self.algebra
        for name in states:
            atom = self.var(name)
            mask = algebra.step(algebra.variable(name), strict=True)
            ((step,),) = mask
            used = [form for other, form in self.next.items() if other != name] + [self.out]
            if not any(step in algebra.steps_in(form) for form in used):
                continue
            if all(atom not in monomial for form in used for monomial in form):
                return name
        return None

    def _refractory(self, states: Sequence[str]) -> Lifted | None:
        algebra = self.algebra
        counter = self._refractory_state(states)
        if counter is None:
            return None
        ((mask,),) = algebra.step(algebra.variable(counter), strict=True)
        held_out = algebra.assume(self.out, mask, true=True)
        if held_out:
            return None
        rest = {name: form for name, form in self.next.items() if name != counter}
        countdown = self.next[counter]
        free = algebra.assume(countdown, mask, true=False)
        free = substituted(algebra, free, {self.var(counter): {}})
        out = algebra.assume(self.out, mask, true=False)
        ratio = algebra.ratio(free, out) if () not in free and () not in out else None
        held = algebra.assume(countdown, mask, true=True)
        less = algebra.subtract(algebra.variable(counter), algebra.number(1.0))
        wanted = algebra.tidied(algebra.apply(Scalar.MAX, [less, {}]))
        held = algebra.tidied(held)
        if ratio is None or not algebra.same(held, wanted):
            return None
        membranes = [
            name
            for name, form in rest.items()
            if algebra.same(algebra.assume(form, mask, true=True), algebra.variable(name))
        ]
        if len(membranes) != 1 or bool(np.any(self.initial[counter] != 0)):
            return None
        self.out = out
        self.next = {name: algebra.assume(form, mask, true=False) for name, form in rest.items()}
        periods = np.rint(ratio)
        if not equal(periods, ratio):
            return None
        lifted = self._plain(list(self.next), periods.astype(np.int64))
        if lifted is not None:
            lifted.variables[counter] = "wait"
        return lifted

    # ---- the families -----------------------------------------------------------------------------------------

    def _plain(self, states: Sequence[str], periods: Array | None) -> Lifted | None:
        for membrane, current in _roles(states):
            for lifted in self._candidates(membrane, current, periods):
                return lifted
        return None

    def _candidates(self, membrane: str, current: str | None, periods: Array | None) -> Iterator[Lifted]:
        gains = self._input_gains(membrane, current)
        if gains is None:
            return
        drive = self.algebra.add(
            *(
                self.algebra.scaled(self.algebra.variable(name), gain)
                for name, gain in zip(self.program.inputs, gains, strict=True)
            )
        )
        offset = self._offset(current)
        drive = self.algebra.add(drive, self.algebra.number(offset))
        for parameters in self._proposals(membrane, current, offset):
            spikes, v, i = self._own_forms(parameters, drive, membrane, current)
            if not self.equal(v, self.next[membrane]):
                continue
            if current is not None and not self.equal(i, self.next[current]):
                continue
            amplitude = self.amplitude(self.out, spikes)
            if amplitude is None:
                continue
            variables = {membrane: "v"} | ({current: "i"} if current is not None else {})
            neuron = self._neuron(parameters, membrane, current, periods)
            yield Lifted(neuron, gains, amplitude, variables, offset, self.capped)

    def equal(self, a: Form, b: Form) -> bool:
        """Whether two forms mean the same."""
        return self.algebra.same(a, b) or self.algebra.same(self.algebra.tidied(a), self.algebra.tidied(b))

    def _offset(self, current: str | None) -> Array:
        """What is added to the input before it enters a synapse."""
        if current is None or not self.program.inputs:
            return np.zeros(())
        own = self.next[current]
        enter = own.get((self.var(self.program.inputs[0]),))
        constant = own.get(())
        if enter is None or constant is None or bool(np.any(enter == 0)):
            return np.zeros(())
        return np.asarray(constant / enter)

    def amplitude(self, form: Form, of: Form) -> Array | None:
        """The factor between two forms; None if they are not proportional, constants included."""
        if of and form.keys() != of.keys():
            form, of = self.algebra.tidied(form), self.algebra.tidied(of)
        if not of or form.keys() != of.keys():
            return None
        key = next(iter(of))
        if bool(np.any(of[key] == 0)):
            return None
        factor = np.asarray(form[key] / of[key])
        return factor if self.algebra.same(form, self.algebra.scaled(of, factor)) else None

    def _input_gains(self, membrane: str, current: str | None) -> tuple[Array, ...] | None:
        """How much of each input counts, relative to the first."""
        names = self.program.inputs
        if not names:
            return ()
        for state in (current, membrane):
            if state is None:
                continue
            form = self._calm(self.next[state])
            values = [form.get((self.var(name),)) for name in names]
            if all(value is not None for value in values):
                first = values[0]
                assert first is not None
                if bool(np.any(first == 0)):
                    return None
                ratios = [np.asarray(value / first) for value in values if value is not None]
                return tuple(np.ones(()) if equal(ratio, np.ones(())) else ratio for ratio in ratios)
        return None

    def _calm(self, form: Form) -> Form:
        """The form in a case in which the inputs count: without a spike, or above a clamp."""
        steps = self.algebra.steps_in(form)
        cases = [self._flipped(form, steps, None), *(self._flipped(form, steps, step) for step in steps)]
        wanted = {(self.var(name),) for name in self.program.inputs}
        return next((case for case in cases if wanted <= case.keys()), form)

    def _proposals(self, membrane: str, current: str | None, offset: Array) -> Iterator[Parameters]:
        """Neurons that may be the program, from its coefficients."""
        algebra = self.algebra
        form = self.next[membrane]
        v = self.var(membrane)
        steps = sorted(set(algebra.steps_in(form)) | set(algebra.steps_in(self.out)))
        late = [step for step in steps if self._only(step, v)]
        tried: list[tuple[Parameters, Array | None]] = []
        for below in (None, *steps):
            unclamped = form if below is None else algebra.assume(form, below, true=True)
            minimum: Array | None = None
            if below is not None:
                floor_form = form
                for step in steps:
                    floor_form = algebra.assume(floor_form, step, true=False)
                minimum = algebra.constant(floor_form)
                if minimum is None:
                    continue
            calm = unclamped
            for step in steps:
                if step != below:
                    calm = algebra.assume(calm, step, true=False)
            for base in (calm, *(self._flipped(unclamped, steps, step) for step in steps if step != below)):
                found = self._integration(base, membrane, current, offset)
                if found is None or any(_alike(found, other, minimum, least) for other, least in tried):
                    continue
                tried.append((found, minimum))
                yield from self._with_fire(found, base, late, minimum)

    def _flipped(self, form: Form, steps: Sequence[int], true: int | None) -> Form:
        """The form where at most one indicator is 1 and the others are 0."""
        if true is not None:
            form = self.algebra.assume(form, true, true=True)
        for step in steps:
            if step != true:
                form = self.algebra.assume(form, step, true=False)
        return form

    def _only(self, step: int, variable: int) -> bool:
        atom = self.algebra.atoms[step]
        return isinstance(atom, Step) and {key for key in atom.form if key} == {(variable,)}

    def _integration(self, h: Form, membrane: str, current: str | None, offset: Array) -> Parameters | None:
        """Decay, gain and bias of a membrane that does not spike."""
        v = (self.var(membrane),)
        x = (self.var(self.program.inputs[0]),) if self.program.inputs else None
        i = (self.var(current),) if current is not None else None
        others = {(self.var(name),) for name in self.program.inputs[1:]}
        if set(h) - others - {(), v, x, i}:
            return None
        zero = np.zeros(())
        decay, bias = h.get(v, zero), h.get((), zero)
        direct = h.get(x, zero) if x is not None else zero
        if current is None or i is None:
            return Parameters(decay, direct, bias, None)
        own = self.next[current]
        if set(own) - others - {(), i, x}:
            return None
        keep, enter = own.get(i, zero), own.get(x, zero) if x is not None else zero
        through = h.get(i, zero)
        if not bool(np.any(direct)):
            return Parameters(decay, through, bias, (keep, enter, CurrentUsed.OLD))
        if bool(np.any(enter == 0)):
            return None
        gain = np.asarray(direct / enter)
        if not np.all(np.abs(through - gain * keep) <= CLOSE * np.maximum(np.abs(through), np.abs(gain))):
            return None
        own_bias = bias - direct * offset
        own_bias = np.where(np.abs(own_bias) <= CLOSE * np.abs(bias), 0.0, own_bias)
        return Parameters(decay, gain, own_bias, (keep, enter, CurrentUsed.NEW))

    def _with_fire(
        self, base: Parameters, h: Form, late: Sequence[int], minimum: Array | None
    ) -> Iterator[Parameters]:
        """The membrane with each spike and reset that its comparisons suggest."""
        yield replace(base, minimum=minimum)
        counts = any(
            self._counts(atom) for form in (self.out, *self.next.values()) for key in form for atom in key
        )
        for threshold, comparison in self._thresholds(h, late):
            fires = replace(base, minimum=minimum, threshold=threshold, comparison=comparison)
            for when in ResetWhen if late else (ResetWhen.SAME_STEP,):
                for spike_from in SpikeFrom if late else (SpikeFrom.NEW,):
                    shared = replace(fires, spike_from=spike_from, when=when)
                    if counts:
                        yield replace(shared, reset=Reset.MULTI_SPIKE)
                        continue
                    if when is ResetWhen.SAME_STEP:
                        yield shared
                    yield replace(shared, reset=Reset.SUBTRACT)
                    for value in self._reset_values(h):
                        yield replace(shared, reset=Reset.TO_VALUE, value=value)

    def _counts(self, number: int) -> bool:
        atom = self.algebra.atoms[number]
        return isinstance(atom, Opaque) and atom.op is Scalar.FLOOR

    def _thresholds(self, h: Form, late: Sequence[int]) -> list[tuple[Array, Comparison]]:
        """Where spikes may arise: zeros of the comparisons in terms of the membrane."""
        algebra = self.algebra
        found: list[tuple[Array, Comparison]] = []
        for number, atom in enumerate(list(algebra.atoms)):
            zero = np.zeros(())
            if isinstance(atom, Opaque) and atom.op is Scalar.FLOOR and len(atom.args) == 1:
                ratio = algebra.ratio(h, atom.args[0])
                if ratio is not None:
                    found.append((ratio, Comparison.AT_LEAST))
                continue
            if not isinstance(atom, Step):
                continue
            if number in late:
                pairs = [(-atom.form.get((), zero), atom.strict)]
            else:
                ratio = algebra.ratio(atom.form, h)
                if ratio is None:
                    continue
                threshold = np.asarray(h.get((), zero) - atom.form.get((), zero) / ratio)
                pairs = [(threshold, atom.strict if bool(np.all(ratio > 0)) else not atom.strict)]
            found += [(value, Comparison.ABOVE if strict else Comparison.AT_LEAST) for value, strict in pairs]
        distinct: list[tuple[Array, Comparison]] = []
        for value, comparison in found:
            if not any(equal(value, other) and comparison is kind for other, kind in distinct):
                distinct.append((value, comparison))
        return distinct

    def _reset_values(self, h: Form) -> list[Array]:
        """Constants that the membrane may take after a spike."""
        algebra = self.algebra
        values: list[Array] = [np.zeros(())]
        for form in self.next.values():
            steps = algebra.steps_in(form)
            for step in steps:
                constant = algebra.constant(self._flipped(form, steps, step))
                if constant is not None and not any(equal(constant, other) for other in values):
                    values.append(constant)
        return values

    def _own_forms(
        self, p: Parameters, x: Form, membrane: str, current: str | None
    ) -> tuple[Form, Form, Form]:
        """What the neuron gives and keeps, in the rules of `ir/neuron.py`'s `step_real`."""
        algebra = self.algebra
        v = algebra.variable(membrane)
        i: Form = {}
        drive = x
        if p.synapse is not None and current is not None:
            keep, enter, used = p.synapse
            old = algebra.variable(current)
            i = algebra.add(algebra.scaled(old, keep), algebra.scaled(x, enter))
            drive = i if used is CurrentUsed.NEW else old
        push = algebra.add(algebra.scaled(drive, p.gain), algebra.number(p.bias))
        late = {} if p.when is ResetWhen.SAME_STEP or p.threshold is None else self._spikes(p, v)
        if p.when is ResetWhen.NEXT_AFTER_LEAK:
            new = algebra.add(self._after(p, algebra.scaled(v, p.decay), late), push)
        else:
            start = self._after(p, v, late) if p.when is ResetWhen.NEXT_BEFORE_LEAK else v
            new = algebra.add(algebra.scaled(start, p.decay), push)
            if p.when in {ResetWhen.NEXT_AFTER_INPUT, ResetWhen.SAME_STEP_ONCE}:
                new = self._after(p, new, late)
        out = new
        if p.threshold is not None:
            out = self._spikes(p, v if p.spike_from is SpikeFrom.OLD else new)
            if p.when is ResetWhen.SAME_STEP:
                new = self._after(p, new, out)
            if p.when is ResetWhen.SAME_STEP_ONCE:
                new = algebra.subtract(new, algebra.scaled(algebra.subtract(out, late), p.threshold))
        if p.minimum is not None:
            lifted = algebra.subtract(new, algebra.number(p.minimum))
            above = algebra.multiply(algebra.step(lifted, strict=True), lifted)
            new = algebra.add(algebra.number(p.minimum), above)
            out = new if p.threshold is None else out
        return out, new, i

    def _spikes(self, p: Parameters, v: Form) -> Form:
        assert p.threshold is not None
        algebra = self.algebra
        strict = p.comparison is Comparison.ABOVE
        past = algebra.step(algebra.subtract(v, algebra.number(p.threshold)), strict=strict)
        if p.reset is not Reset.MULTI_SPIKE or bool(np.any(p.threshold == 0)):
            return past
        return algebra.multiply(past, algebra.function(Scalar.FLOOR, [algebra.scaled(v, 1 / p.threshold)]))

    def _after(self, p: Parameters, v: Form, spikes: Form) -> Form:
        algebra = self.algebra
        if p.reset is Reset.NONE or not spikes or p.threshold is None:
            return v
        if p.reset is Reset.TO_VALUE:
            away = algebra.subtract(algebra.number(np.zeros(()) if p.value is None else p.value), v)
            return algebra.add(v, algebra.multiply(spikes, away))
        return algebra.subtract(v, algebra.scaled(spikes, p.threshold))

    def _neuron(self, p: Parameters, membrane: str, current: str | None, periods: Array | None) -> Neuron:
        synapse = None
        if p.synapse is not None and current is not None:
            keep, enter, used = p.synapse
            synapse = Synapse(_tensor(keep), _unless(enter, 1.0), used, _tensor(self.initial[current]))
        initial = _tensor(self.initial[membrane])
        minimum = None if p.minimum is None else _tensor(p.minimum)
        leaky = Membrane(_unless(p.decay, 1.0), _unless(p.gain, 1.0), _unless(p.bias, 0.0), minimum, initial)
        fire = None
        if p.threshold is not None:
            fire = Fire(
                _tensor(p.threshold),
                p.comparison,
                p.spike_from,
                p.reset,
                p.when if p.reset is not Reset.NONE else ResetWhen.SAME_STEP,
                _tensor(np.zeros(()) if p.value is None else p.value),
                Tensor(np.zeros((), np.int64) if periods is None else periods),
            )
        return Neuron(self.shape, synapse, leaky, fire)


def _alike(a: Parameters, b: Parameters, least: Array | None, other: Array | None) -> bool:
    if (least is None) != (other is None) or (
        least is not None and other is not None and not equal(least, other)
    ):
        return False
    return equal(a.decay, b.decay) and equal(a.gain, b.gain) and equal(a.bias, b.bias)


def _roles(states: Sequence[str]) -> list[tuple[str, str | None]]:
    if len(states) == 1:
        return [(states[0], None)]
    if len(states) == 2:
        return [(states[0], states[1]), (states[1], states[0])]
    return []


def _tensor(array: Array) -> Tensor:
    """The numbers in single precision where that is what they are, else in double."""
    if array.size and bool(np.all(np.abs(array - array.ravel()[0]) <= 1e-9 * np.abs(array))):
        array = array.ravel()[0].reshape(())
    single = array.astype(np.float32)
    close = np.abs(single.astype(np.float64) - array) <= 1e-9 * np.abs(array)
    return Tensor(single if bool(np.all(close)) else array.astype(np.float64))


def _unless(array: Array, neutral: float) -> Tensor | None:
    """None where the numbers are the neutral one, up to half a unit in the last place of single precision."""
    return None if bool(np.all(np.abs(array - neutral) <= 1.2e-7)) else _tensor(array)
