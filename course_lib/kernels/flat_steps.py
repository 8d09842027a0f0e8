"""One compiled step for all parameters of an optimizer that lie together and step together."""

from collections import Counter
from itertools import chain, groupby

import torch

from course_lib.kernels.compiling import Rates, compile_step, compiled
from course_lib.kernels.finiteness import finite
from course_lib.kernels.flat_buffers import FlatBuffers
from course_lib.kernels.flat_run import Run
from course_lib.kernels.in_place import apart, in_place, overlap, separate, whole_step
from course_lib.kernels.separable import joined, seen_by


class FlatSteps:
    """The steps of a `TorchOptimizer(compiled=True)`.

    Small parameters make one run, each large one a run of its own, unless the rule looks at
    the whole model: then all is one program, and the fewer arrays it has, the better. A step
    with a missing gradient cuts a run in two: from then on its parameters have made different
    numbers of steps.

    Parameters
    ----------
    rule : Rule
    state : dict
        The optimizer's own, by parameter: its entries become views of the runs' arrays.
    """

    def __init__(self, rule, state):
        self.rule = rule
        self.seen = seen_by(rule)
        self._together = _looks_at_the_model(rule)
        self.buffers = FlatBuffers(rule, self.seen, self._together)
        self.forget(state)
        self._steps, self._programs, self._rates = {}, {}, {}
        self._met = Counter()
        self._started = False

    def forget(self, state):
        """The states were replaced, or parameters moved: make the runs anew."""
        self.state = state
        self._run_of = {}
        self._ids = self._placed = self._runs = None
        self._fresh = []

    def _place(self, groups, ws):
        """Find these parameters where they were put, or put them; bring gradients to their places."""
        ids = list(map(id, ws))
        if ids != self._ids or any(p.pointer != w.data_ptr() for w, p in self._placed):
            if not all(map(self.buffers.holds, ws)):
                for group in groups:
                    self.buffers.put(group["params"])
                self.forget(self.state)
            self._ids = ids
            self._placed = [(w, self.buffers.places[w]) for w in ws]
            self._runs = None
        away = [w for w, p in self._placed if p.grad is not None and w.grad is not p.grad]
        if away:
            self.buffers.collect(away)

    def step(self, groups, ws, rules, lrs, checked):
        """One step of the parameters that have a gradient.

        Parameters
        ----------
        groups : list of dict
            The parameter groups of the optimizer.
        ws : list of parameters
            In the order of the groups.
        rules, lrs : lists
            The rule and the learning rate of each group.
        checked : bool
            Do nothing if a gradient holds NaN or infinity.

        Returns
        -------
        bool
            False if nothing was done.
        """
        self._place(groups, ws)
        made = False
        try:
            if self._runs is None:
                self._runs = self._new_runs(groups, ws, rules)
            number_of, runs, tangled = self._runs
            for i, run in zip(number_of, runs):
                if run.rule is not rules[i] and run.follow(rules[i]):
                    self._publish(run)
            gs = [run.g for run in runs]
            # The other way round: what is looked at last is still in the cache when it is stepped.
            if checked and not all(finite(gs[::-1])):
                return False
            rates = self._rates_of(number_of, runs, lrs)
            if tangled:
                self._step_plainly(runs, gs, rates)
            elif self._together and len(runs) > 1:
                self._step_together(runs, gs, rates)
            else:
                calls = [self._bound(*each) for each in zip(runs, gs, rates)]
                for program, tensors in calls:
                    program(*tensors)
            made = True
        finally:
            if not made:  # what has just been begun was never stepped
                for w in self._fresh:
                    self._run_of.pop(w, None)
                    self.state.pop(w, None)
                self._runs = None
        self._fresh = []
        self._started = True
        torch.autograd.graph.increment_version(ws)  # so that autograd knows of the change
        return True

    def _rates_of(self, number_of, runs, lrs):
        """The learning rate of each run, as a tensor: one for each group and device."""
        found, rates = {}, []
        for n, (i, run) in enumerate(zip(number_of, runs)):
            key = i, run.device, n if self._together else 0  # no program takes a tensor twice
            if key not in found:
                maker = self._rates.setdefault(key, Rates(self.rule))
                found[key] = maker(lrs[i], run.w, run.state)
            rates.append(found[key])
        return rates

    def _bound(self, run, g, rate):
        """A program that makes the step of one run, and what it is to be called with."""
        if run.rate is not rate or not run.fits(g):
            key = run.rule, run.w.shape, run.w.dtype, run.w.device
            if key not in self._steps:
                if not self._worth_compiling(key):
                    return self._step_plainly, ([run], [g], [rate])
                self._steps[key] = compile_step(run.rule)
            given, g = g, apart(run.w, g, run.state)
            program, tensors = self._steps[key].bind(run.w, g, run.state, rate)
            run.bind(program, tensors, g is given)
        return run.program, (run.w, g, rate, *run.entries)

    def _step_together(self, runs, gs, rates):
        each = zip(runs, gs, rates)
        tensors = [x for run, g, rate in each for x in (run.w, g, rate, *run.state.values())]
        key = tuple((run.rule, *run.state, run.w.shape, run.w.dtype) for run in runs)
        if key not in self._programs:
            if not self._worth_compiling(key):
                return self._step_plainly(runs, gs, rates)
            keys = [list(run.state) for run in runs]
            function = whole_step([run.rule for run in runs], keys, self.rule)
            self._programs[key] = compiled(function, tensors, self.rule)
        self._programs[key](*tensors)

    @torch.no_grad()
    def _step_plainly(self, runs, gs, rates):
        ws, states, rules = zip(*[(run.w, run.state, run.rule) for run in runs])
        in_place(rules, ws, gs, rates, states, self.rule)

    def _worth_compiling(self, key):
        """What the first step meets; later, when gradients go missing, what is met again."""
        if len(self._met) > 999:
            self._met.clear()
        self._met[key] += 1
        return not self._started or self._met[key] > 1

    @torch.no_grad()
    def _new_runs(self, groups, ws, rules):
        """The group of each run of these parameters, by number, the runs, and if they overlap."""
        touched = set(map(id, ws))
        for run in list({id(run): run for run in self._run_of.values()}.values()):
            if len({id(w) in touched for w in run.params}) == 2:
                self._cut(run, touched)
        number = {id(w): i for i, group in enumerate(groups) for w in group["params"]}
        self._fresh = [w for w in ws if w not in self._run_of]
        self._join([(w, rules[number[id(w)]]) for w in self._fresh])
        runs = list({id(self._run_of[w]): self._run_of[w] for w in ws}.values())
        tangled = len(runs) > 1 and overlap([run.w for run in runs])
        return [number[id(run.params[0])] for run in runs], runs, tangled

    def _cut(self, run, touched):
        start = 0
        for _, part in groupby(run.params, lambda w: id(w) in touched):
            part = list(part)
            self._publish(run.part(part, start))
            start += sum(w.numel() for w in part)

    def _join(self, fresh):
        """Make runs of parameters that have none, as long as they lie and step together."""
        stretches, by_buffer = [], {}
        for w, rule in fresh:
            by_buffer.setdefault(id(self.buffers.places[w].buffer), []).append((w, rule))
        for w, rule in chain.from_iterable(by_buffer.values()):
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
        value = values[0]
        return value.to(w.device, copy=True) if isinstance(value, torch.Tensor) else value
    return torch.cat([value.reshape(-1) for value in values]).to(like).view(w.shape)


def _looks_at_the_model(rule):
    parts = getattr(rule, "_parts", ())
    return getattr(rule, "_whole_model", False) or any(map(_looks_at_the_model, parts))
