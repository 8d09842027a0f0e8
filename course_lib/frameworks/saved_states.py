"""The states in a `state_dict` of PyTorch, if they are an optimizer's own."""

import torch


def states_in(state_dict, groups, rule_of):
    """The saved states by parameter, copied, in the dtype they were saved in.

    Parameters
    ----------
    state_dict : dict
    groups : list of dict
        The parameter groups of the optimizer that is to go on.
    rule_of : GroupRules

    Returns
    -------
    dict of dicts
        A parameter that was never stepped has none.

    Raises
    ------
    ValueError
        If another rule, or one over other parameters, made them.
    """
    states, settings = {}, rule_of.defaults.keys()
    for group, saved in zip(groups, state_dict["param_groups"]):
        if saved.get("rule") != group["rule"] or not saved.keys() >= settings:
            raise ValueError(
                f"state_dict must come from {group['rule']} with {', '.join(settings)}, "
                f"got {saved.get('rule')} with {', '.join(sorted(saved))}"
            )
        if (saved["scheduled_lr"] is None) != (group["scheduled_lr"] is None):
            raise ValueError(
                f"state_dict must follow a schedule where {rule_of.rule!r} does, and nowhere else"
            )
        rule = rule_of(saved)
        for w, i in zip(group["params"], saved["params"]):
            state = state_dict["state"].get(i)
            if state:
                _check_shapes(i, state, rule.init(w.detach()), w)
                states[w] = {key: _copied(value, w) for key, value in state.items()}
    return states


def _check_shapes(i, state, expected, w):
    """An error unless a saved state is one of a parameter like w."""
    for key, value in expected.items():
        shape = tuple(getattr(state[key], "shape", ())) if key in state else None
        if shape not in (tuple(getattr(value, "shape", ())), tuple(w.shape)):
            raise ValueError(
                f"state_dict must be of the same parameters, got {key} of shape {shape} for "
                f"parameter {i} of shape {tuple(w.shape)}"
            )


def _copied(value, w):
    return value.detach().to(w.device, copy=True) if isinstance(value, torch.Tensor) else value
