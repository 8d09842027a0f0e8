"""One compiled step for all parameters of an optimizer that lie together and step together."""

from collections import Counter
from itertools import groupby
from math import isfinite

import torch

from course_lib.kernels.compiling import Rates, compile_step, compiled, in_place, separate
from course_lib.kernels.flat_buffers import FlatBuffers
from course_lib.kernels.separable import joined, seen_by


class Run:
    """Parameters next to each other that have made the same steps, as one array.

    Attributes
    ----------
    params : list of parameters
    w : tensor
        Their memory: [D], or [1, …, D] where the rule must see the number of dimensions.
    state : dict
        Of arrays like w and of numbers that all of them share.
    rule : Rule
        Whose state this is.
    """

    def __init__(self, params, w, gradients, state, rule):
        self.params, self.w, self.state, self.rule = params, w, state, rule
        self.rates = Rates(rule)
        self.gradients = gradients
        self.bound = None  # the program that steps it, and the tensors that it takes

    @property
    def g(self):
        """Their gradients, in one array like w."""
        if self.gradients is not None:
            return self.gradients
        g = self.params[0].grad
        return g.to_dense() if g.is_sparse else g

    def follow(self, rule):
        """Go on with other settings, which may want more in the state; say if they do."""
        self.rule, self.rates, self.bound = rule, Rates(rule), None
        more = {k: v for k, v in rule.init(self.w).items() if k not in self.state}
        self.state |= more
        separate(self.w, self.g, self.state)
        return bool(more)

    def part(self, params, start):
        """Some of its parameters, which begin at `start`, as a run of their own."""
        end = start + sum(w.numel() for w in params)
        state = {
            key: value[..., start:end] if value.shape == self.w.shape else value.clone()
            for key, value in self.state.items()
        }
        gradients = self.gradients[..., start:end]
        return Run(params, self.w[..., start:end], gradients, state, self.rule)

    def states(self):
        """The state of each parameter: views of the arrays, and the numbers that all share."""
        if self.gradients is None:
            return [self.state]
        lengths = [w.numel() for w in self.params]
        each = [dict(self.state) for _ in self.params]
        for key, value in self.state.items():
            if value.shape == self.w.shape:
                for state, w, piece in zip(each, self.params, value.view(-1).split(lengths)):
                    state[key] = piece.view(w.shape)
        return each


class FlatSteps:
    """The steps of a `TorchOptimizer(compiled=True)`.

    A step with a missing gradient cuts a run in two: from then on its parameters have made
    different numbers of steps.

    Parameters
    ----------
    rule : Rule
    state : dict
        The optimizer's own, by parameter: its entries become views of the runs' arrays.
    """

    def __init__(self, rule, state):
        self.rule = rule
        self.seen = seen_by(rule)
        self.buffers = FlatBuffers(rule, self.seen)
        self.forget(state)
        self._together = _looks_at_the_model(rule)
        self._steps, self._programs = {}, {}
        self._met = Counter()
        self._started = False

    def forget(self, state):
        """The states were replaced, or parameters moved: make the runs anew."""
        self.state = state
        self._run_of = {}
        self._last = (), []

    def collect(self, groups, ws):
        """Bring the gradients of the parameters `ws` to their places."""
        places = self.buffers.places
        for w in ws:
            place = places.get(w)
            if place is None or place.pointer != w.data_ptr():
                for group in groups:
                    self.buffers.put(group["params"])
                self.forget(self.state)
            if w.grad is not places[w].grad:
                self.buffers.collect(w)

    def look_finite(self, ws):
        """True if no gradient holds NaN or infinity; False if one may, as their sum does."""
        places = [self.buffers.places[w] for w in ws]
        shared = {id(place.gradients): place.gradients for place in places}
        alone = [w.grad for w, place in zip(ws, places) if place.grad is None]
        gs = [g for g in [*shared.values(), *alone] if g is not None]
        sums = [g.sum(dtype=torch.promote_types(g.dtype, torch.float32)) for g in gs]
        if len(sums) > 1:
            sums = [torch.stack([each.to(sums[0].device) for each in sums]).sum()]
        return isfinite(sums[0].item())

    def counts(self):
        """The numbers of steps made so far."""
        return [run.state["t"] for run in {id(run): run for run in self._run_of.values()}.values()]

    def step(self, groups, ws, rules):
        """One step of the parameters that have a gradient.

        Parameters
        ----------
        groups : list of dict
            The parameter groups of the optimizer.
        ws : list of parameters
            In the order of the groups; `collect` has seen them.
        rules : list of Rule
            The rule of each group.
        """
        known = set(self._run_of)
        try:
            number_of, runs = self._runs(groups, ws, rules)
            for i, run in zip(number_of, runs):
                if run.rule is not rules[i] and run.follow(rules[i]):
                    self._publish(run)
            rates = [
                run.rates(groups[i].get("lr"), run.w, run.state) for i, run in zip(number_of, runs)
            ]
            if self._together and len(runs) > 1:
                self._step_together(runs, rates)
            else:
                for run, rate in zip(runs, rates):
                    self._step_alone(run, rate)
        except Exception:
            for w in set(self._run_of) - known:  # as if they had never been stepped
                del self._run_of[w], self.state[w]
            raise
        for run in runs:  # so that autograd knows of the change
            torch.autograd.graph.increment_version(run.params)
        self._started = True

    def _step_alone(self, run, rate):
        if run.bound is None or run.bound[1][2] is not rate or run.gradients is None:
            key = run.rule, run.w.shape, run.w.dtype, run.w.device
            if key not in self._steps:
                if not self._worth_compiling(key):
                    in_place([run.rule], [run.w], [run.g], [rate], [run.state], run.rule)
                    return
                self._steps[key] = compile_step(run.rule)
            run.bound = self._steps[key].bind(run.w, run.g, run.state, rate)
        program, tensors = run.bound
        program(*tensors)

    def _step_together(self, runs, rates):
        each = zip(runs, rates)
        tensors = [x for run, rate in each for x in (run.w, run.g, rate, *run.state.values())]
        key = tuple((run.rule, *run.state, run.w.shape, run.w.dtype, run.w.device) for run in runs)
        program = self._programs.get(key) or _whole_step(self.rule, runs)
        if key not in self._programs and self._worth_compiling(key):
            program = self._programs[key] = compiled(program, tensors, self.rule)
        program(*tensors)

    def _worth_compiling(self, key):
        """What the first step meets; later, when gradients go missing, what is met again."""
        if len(self._met) > 999:
            self._met.clear()
        self._met[key] += 1
        return not self._started or self._met[key] > 1

    def _runs(self, groups, ws, rules):
        """The runs of these parameters, and the number of the group of each."""
        ids = list(map(id, ws))
        if ids != self._last[0]:
            for run in list({id(run): run for run in self._run_of.values()}.values()):
                if len({id(w) in ids for w in run.params}) == 2:
                    self._cut(run, set(ids))
            number = {id(w): i for i, group in enumerate(groups) for w in group["params"]}
            self._join([(w, rules[number[id(w)]]) for w in ws if w not in self._run_of])
            runs = list({id(self._run_of[w]): self._run_of[w] for w in ws}.values())
            self._last = ids, ([number[id(run.params[0])] for run in runs], runs)
        return self._last[1]

    def _cut(self, run, touched):
        start = 0
        for _, part in groupby(run.params, lambda w: id(w) in touched):
            part = list(part)
            self._publish(run.part(part, start))
            start += sum(w.numel() for w in part)

    def _join(self, fresh):
        """Make runs of parameters that have none, as long as they lie and step together."""
        stretches = []
        for w, rule in fresh:
            if stretches and self._follows(stretches[-1][-1], w, rule):
                stretches[-1].append(w)
            else:
                stretches.append([w])
        rule_of = {id(w): rule for w, rule in fresh}
        for ws in stretches:
            self._publish(self._begin(ws, rule_of[id(ws[0])]))

    def _follows(self, v, w, rule):
        a, b = self.buffers.places[v], self.buffers.places[w]
        if a.buffer is None or a.buffer is not b.buffer or a.end != b.start:
            return False
        return self._numbers(v, rule) == self._numbers(w, rule)

    def _numbers(self, w, rule):
        """What the parameters of a run share: the entries of its state that are no arrays."""
        shape = joined(w.ndim) if self.seen == "dimensions" else (-1,)
        like = rule.init(w.new_zeros(2).view(shape))
        shared = [key for key, value in like.items() if getattr(value, "shape", ()) == ()]
        state = self.state.get(w, {})
        return {key: float(state[key]) for key in shared if key in state}

    def _begin(self, ws, rule):
        first, last = self.buffers.places[ws[0]], self.buffers.places[ws[-1]]
        w, gradients = ws[0].detach(), None
        if first.buffer is not None:
            shape = joined(w.ndim) if self.seen == "dimensions" else (-1,)
            w = first.buffer[first.start : last.end].view(shape)
            gradients = first.gradients[first.start : last.end].view(shape)
        run = Run(ws, w, gradients, rule.init(w), rule)
        saved = [self.state.get(each) for each in ws]
        if saved[0]:
            for key, value in saved[0].items():
                run.state[key] = _joined([each[key] for each in saved], run.state.get(key), w)
        separate(run.w, run.g, run.state)
        return run

    def _publish(self, run):
        for w, state in zip(run.params, run.states()):
            self._run_of[w] = run
            self.state[w] = state


def _joined(values, like, w):
    """One entry of a run's state, from those of its parameters."""
    if not isinstance(like, torch.Tensor) or like.shape != w.shape or w.ndim == 0:
        return values[0].to(w.device) if isinstance(values[0], torch.Tensor) else values[0]
    return torch.cat([value.reshape(-1) for value in values]).to(like).view(w.shape)


def _looks_at_the_model(rule):
    parts = getattr(rule, "_parts", ())
    return getattr(rule, "_whole_model", False) or any(map(_looks_at_the_model, parts))


def _whole_step(rule, runs):
    """One step of several runs at once, as a function of their tensors."""
    keys = [list(run.state) for run in runs]
    rules = [run.rule for run in runs]

    def step(*tensors):
        left = iter(tensors)
        ws, gs, rates, states = [], [], [], []
        for own in keys:
            for each in (ws, gs, rates):
                each.append(next(left))
            states.append({key: next(left) for key in own})
        in_place(rules, ws, gs, rates, states, rule)
        return []

    return step
