"""A rule of the book as an optimizer of PyTorch."""

from contextlib import contextmanager

import torch

from course_lib.frameworks.parameter_groups import GroupRules, floats_once, kind, learning_rates
from course_lib.frameworks.saved_states import states_in
from course_lib.frameworks.watched_steps import announced_if_watched
from course_lib.kernels.finiteness import finite
from course_lib.kernels.flat_buffers import dense
from course_lib.update_rules import Rule
from course_lib.validation import one_of


class TorchOptimizer(torch.optim.Optimizer):
    """Run any rule on the parameters of a PyTorch module.

    It is used as torch's own optimizers are: groups, closures, hooks, `state_dict`,
    learning-rate schedulers. A group may set `lr` and every other number or switch among
    the rule's settings. Transforms that look at the whole model, such as clipping, see all
    groups. A parameter without a gradient is left alone, with its state.

    Parameters
    ----------
    params : iterable of tensors, of (name, tensor) pairs, or of dicts
        As for `torch.optim.Optimizer`. A tensor given twice in a group is taken once.
    rule : Rule
        With a schedule as its `lr`, every group without a rate of its own follows the
        schedule, at the number of steps made; `group["lr"]` shows the present rate, and
        neither you nor a scheduler of torch may set it.
    compiled : bool
        Run each step as one compiled kernel for each group and dtype; see `compile_step`.
        Small parameters are moved into flat buffers, `w.data` being a view from then on,
        and so are their gradients, as soon as backward has made them. One of 65,536
        numbers or more stays where it is, with a kernel of its own, unless the rule looks
        at the whole model. A step with a gradient missing cuts a buffer's kernel in two; a
        rule that looks at whole arrays gets a kernel for each. What is in `state` are
        views, too: write into them, do not replace them.
    check_finite : bool or "skip"
        If a gradient holds NaN or infinity: raise an error that names the parameter (True),
        leave the whole step out and count it in `skipped` ("skip"), or do not look (False).
        Looking makes a GPU wait once a step.

    Attributes
    ----------
    rule : Rule
    skipped : int
        How many steps were left out.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, or a group sets what is no setting of the rule.
    FloatingPointError
        From `step`, before anything is changed, if a gradient is not finite.

    Examples
    --------
    >>> from course_lib import adam
    >>> layer = torch.nn.Linear(2, 1)
    >>> optimizer = TorchOptimizer(layer.parameters(), adam(lr=0.1))
    >>> before = layer.bias.item()
    >>> layer(torch.ones(4, 2)).mean().backward()
    >>> optimizer.step()
    >>> round(layer.bias.item() - before, 4)
    -0.1
    """

    profile_hook_step = staticmethod(announced_if_watched)  # torch puts it around `step`

    def __init__(self, params, rule, *, compiled=False, check_finite=True):
        if not isinstance(rule, Rule):
            raise TypeError(f"rule must be a Rule, such as adam(lr=1e-3), got {rule!r}")
        self.rule = rule
        self.check_finite = one_of("check_finite", check_finite, (True, False, "skip"))
        self.skipped = 0
        self._rule_of = GroupRules(rule)
        self._last_rule = {}  # by parameter: with other settings a rule may remember more
        self.compiled = one_of("compiled", compiled, (True, False))
        self._flat = None
        super().__init__(params, dict(self._rule_of.defaults))
        self._lay_out()

    def __getstate__(self):
        own = ("rule", "check_finite", "skipped", "compiled", "_rule_of", "_last_rule")
        return {**super().__getstate__(), **{name: getattr(self, name) for name in own}}

    def __setstate__(self, state):
        super().__setstate__(state)  # also when a state_dict is loaded
        if getattr(self, "_flat", None) is None:
            self._lay_out()
        else:
            self._flat.forget(self.state)

    def add_param_group(self, param_group):
        """Add a group of parameters, with settings of its own, also during training."""
        if isinstance(param_group, dict):
            self._rule_of.check(param_group)
            follows = callable(self.rule.lr) and "lr" not in param_group
            param_group = {
                **param_group,
                "params": floats_once(param_group["params"]),
                "rule": kind(self.rule),
                "scheduled_lr": self.defaults["lr"] if follows else None,
            }
        super().add_param_group(param_group)
        if self._flat is not None:
            self._flat.buffers.put(self.param_groups[-1]["params"])

    def step(self, closure=None):
        """One step of every parameter that has a gradient.

        Parameters
        ----------
        closure : callable, optional
            Computes the gradients again and returns the loss.

        Returns
        -------
        The closure's loss, or None.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        groups = self.param_groups
        ws = [w for group in groups for w in group["params"] if w.grad is not None]
        if not ws:
            return loss
        step = self._step_each if self._flat is None else self._flat.step
        rules = [self._rule_of(group) for group in groups]
        lrs = learning_rates(groups, self.rule, self.state)
        if step(groups, ws, rules, lrs, bool(self.check_finite)):
            for group, lr in zip(groups, lrs):
                if group["scheduled_lr"] is not None:
                    group["lr"] = group["scheduled_lr"] = lr
        else:
            self._refuse(ws)
        return loss

    @torch.no_grad()
    def _step_each(self, groups, ws, rules, lrs, checked):
        gs = [dense(w.grad) for w in ws]
        if checked and not all(finite(gs)):
            return False
        number = {id(w): i for i, group in enumerate(groups) for w in group["params"]}
        lrs = [lrs[number[id(w)]] for w in ws]
        rules = [rules[number[id(w)]] for w in ws]
        states = [self._state_of(w, rule) for w, rule in zip(ws, rules)]
        deltas, states = self.rule.update_all(gs, states, ws, lrs, rules)
        for w, g, rule, delta, state in zip(ws, gs, rules, deltas, states):
            self.state[w] = _owned(state, w, g)
            self._last_rule[w] = rule
            w.add_(delta)
        return True

    def load_state_dict(self, state_dict):
        """Go on from a `state_dict()`: every entry keeps its dtype, so the run is the same.

        Parameters
        ----------
        state_dict : dict
            From an optimizer of the same rule over parameters of the same shapes;
            anything else is a ValueError, and changes nothing. As with torch's own, the
            settings of its groups take the place of ours.
        """
        kept = {}  # torch's own method would round every entry to the parameter's dtype

        def keep(_, given):
            kept.update(states_in(given, self.param_groups, self._rule_of))

        def restore(_):
            self.state.update(kept)

        hooks = [
            self.register_load_state_dict_pre_hook(keep),
            self.register_load_state_dict_post_hook(restore, prepend=True),
        ]
        try:
            super().load_state_dict(state_dict)
        finally:
            for hook in hooks:
                hook.remove()

    @contextmanager
    def averaged_weights(self):
        """Within the block the parameters are their averages, which `weight_ema` keeps."""
        averages = {w: state["average"] for w, state in self.state.items() if "average" in state}
        if not averages:
            raise ValueError(f"rule must be weight_ema(…), after a step, got {self.rule!r}")
        weights = {w: w.detach().clone() for w in averages}
        try:
            _assign(averages)
            yield
        finally:
            _assign(weights)

    def _state_of(self, w, rule):
        state = self.state.get(w)
        if state and self._last_rule.get(w) is rule:
            return state
        return {**rule.init(w), **(state or {})}

    def _lay_out(self):
        self._flat = None
        if self.compiled:
            from course_lib.kernels.flat_steps import FlatSteps

            self._flat = FlatSteps(self.rule, self.state)
            for group in self.param_groups:
                self._flat.buffers.put(group["params"])

    def _refuse(self, ws):
        """What is to be done about a gradient that is not finite."""
        if self.check_finite == "skip":
            self.skipped += 1
            return
        found = finite([dense(w.grad) for w in ws])
        wrong = ws[found.index(False)]
        count = int((~dense(wrong.grad).isfinite()).sum())
        raise FloatingPointError(
            f"the gradient of {self._name(wrong)} must be finite, got NaN or infinity "
            f"in {count} of {wrong.numel()} entries; no step was made"
        )

    def _name(self, w):
        for number, group in enumerate(self.param_groups):
            i = next((i for i, each in enumerate(group["params"]) if each is w), None)
            if i is not None and "param_names" in group:
                return group["param_names"][i]
            if i is not None:
                return f"parameter {i} of group {number}, of shape {tuple(w.shape)},"


def _owned(state, w, g):
    """The state, sharing no memory with what is written into: w, and g by zero_grad."""
    written = {_memory(w), _memory(g)}
    return {k: v.clone() if _memory(v) in written else v for k, v in state.items()}


def _memory(x):
    return x.untyped_storage().data_ptr() if isinstance(x, torch.Tensor) else None


@torch.no_grad()
def _assign(values):
    for w, value in values.items():
        w.copy_(value)
