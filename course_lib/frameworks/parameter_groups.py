"""What a parameter group of PyTorch may say about a rule, and the rule it then gets."""

import inspect
from numbers import Number

import torch

from course_lib.update_rules.inputs import parameters, setting
from course_lib.update_rules.registry import _REGISTRY

# Settings of torch's own optimizers that no rule of the book has under that name.
_TORCHS_NAMES = {"alpha", "betas", "capturable", "differentiable", "foreach", "fused", "maximize"}


class GroupRules:
    """A rule, made again with the settings of each group.

    Parameters
    ----------
    rule : Rule

    Attributes
    ----------
    defaults : dict
        Every number and switch among the rule's settings: what a group may set.
    """

    def __init__(self, rule):
        self.rule = rule
        self.defaults = {k: v for k, v in rule.options.items() if isinstance(v, (bool, int, float))}
        if rule.lr is not None:
            lr = float(rule.lr(0)) if callable(rule.lr) else rule.lr
            # Schedulers of torch write into a tensor, and the rule's is not theirs.
            self.defaults["lr"] = lr.detach().clone() if isinstance(lr, torch.Tensor) else lr
        self._names = [name for name in self.defaults if name != "lr"]
        self._made = {}
        self._last = {}  # by group: its settings at the last step, and the rule

    def __call__(self, group):
        """The rule with the group's settings; `lr` is handed over at each step instead."""
        values = [group[name] for name in self._names]
        before, rule = self._last.get(id(group), (None, None))
        if before == values and type(group.get("lr", 0.0)) is float:
            return rule
        changes = {}
        for name, default in self.defaults.items():
            value = group[name]
            if not isinstance(value, (Number, torch.Tensor)):
                raise TypeError(f"{name} of a group must be a number, got {value!r}")
            if name != "lr" and value != default:
                changes[name] = value
        key = tuple(changes.items())
        if key not in self._made:
            if len(self._made) > 99:  # some setting changes at every step
                self._made.clear()
            self._made[key] = self.rule.replace(**changes)
        if not any(isinstance(value, torch.Tensor) for value in values):
            self._last[id(group)] = values, self._made[key]
        return self._made[key]

    def check(self, group):
        """An error if a new group sets what the rule has not, or sets it wrongly."""
        unknown = sorted(group.keys() & (_setting_names() - self.defaults.keys()))
        if unknown:
            allowed = ", ".join(self.defaults)
            raise ValueError(f"a group may set {allowed}, got {unknown[0]} for {self.rule!r}")
        whole = {**self.defaults, **group}
        self(whole)
        if "lr" in self.defaults:
            setting("lr", whole["lr"], least=0)


def learning_rates(groups, rule, states):
    """The learning rate of each group at this step.

    A schedule is followed by the greatest number of steps that any parameter has made.
    """
    scheduled = [group for group in groups if group["scheduled_lr"] is not None]
    if not scheduled:
        return [group.get("lr") for group in groups]
    for group in scheduled:
        if "initial_lr" in group or group["lr"] != group["scheduled_lr"]:
            raise ValueError(
                f"lr must be set by the rule's schedule {rule.lr!r} alone, not by a "
                f"scheduler of torch or by hand as well, got {group['lr']!r}"
            )
    counts = list({id(state["t"]): state["t"] for state in states.values() if state}.values())
    counts = [t.to(counts[0].device) for t in counts]
    rate = float(rule.lr(int(torch.stack(counts).max()) if counts else 0))
    return [group.get("lr") if group["scheduled_lr"] is None else rate for group in groups]


def kind(rule):
    """The names of a rule and of its parts, without their settings."""
    parts = getattr(rule, "_parts", ())
    return f"{rule.name}({', '.join(map(kind, parts))})" if parts else rule.name


def floats_once(params):
    """The parameters of a group without repetition: tied weights make one step, not two."""
    if isinstance(params, set):
        return params  # which torch refuses
    kept = {}
    for each in [params] if isinstance(params, torch.Tensor) else params:
        tensor = each[1] if isinstance(each, tuple) else each
        kept.setdefault(id(parameters("params", tensor)), each)
    return list(kept.values())


def _setting_names():
    """What some optimizer has as a setting: a group that sets it means something by it."""
    factories = [factory for factory in _REGISTRY.values() if inspect.isfunction(factory)]
    return _TORCHS_NAMES.union(*(inspect.signature(each).parameters for each in factories))
