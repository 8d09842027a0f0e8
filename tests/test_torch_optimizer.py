"""Rules as a torch.optim.Optimizer: against the pure rule, against torch's own, and in all that torch does with one."""

import copy
import functools
import io
import json
import re

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler as lrs
from torch.optim import swa_utils
from torch.optim.optimizer import register_optimizer_step_post_hook

from course_lib.frameworks import TorchOptimizer
from course_lib.schedules import constant, cosine_decay, inverse_time_decay, warmup
from course_lib.update_rules import (
    Rule, Transform, accumulate_gradients, adadelta, adagrad, adam, adamw, add_decayed_weights, chain,
    clip_by_global_norm, describe, gradient_descent, lion, matrices_only, momentum, nadam, rmsprop, sign_descent,
    weight_ema,
)
from course_lib.update_rules.registry import _REGISTRY
from rule_runs import label

RULES = {
    "gradient_descent": gradient_descent(0.1),
    "momentum": momentum(0.05, dampening=0.3),
    "nesterov": momentum(0.05, beta=0.8, nesterov=True),
    "adagrad": adagrad(0.1),
    "rmsprop": rmsprop(0.01),
    "rmsprop centred": rmsprop(0.01, centered=True, momentum=0.5),
    "adadelta": adadelta(),
    "adam": adam(0.05),
    "amsgrad": adam(0.05, amsgrad=True),
    "adamw": adamw(0.05, weight_decay=0.1),
    "adamw masked": adamw(0.05, weight_decay=0.5, mask=matrices_only),
    "nadam": nadam(0.05),
    "sign_descent": sign_descent(0.01),
    "lion": lion(0.01, weight_decay=0.1, mask=matrices_only),
    "decayed": chain(add_decayed_weights(0.3, mask=matrices_only), momentum(0.05)),
    "clipped": chain(clip_by_global_norm(0.5), adamw(0.05)),
    "accumulated": accumulate_gradients(chain(clip_by_global_norm(0.5), adam(0.05)), steps=3),
    "averaged": weight_ema(momentum(0.05), decay=0.7),
    "all at once": chain(clip_by_global_norm(2.0), accumulate_gradients(weight_ema(adamw(0.05), decay=0.7), steps=2)),
    "scheduled": weight_ema(adam(warmup(cosine_decay(0.1, steps=9), steps=3))),
}
every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
SHAPES = [(4, 3), (4,), (), (2, 4)]


def test_every_rule_of_the_library_is_tested():
    rates = {"constant", "inverse_time_decay", "polynomial_decay", "cosine_decay", "warmup"}
    ours = {name for name, factory in _REGISTRY.items() if factory.__module__.startswith("course_lib.update_rules")}
    described = json.dumps([describe(rule) for rule in RULES.values()])
    assert ours - rates <= set(re.findall(r'"(?:name|function)": "(\w+)"', described))


# ---- tools

@pytest.fixture(params=[False, True], ids=["plain", "compiled"], autouse=True)
def kind_of_optimizer(request):
    """Let every test expect the same of `compiled=True`, whose programs then run one operation at a time."""
    if request.param:
        request.getfixturevalue("untraced")
        compiled = functools.partial(TorchOptimizer, compiled=True)
        request.getfixturevalue("monkeypatch").setitem(globals(), "TorchOptimizer", compiled)


plain_alone = pytest.mark.parametrize("kind_of_optimizer", [False], ids=["plain"], indirect=True)


@functools.cache
def drawn(shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random(*shape, seed=0, dtype=torch.float64):
    return drawn(shape, seed).to(dtype, copy=True)


def network(dtype=torch.float64, seed=0):
    """A small module with weights of its own."""
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)).to(dtype)
    with torch.no_grad():
        for i, w in enumerate(net.parameters()):
            w.copy_(random(*w.shape, seed=seed + i))
    return net


def backward(net, step, scale=lambda loss: loss):
    """New gradients on the batch of a step; return the loss."""
    net.zero_grad()
    w = next(net.parameters())
    x, y = random(8, 3, seed=100 + step, dtype=w.dtype), random(8, 2, seed=200 + step, dtype=w.dtype)
    loss = (net(x) - y).square().mean()
    scale(loss).backward()
    return loss


def train(net, optimizer, steps):
    for step in steps:
        backward(net, step)
        optimizer.step()
    return net


def parameters(dtype=torch.float64):
    return [torch.nn.Parameter(random(*shape, seed=i, dtype=dtype)) for i, shape in enumerate(SHAPES)]


def drive(ws, optimizer, steps):
    """Steps along gradients that depend on w; the last parameter has one now and then, the third never."""
    for step in steps:
        for i, w in enumerate(ws):
            has_none = i == 2 or (i == 3 and step % 3)
            w.grad = None if has_none else w.detach() + random(*w.shape, seed=10 * step + i, dtype=w.dtype)
        optimizer.step()


def with_gradients(ws):
    for i, w in enumerate(ws):
        w.grad = random(*w.shape, seed=50 + i, dtype=w.dtype)
    return ws


def snapshot(optimizer):
    weights = [w.detach() for group in optimizer.param_groups for w in group["params"]]
    return copy.deepcopy((optimizer.state_dict(), weights))


def same(a, b):
    """Exactly equal, through lists and dicts, in dtype too."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def refused(optimizer, error, words, act):
    """`act` raises, with all these words, and leaves weights, states and groups as they were."""
    before = snapshot(optimizer)
    with pytest.raises(error) as caught:
        act()
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert same(snapshot(optimizer), before)


def close(ours, theirs, rtol=1e-9):
    torch.testing.assert_close(list(ours), list(theirs), rtol=rtol, atol=rtol)


# ---- the same steps as the pure rule, and as torch's own

@every_rule
def test_equal_to_the_pure_rule_by_hand(rule):
    net, reference = network(), network()
    train(net, TorchOptimizer(net.parameters(), rule), range(12))
    ws = list(reference.parameters())
    # A rule may be run on the model as one vector, unless a mask asks for the shapes.
    whole = "mask=<" not in repr(rule)
    state = rule.init(torch.cat([w.detach().flatten() for w in ws])) if whole else [rule.init(w.detach()) for w in ws]
    for step in range(12):
        backward(reference, step)
        with torch.no_grad():
            if whole:
                g, w = (torch.cat([x.flatten() for x in xs]) for xs in ([w.grad for w in ws], ws))
                delta, state = rule.update(g, state, w)
                deltas = delta.split([w.numel() for w in ws])
            else:
                pairs = [rule.update(w.grad, s, w) for w, s in zip(ws, state)]
                deltas, state = zip(*pairs)
            for w, delta in zip(ws, deltas):
                w.add_(delta.view_as(w))
    close(net.parameters(), reference.parameters(), rtol=1e-12)


TWINS = {
    "sgd": (gradient_descent(0.1), torch.optim.SGD, {"lr": 0.1}),
    "momentum": (momentum(0.05), torch.optim.SGD, {"lr": 0.05, "momentum": 0.9}),
    "nesterov": (momentum(0.05, nesterov=True), torch.optim.SGD, {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    "sgd decayed": (chain(add_decayed_weights(0.1), momentum(0.05)), torch.optim.SGD,
                    {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1}),
    "adagrad": (adagrad(0.1), torch.optim.Adagrad, {"lr": 0.1}),
    "rmsprop": (rmsprop(0.01), torch.optim.RMSprop, {"lr": 0.01}),
    "rmsprop centred": (rmsprop(0.01, momentum=0.6, centered=True), torch.optim.RMSprop,
                        {"lr": 0.01, "momentum": 0.6, "centered": True}),
    "adadelta": (adadelta(), torch.optim.Adadelta, {"lr": 1.0}),
    "adam": (adam(0.05), torch.optim.Adam, {"lr": 0.05}),
    "amsgrad": (adam(0.05, amsgrad=True), torch.optim.Adam, {"lr": 0.05, "amsgrad": True}),
    "adam decayed": (chain(add_decayed_weights(0.1), adam(0.05)), torch.optim.Adam, {"lr": 0.05, "weight_decay": 0.1}),
    "adamw": (adamw(0.05, weight_decay=0.1), torch.optim.AdamW, {"lr": 0.05, "weight_decay": 0.1}),
    "nadam": (nadam(0.05), torch.optim.NAdam, {"lr": 0.05}),
}
every_twin = pytest.mark.parametrize("rule, twin, options", TWINS.values(), ids=TWINS)


@every_twin
def test_equal_to_torchs_own_with_two_groups_and_settings_changed_on_the_way(rule, twin, options):
    ends = []
    for make in (lambda groups: TorchOptimizer(groups, rule), lambda groups: twin(groups, **options)):
        net = network()
        own = {"lr": 0.3 * options["lr"]} | ({"weight_decay": 0.4} if "weight_decay" in options else {})
        optimizer = make([{"params": net[0].parameters()}, {"params": net[2].parameters(), **own}])
        train(net, optimizer, range(25))
        for group in optimizer.param_groups:
            group["lr"] *= 0.7
            if "weight_decay" in options:
                group["weight_decay"] *= 0.5
        ends.append(list(train(net, optimizer, range(25, 50)).parameters()))
    close(*ends)
    assert not torch.allclose(ends[0][0], network()[0].weight)


def test_every_setting_of_a_group_is_honoured():
    ours, theirs = network(), network()
    train(ours, TorchOptimizer([
        {"params": ours[0].parameters(), "beta1": 0.5, "eps": 1e-3},
        {"params": ours[2].parameters(), "beta2": 0.8, "amsgrad": True, "lr": 0.02},
    ], chain(clip_by_global_norm(1e9), adamw(0.05))), range(20))
    train(theirs, torch.optim.AdamW([
        {"params": theirs[0].parameters(), "betas": (0.5, 0.999), "eps": 1e-3},
        {"params": theirs[2].parameters(), "betas": (0.9, 0.8), "amsgrad": True, "lr": 0.02},
    ], lr=0.05), range(20))
    close(ours.parameters(), theirs.parameters())


def test_a_switch_turned_during_training_is_honoured():
    net, reference = network(), network()
    optimizer, twin = TorchOptimizer(net.parameters(), adam(0.05)), torch.optim.Adam(reference.parameters(), lr=0.05)
    train(net, optimizer, range(5))
    train(reference, twin, range(5))
    optimizer.param_groups[0]["amsgrad"] = twin.param_groups[0]["amsgrad"] = True
    for w in reference.parameters():   # torch would miss it
        twin.state[w]["max_exp_avg_sq"] = torch.zeros_like(w)
    close(train(net, optimizer, range(5, 30)).parameters(), train(reference, twin, range(5, 30)).parameters())
    optimizer.param_groups[0]["amsgrad"] = twin.param_groups[0]["amsgrad"] = False
    optimizer.load_state_dict(optimizer.state_dict())
    close(train(net, optimizer, range(30, 40)).parameters(), train(reference, twin, range(30, 40)).parameters())


# ---- parameters and their groups

@pytest.mark.parametrize("group, error, words", [
    ({"momentum": 0.9}, ValueError, ("lr, beta1, beta2, eps", "momentum", "adamw")),
    ({"betas": (0.9, 0.9)}, ValueError, ("betas",)), ({"maximize": True}, ValueError, ("maximize",)),
    ({"mask": None}, ValueError, ("mask",)), ({"rule": adam()}, ValueError, ("rule",)),
    ({"weight_decay": -1.0}, ValueError, ("weight_decay must be", ">= 0", "-1.0")),
    ({"beta1": 1.0}, ValueError, ("beta1 must be", "< 1", "1.0")), ({"lr": -0.1}, ValueError, ("lr must be", "-0.1")),
    ({"lr": float("nan")}, ValueError, ("lr must be", "nan")), ({"lr": "0.1"}, TypeError, ("lr", "'0.1'")),
    ({"lr": constant(0.1)}, TypeError, ("lr of a group must be a number", "constant")),
    ({"eps": [1e-8]}, TypeError, ("eps", "[1e-08]")), ({"amsgrad": 1.0}, TypeError, ("amsgrad must be", "1.0")),
    ({"params": []}, None, ()), ({"colour": "blue"}, None, ()),
], ids=label)
def test_wrong_setting_of_a_group_is_named_and_nothing_is_added(group, error, words):
    ws = parameters()
    optimizer = TorchOptimizer(ws, adamw())
    added = {"params": [torch.nn.Parameter(torch.zeros(2))], **group}
    if error is None:
        optimizer.add_param_group(added)
        return
    refused(optimizer, error, words, lambda: optimizer.add_param_group(added))
    with pytest.raises(error, match=re.escape(words[0])):
        TorchOptimizer([added], adamw())
    drive(ws, optimizer, range(2))
    assert not torch.equal(ws[0], parameters()[0])


@pytest.mark.parametrize("params, error, words", [
    ([], ValueError, "empty parameter list"), ([torch.zeros(2, dtype=torch.int64)], TypeError, "params must have a float"),
    (torch.zeros(2), TypeError, "iterable"), ([{"params": {torch.zeros(2)}}], TypeError, "ordered"),
    ([0.5], TypeError, "Tensors"),
    ([torch.zeros(2, dtype=torch.complex64)], TypeError, "params must have a float dtype, got torch.complex64"),
    (["w"], TypeError, "params must be"), ([torch.ones(2, requires_grad=True) * 2], ValueError, "non-leaf"),
    ([("a", torch.zeros(2)), torch.zeros(2)], ValueError, "names"),
], ids=label)
def test_wrong_params_are_refused(params, error, words):
    with pytest.raises(error, match=words):
        TorchOptimizer(params, adam())


def test_other_wrong_arguments_are_named():
    w, other = parameters()[:2]
    for bad in (adam, 0.1, clip_by_global_norm(1.0), torch.optim.Adam([w])):
        with pytest.raises(TypeError, match="rule must be a Rule"):
            TorchOptimizer([w], bad)
    for bad in ("x", None, 2):
        with pytest.raises(ValueError, match="check_finite must be one of True, False, 'skip'"):
            TorchOptimizer([w], adam(), check_finite=bad)
    optimizer = TorchOptimizer([w, other], adam())
    refused(optimizer, ValueError, ["more than one parameter group"], lambda: optimizer.add_param_group({"params": other}))
    refused(optimizer, TypeError, ["dict"], lambda: optimizer.add_param_group([other]))


def test_weights_given_twice_or_tied_make_one_step():
    w = torch.nn.Parameter(torch.ones(2))
    for params in ([w, w], [("a", w), ("b", w)], [{"params": [w, w]}]):
        optimizer, before = TorchOptimizer(params, momentum(0.5)), w.detach().clone()
        w.grad = torch.ones(2)
        optimizer.step()
        assert torch.equal(w, before - 0.5) and len(optimizer.param_groups[0]["params"]) == 1

    def tied():
        net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 3), torch.nn.Linear(3, 2)).double()
        net[2].weight = net[0].weight
        with torch.no_grad():
            for i, w in enumerate(net.parameters()):
                w.copy_(random(*w.shape, seed=i))
        return net

    ours, theirs = tied(), tied()
    train(ours, TorchOptimizer(ours.parameters(), adam(0.05)), range(10))
    train(theirs, torch.optim.Adam(theirs.parameters(), lr=0.05), range(10))
    close(ours.parameters(), theirs.parameters())
    assert ours[2].weight is ours[0].weight


def test_named_parameters_keep_their_names():
    net, plain = network(), network()
    optimizer = TorchOptimizer(net.named_parameters(), adam(0.05))
    assert optimizer.param_groups[0]["param_names"] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    close(train(net, optimizer, range(5)).parameters(),
          train(plain, TorchOptimizer(plain.parameters(), adam(0.05)), range(5)).parameters(), rtol=0)
    assert optimizer.state_dict()["param_groups"][0]["param_names"][3] == "2.bias"
    assert "rule: adam" in repr(optimizer) and isinstance(optimizer, torch.optim.Optimizer)


def test_a_callers_dict_is_left_alone():
    w, group = torch.nn.Parameter(torch.ones(2)), {"lr": 0.5}
    group["params"] = [w]
    TorchOptimizer([group], adam())
    assert group == {"lr": 0.5, "params": [w]}


def test_a_rates_tensor_is_not_written_into():
    lr, w = torch.tensor(0.5), torch.nn.Parameter(torch.zeros(()))
    optimizer = TorchOptimizer([w], gradient_descent(lr))
    scheduler = lrs.ExponentialLR(optimizer, gamma=0.5)
    for _ in range(3):
        w.grad = torch.ones(())
        optimizer.step()
        scheduler.step()
    assert w.item() == -0.875 and lr.item() == 0.5


@pytest.mark.parametrize("strange", ["transposed", "scalar", "sliced", "empty"])
def test_any_layout_of_a_parameter(strange):
    def made():
        x = random(6, 4)
        return torch.nn.Parameter({"transposed": x.t(), "scalar": x[0, 0], "sliced": x[::2, 1], "empty": x[:0]}[strange])

    ours, theirs = made(), made()
    optimizer, twin = TorchOptimizer([ours], adamw(0.05)), torch.optim.AdamW([theirs], lr=0.05)
    for step in range(5):
        for w, each in ((ours, optimizer), (theirs, twin)):
            w.grad = random(*w.shape[::-1], seed=step).permute(tuple(range(w.dim()))[::-1])
            each.step()
    close([ours], [theirs])
    assert ours.stride() == theirs.stride()


# ---- clipping sees the whole model

@pytest.mark.parametrize("second", [torch.float64, torch.float32])
@pytest.mark.parametrize("max_norm", [0.05, 1e9])
def test_clipping_over_all_groups_equals_torchs(second, max_norm):
    ends = []
    for ours in (True, False):
        ws = [*parameters()[:2], *parameters(second)[2:]]
        groups = [{"params": ws[:2]}, {"params": ws[2:], "lr": 0.3}]
        rule = chain(clip_by_global_norm(max_norm), momentum(0.1))
        optimizer = TorchOptimizer(groups, rule) if ours else torch.optim.SGD(groups, lr=0.1, momentum=0.9)
        for step in range(5):
            for i, w in enumerate(ws):
                w.grad = w.detach() + random(*w.shape, seed=10 * step + i, dtype=w.dtype)
            if not ours:
                torch.nn.utils.clip_grad_norm_(ws, max_norm)
            optimizer.step()
        ends.append(ws)
    for a, b, start in zip(*ends, [*parameters()[:2], *parameters(second)[2:]]):
        torch.testing.assert_close(a - start, b - start, rtol=1e-5, atol=1e-6 if b.dtype == torch.float32 else 1e-9)


def test_groups_that_clip_differently_are_refused():
    ws = parameters()
    optimizer = TorchOptimizer([{"params": ws[:2]}, {"params": ws[2:], "max_norm": 2.0}],
                               chain(clip_by_global_norm(1.0), adam()))
    refused(optimizer, ValueError, ["whole model", "max_norm=1.0", "max_norm=2.0"], with_gradients(ws) and optimizer.step)
    optimizer.param_groups[1]["max_norm"] = 1.0
    optimizer.step()


def test_torchs_own_clipping_works_before_a_step():
    ours, theirs = network(), network()
    optimizer, twin = TorchOptimizer(ours.parameters(), adam(0.1)), torch.optim.Adam(theirs.parameters(), lr=0.1)
    for step in range(10):
        for net, each in ((ours, optimizer), (theirs, twin)):
            backward(net, step)
            torch.nn.utils.clip_grad_norm_(net.parameters(), 0.1)
            each.step()
    close(ours.parameters(), theirs.parameters())


# ---- resuming

def saved_and_loaded(content):
    file = io.BytesIO()
    torch.save(content, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("kind_of_optimizer, dtype", [
    *[(False, dtype) for dtype in DTYPES], (True, torch.bfloat16), (True, torch.float64),
], indirect=["kind_of_optimizer"], ids=label)
@every_rule
def test_resumed_run_equals_the_uninterrupted_one_bit_for_bit(rule, dtype):
    ws = parameters(dtype)
    optimizer = TorchOptimizer([{"params": ws[:1]}, {"params": ws[1:]}], rule)
    if not callable(rule.lr):
        optimizer.param_groups[1]["lr"] *= 0.5
    drive(ws, optimizer, range(4))
    copied_ws, copied = copy.deepcopy((ws, optimizer))
    resumed = [(copied_ws, copied)]
    for state_dict in (saved_and_loaded(optimizer.state_dict()), copy.deepcopy(optimizer.state_dict())):
        own = copy.deepcopy(ws)
        other = TorchOptimizer([{"params": own[:1]}, {"params": own[1:]}], rule)
        drive(own, other, range(90, 92))   # what it did before is forgotten
        for w, v in zip(own, ws):
            w.data.copy_(v)
        other.load_state_dict(state_dict)
        assert same(snapshot(other), snapshot(optimizer))
        resumed.append((own, other))
    drive(ws, optimizer, range(4, 8))
    for own, other in resumed:
        drive(own, other, range(4, 8))
        assert same(snapshot(other), snapshot(optimizer))
    assert torch.equal(ws[2], parameters(dtype)[2]), "a parameter that never had a gradient moved"
    assert all(w.dtype == dtype for w in ws)


def test_a_state_dict_is_loaded_twice_and_into_a_copy():
    ws = parameters()
    optimizer = TorchOptimizer(ws, adam())
    drive(ws, optimizer, range(3))
    for each in (optimizer, copy.deepcopy(optimizer)):
        for _ in range(2):
            each.load_state_dict(optimizer.state_dict())
        assert same(each.state_dict(), optimizer.state_dict())
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(2))]})
    assert same(copy.deepcopy(optimizer).state_dict(), optimizer.state_dict())
    assert not optimizer._optimizer_load_state_dict_pre_hooks and not optimizer._optimizer_load_state_dict_post_hooks


def test_loaded_tensors_are_nobody_elses():
    ws = parameters(torch.float32)
    optimizer = TorchOptimizer(ws, adam())
    drive(ws, optimizer, range(3))
    given = copy.deepcopy(optimizer.state_dict())
    optimizer.load_state_dict(given)
    before = snapshot(optimizer)
    for state in given["state"].values():
        for value in state.values():
            value.fill_(7.0)
    given["param_groups"][0]["lr"] = 7.0
    assert same(snapshot(optimizer), before)


def test_a_copy_and_its_original_go_separate_ways():
    ws = parameters()
    optimizer = TorchOptimizer(ws, adam(), check_finite="skip")
    drive(ws, optimizer, range(3))
    before = snapshot(optimizer)
    copied_ws, copied = copy.deepcopy((ws, optimizer))
    copied.param_groups[0]["beta1"] = 0.2
    drive(copied_ws, copied, range(3, 6))
    assert copied.check_finite == "skip" and same(snapshot(optimizer), before)


def wrong_shape(given):
    given["state"][1]["m"] = torch.zeros(7)


def missing_entry(given):
    del given["state"][3]["v"]


def wrong_setting(given):
    given["param_groups"][0]["beta1"] = 1.5


@pytest.mark.parametrize("spoil, words", [
    (wrong_shape, ("m of shape", "(7,", "parameter 1", "(4,)")), (missing_entry, ("v of shape None", "parameter 3")),
    (wrong_setting, ("beta1", "1.5")),
])
def test_spoilt_state_dict_is_refused_and_changes_nothing(spoil, words):
    ws = parameters()
    optimizer = TorchOptimizer(ws, adam())
    drive(ws, optimizer, range(4))
    given = copy.deepcopy(optimizer.state_dict())
    spoil(given)
    refused(optimizer, ValueError, words, lambda: optimizer.load_state_dict(given))


def pair_of_groups(ws):
    return [{"params": ws[:2]}, {"params": ws[2:]}]


@pytest.mark.parametrize("rule, other, groups, words", [
    (adam(), adamw(), list, ("come from adam", "got adamw")), (adamw(), adam(), list, ("come from adamw", "got adam")),
    (gradient_descent(0.1), sign_descent(0.1), list, ("gradient_descent", "got sign_descent")),
    (chain(clip_by_global_norm(1.0), adam()), adam(), list, ("chain(clip_by_global_norm, adam)", "got adam")),
    (weight_ema(adam()), weight_ema(nadam()), list, ("weight_ema(adam)", "weight_ema(nadam)")),
    (adam(amsgrad=True), adam(), pair_of_groups, ("different number of parameter groups",)),
    (adam(), adam(), lambda ws: [{"params": ws[1:]}], ("parameter",)),
    (adam(), adam(), lambda ws: ws[::-1], ("m of shape", "parameter 0")),
    (adam(), adam(lambda step: 0.1), list, ("schedule",)), (adam(lambda step: 0.1), adam(), list, ("schedule",)),
    (adam(), None, list, ("come from adam", "got None")),
], ids=label)
def test_state_dict_of_another_optimizer_is_refused_and_changes_nothing(rule, other, groups, words):
    ws = parameters()
    optimizer = TorchOptimizer(ws, rule)
    drive(ws, optimizer, range(4))
    theirs = with_gradients(parameters())
    source = TorchOptimizer(groups(theirs), other) if other else torch.optim.Adam(theirs)
    source.step()
    refused(optimizer, ValueError, words, lambda: optimizer.load_state_dict(source.state_dict()))


def test_hooks_of_the_user_see_and_change_what_is_loaded():
    ws, seen = parameters(torch.bfloat16), []
    optimizer = TorchOptimizer(ws, adam())
    drive(ws, optimizer, range(3))
    given = copy.deepcopy(optimizer.state_dict())
    doubled = {i: {**state, "m": 2 * state["m"]} for i, state in given["state"].items()}
    first = optimizer.register_load_state_dict_pre_hook(lambda _, given: {**given, "state": doubled})
    optimizer.register_load_state_dict_post_hook(lambda each: seen.append(each.state[ws[0]]["m"].clone()))
    optimizer.register_load_state_dict_post_hook(lambda each: each.state[ws[1]]["m"].zero_())
    optimizer.register_state_dict_post_hook(lambda _, made: {**made, "epoch": 3})
    optimizer.load_state_dict(given)
    assert same(optimizer.state[ws[0]]["m"], doubled[0]["m"]) and same(seen[0], doubled[0]["m"])
    assert optimizer.state[ws[1]]["m"].count_nonzero() == 0 and optimizer.state_dict()["epoch"] == 3
    first.remove()
    optimizer.load_state_dict(given)
    assert same(optimizer.state[ws[0]]["m"], given["state"][0]["m"])


# ---- schedulers of torch, and schedules of the book

SCHEDULERS = {
    "StepLR": lambda o: lrs.StepLR(o, step_size=4, gamma=0.5),
    "CosineAnnealingLR": lambda o: lrs.CosineAnnealingLR(o, T_max=10, eta_min=1e-3),
    "LambdaLR": lambda o: lrs.LambdaLR(o, [lambda t: 1 / (1 + t), lambda t: 0.9**t]),
    "OneCycleLR": lambda o: lrs.OneCycleLR(o, max_lr=[0.1, 0.2], total_steps=30, cycle_momentum=False),
    "ReduceLROnPlateau": lambda o: lrs.ReduceLROnPlateau(o, patience=1, factor=0.5),
    "SequentialLR": lambda o: lrs.SequentialLR(
        o, [lrs.ConstantLR(o, factor=0.1, total_iters=5), lrs.ExponentialLR(o, gamma=0.9)], milestones=[5]),
    "ChainedScheduler": lambda o: lrs.ChainedScheduler([lrs.LinearLR(o, 0.1, total_iters=6), lrs.ExponentialLR(o, 0.9)]),
}


def scheduled(make, net, scheduler, steps=20):
    """Train two groups under a scheduler; return their rates."""
    optimizer = make([{"params": net[0].parameters()}, {"params": net[2].parameters(), "lr": 0.01}])
    scheduler, rates = scheduler(optimizer), []
    for step in range(steps):
        rates.append([group["lr"] for group in optimizer.param_groups])
        train(net, optimizer, [step])
        plateau = isinstance(scheduler, lrs.ReduceLROnPlateau)
        scheduler.step(1.0) if plateau else scheduler.step()
    return rates


@pytest.mark.parametrize("scheduler", SCHEDULERS.values(), ids=SCHEDULERS)
def test_torchs_schedulers_do_the_same_with_ours_and_theirs(scheduler):
    ours, theirs = network(), network()
    rates = scheduled(lambda groups: TorchOptimizer(groups, adamw(0.05)), ours, scheduler)
    assert rates == scheduled(lambda groups: torch.optim.AdamW(groups, lr=0.05), theirs, scheduler)
    assert len({rate for rate, _ in rates}) > 1
    close(ours.parameters(), theirs.parameters())


def test_cycled_momentum_is_rmsprops_or_is_refused():
    ours, theirs = network(), network()

    def cycle(optimizer):
        return lrs.OneCycleLR(optimizer, max_lr=0.02, total_steps=30)

    rates = scheduled(lambda groups: TorchOptimizer(groups, rmsprop(0.01)), ours, cycle)
    assert rates == scheduled(lambda groups: torch.optim.RMSprop(groups, lr=0.01), theirs, cycle)
    close(ours.parameters(), theirs.parameters())
    for rule in (adam(), momentum(0.1)):
        with pytest.raises(ValueError, match="cycle_momentum"):
            cycle(TorchOptimizer(network().parameters(), rule))


@pytest.mark.parametrize("wrap, batches", [
    (lambda rule: rule, 1), (lambda rule: chain(clip_by_global_norm(9.0), rule), 1), (weight_ema, 1),
    (lambda rule: accumulate_gradients(rule, 3), 3),
])
def test_a_schedule_of_the_book_is_followed_by_the_steps_made(wrap, batches):
    schedule, (w, other) = warmup(inverse_time_decay(0.4, 0.5), 3), parameters()[:2]
    optimizer = TorchOptimizer([{"params": [w]}, {"params": [other], "lr": 0.25}], wrap(gradient_descent(schedule)))
    assert optimizer.param_groups[0]["lr"] == schedule(0)
    for step in range(6 * batches):
        if step == 3 * batches - 1:   # goes on where it was
            given, optimizer = optimizer.state_dict(), TorchOptimizer(
                [{"params": [w]}, {"params": [other], "lr": 0.25}], wrap(gradient_descent(schedule)))
            optimizer.load_state_dict(given)
        before = w.detach().clone(), other.detach().clone()
        w.grad, other.grad = torch.full_like(w, 0.01), torch.full_like(other, 0.01)
        optimizer.step()
        stepped = (step + 1) % batches == 0
        rate = schedule(step // batches)
        close([before[0] - w, before[1] - other],
              [torch.full_like(w, 0.01 * rate * stepped), torch.full_like(other, 0.0025 * stepped)], rtol=1e-12)
        assert [group["lr"] for group in optimizer.param_groups] == [rate, 0.25]


def test_any_function_of_the_step_is_a_schedule_and_is_saved_as_a_number():
    seen = []
    ws = parameters()
    optimizer = TorchOptimizer(ws, adam(lambda step: seen.append(step) or np.float64(0.1) / (1 + step)))
    saved_and_loaded(optimizer.state_dict())
    drive(ws, optimizer, range(3))
    assert seen == [0, 0, 1, 2] and all(type(step) is int for step in seen)
    assert saved_and_loaded(optimizer.state_dict())["param_groups"][0]["lr"] == 0.1 / 3


def by_hand(optimizer):
    optimizer.param_groups[0]["lr"] = 0.7


@pytest.mark.parametrize("also", [*SCHEDULERS.values(), by_hand], ids=[*SCHEDULERS, "by hand"])
def test_schedule_and_something_else_that_sets_the_rate_is_refused(also):
    ws = parameters()
    optimizer = TorchOptimizer([{"params": ws[:2]}, {"params": ws[2:]}], adam(cosine_decay(0.1, 9)))
    other = also(optimizer)
    with_gradients(ws)
    if isinstance(other, lrs.ReduceLROnPlateau):
        for _ in range(3):
            optimizer.step()
            other.step(1.0)
    refused(optimizer, ValueError, ["lr must be set by", "cosine_decay", "scheduler"], optimizer.step)


# ---- closures, hooks, missing gradients

def test_closure_computes_gradients_and_its_loss_is_returned():
    ours, theirs = network(), network()
    optimizer, twin = TorchOptimizer(ours.parameters(), adam(0.05)), torch.optim.Adam(theirs.parameters(), lr=0.05)
    for step in range(5):
        with torch.no_grad():   # a closure has gradients all the same
            loss = optimizer.step(lambda: backward(ours, step))
        assert loss.requires_grad and loss.item() == pytest.approx(twin.step(lambda: backward(theirs, step)).item())
    close(ours.parameters(), theirs.parameters())
    assert TorchOptimizer(parameters(), adam()).step() is None
    assert TorchOptimizer(parameters(), adam()).step(lambda: 3.5) == 3.5


def test_a_profiler_and_hooks_on_all_optimizers_see_each_step():
    """torch announces every step, which takes longer than a small one; ours only where something listens."""
    optimizer, seen = TorchOptimizer(with_gradients(parameters()), gradient_descent(0.1)), []
    with torch.profiler.profile() as profiler:
        optimizer.step()
    assert "Optimizer.step#TorchOptimizer.step" in {event.key for event in profiler.key_averages()}
    handle = register_optimizer_step_post_hook(lambda each, args, kwargs: seen.append(each))
    try:
        optimizer.step()
    finally:
        handle.remove()
    optimizer.step()
    assert seen == [optimizer]


def test_hooks_run_before_and_after_a_step():
    ws, seen = with_gradients(parameters()), []
    optimizer = TorchOptimizer(ws, gradient_descent(0.5))
    optimizer.register_step_pre_hook(lambda each, args, kwargs: seen.append(ws[0].detach().clone()))
    optimizer.register_step_post_hook(lambda each, args, kwargs: seen.append(ws[0].detach().clone()))
    optimizer.step()
    assert same(seen, [parameters()[0].detach(), parameters()[0].detach() - 0.5 * ws[0].grad])


def test_a_parameter_without_gradient_waits_as_with_torchs():
    ours, theirs = parameters(), parameters()
    optimizer, twin = TorchOptimizer(ours, adamw(0.05)), torch.optim.AdamW(theirs, lr=0.05)
    drive(ours, optimizer, range(10))
    drive(theirs, twin, range(10))
    close(ours, theirs)
    assert [int(optimizer.state[w]["t"]) for w in (ours[0], ours[3])] == [10, 4]
    assert ours[2] not in optimizer.state and len(optimizer.state_dict()["state"]) == 3
    before = snapshot(optimizer)
    optimizer.zero_grad()
    optimizer.step()
    assert same(snapshot(optimizer), before)


def test_parameters_added_frozen_and_unfrozen_as_with_torchs():
    ends = []
    for make in (lambda ps: TorchOptimizer(ps, adam(0.05)), lambda ps: torch.optim.Adam(ps, lr=0.05)):
        net = network()
        optimizer = make(net[2].parameters())
        train(net, optimizer, range(5))
        optimizer.add_param_group({"params": net[0].parameters(), "lr": 0.02})
        train(net, optimizer, range(5, 10))
        net[2].requires_grad_(False)
        optimizer.zero_grad()
        train(net, optimizer, range(10, 15))
        net[2].requires_grad_(True)
        ends.append(list(train(net, optimizer, range(15, 20)).parameters()))
    close(*ends)


@pytest.mark.parametrize("set_to_none", [True, False])
def test_rules_that_keep_gradient_or_weights_share_no_memory_with_them(set_to_none):
    def update(g, state, w, lr):
        return -lr * (g + state["g"][0]), {**state, "g": g[None], "w": w, "same": state["w"]}

    rule = Rule("hoarder", {"lr": 0.5}, lambda w: {"g": 0 * w[None], "w": w, "same": w}, update)
    w = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    optimizer, path, kept = TorchOptimizer([w], rule), [w.detach().clone()], [torch.zeros(2)]
    for step in range(4):
        optimizer.zero_grad(set_to_none)
        (w * torch.tensor([3.0, -1.0]) * (step + 1)).sum().backward()
        kept.append(w.grad.clone())
        optimizer.step()
        path.append(path[-1] - 0.5 * (kept[-1] + kept[-2]))
        assert torch.equal(w, path[-1]) and torch.equal(optimizer.state[w]["w"], path[-2])
        assert torch.equal(optimizer.state[w]["same"], path[max(step - 1, 0)])
        assert not any(value.requires_grad for value in optimizer.state[w].values())
    optimizer.zero_grad(set_to_none=False)
    assert torch.equal(optimizer.state[w]["g"][0], kept[-1])


def test_sparse_gradients_make_the_steps_of_dense_ones():
    ends = []
    for sparse in (True, False):
        table = torch.nn.Embedding(6, 3, sparse=sparse, _weight=random(6, 3))
        optimizer = TorchOptimizer(table.parameters(), chain(clip_by_global_norm(1.0), adam(0.05)))
        for step in range(6):
            optimizer.zero_grad(set_to_none=bool(step % 2))
            table(torch.tensor([step, 2, 2])).square().sum().backward()
            assert table.weight.grad.is_sparse == sparse
            optimizer.step()
        ends.append(table.weight)
    assert torch.equal(*ends)


@plain_alone
@pytest.mark.parametrize("rule", [adam(0.02), momentum(0.05), rmsprop(0.01), weight_ema(nadam(0.02)),
                                  accumulate_gradients(adamw(0.05), 2)], ids=label)
def test_bfloat16_training_does_not_stall(rule):
    x, truth = random(64, 4), torch.tensor([0.6, -0.5, 0.3, 0.8], dtype=torch.float64)
    losses = []
    for dtype in (torch.bfloat16, torch.float64):
        w = torch.nn.Parameter(torch.zeros(4, dtype=dtype))
        optimizer = TorchOptimizer([w], rule)
        for _ in range(300):
            optimizer.zero_grad()
            (x.to(dtype) @ w - x.to(dtype) @ truth.to(dtype)).square().mean().backward()
            optimizer.step()
        losses.append((x @ (w.detach().double() - truth)).square().mean())
    assert losses[0] < 1e-3 and losses[1] < 1e-5


# ---- gradients that are not finite

@pytest.mark.parametrize("named", [True, False])
@every_rule
def test_a_gradient_that_is_not_finite_is_named_and_nothing_changes(rule, named):
    ws = [(f"layer.{i}", w) for i, w in enumerate(parameters())] if named else parameters()
    plain = [w for _, w in ws] if named else ws
    optimizer = TorchOptimizer([{"params": ws[:2]}, {"params": ws[2:]}], rule)
    drive(plain, optimizer, range(3))
    with_gradients(plain)
    plain[3].grad[0, 1:3] = float("nan")
    name = "layer.3" if named else "parameter 1 of group 1, of shape (2, 4)"
    words = [f"the gradient of {name}", "NaN or infinity", "2 of 8 entries", "no step was made"]
    refused(optimizer, FloatingPointError, words, optimizer.step)
    optimizer.check_finite = "skip"
    before = snapshot(optimizer)
    assert optimizer.step(lambda: 2.5) == 2.5 and optimizer.step() is None
    assert same(snapshot(optimizer), before) and optimizer.skipped == 2
    with_gradients(plain)
    optimizer.step()
    assert not same(snapshot(optimizer), before) and optimizer.skipped == 2


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", DTYPES, ids=label)
def test_nan_and_both_infinities_are_found_in_every_dtype(dtype, bad):
    ws = with_gradients(parameters(dtype))
    optimizer = TorchOptimizer(ws, adam())
    ws[2].grad.fill_(bad)
    refused(optimizer, FloatingPointError, ["parameter 2 of group 0, of shape (),", "1 of 1"], optimizer.step)


def test_a_sparse_gradient_is_looked_at():
    w = torch.nn.Parameter(torch.ones(3))
    optimizer = TorchOptimizer([w], adam())
    w.grad = torch.sparse_coo_tensor([[1]], [float("nan")], (3,), check_invariants=True)
    refused(optimizer, FloatingPointError, ["parameter 0 of group 0", "1 of 3"], optimizer.step)


def test_without_the_check_it_goes_on():
    ws = with_gradients(parameters())
    ws[0].grad[0, 0] = float("nan")
    optimizer = TorchOptimizer(ws, gradient_descent(0.1), check_finite=False)
    optimizer.step()
    assert ws[0].isnan().sum() == 1 and not torch.equal(ws[1], parameters()[1]) and optimizer.skipped == 0


# ---- averaged weights

def test_averaged_weights_inside_and_the_weights_outside():
    net, reference = network(torch.float32), network(torch.float32)
    optimizer = TorchOptimizer(net.parameters(), chain(clip_by_global_norm(9.0), weight_ema(adam(0.05), decay=0.8)))
    twin = torch.optim.Adam(reference.parameters(), lr=0.05)
    averaged = swa_utils.AveragedModel(reference, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.8))
    theirs = swa_utils.AveragedModel(net, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.8))
    for step in range(12):
        train(net, optimizer, [step])
        train(reference, twin, [step])
        averaged.update_parameters(reference)
        theirs.update_parameters(net)
    before = snapshot(optimizer)
    with optimizer.averaged_weights():
        close(net.parameters(), averaged.module.parameters(), rtol=1e-4)
        close(net.parameters(), theirs.module.parameters(), rtol=1e-5)
        assert not torch.equal(net[0].weight, before[1][0])
    assert same(snapshot(optimizer), before)
    with pytest.raises(KeyError, match="from within"), optimizer.averaged_weights():
        raise KeyError("from within")
    assert same(snapshot(optimizer), before)
    train(net, optimizer, [12])


def test_averages_of_some_parameters_and_of_none():
    ws = parameters(torch.bfloat16)
    optimizer = TorchOptimizer(ws, weight_ema(adam(0.05)))
    with pytest.raises(ValueError, match="weight_ema.*after a step"), optimizer.averaged_weights():
        pass
    drive(ws, optimizer, range(4))
    with optimizer.averaged_weights():
        assert torch.equal(ws[2], parameters(torch.bfloat16)[2])   # never had a gradient
        assert torch.equal(ws[0], optimizer.state[ws[0]]["average"].bfloat16())
    plain = TorchOptimizer(with_gradients(ws), adam())
    plain.step()
    with pytest.raises(ValueError, match=r"weight_ema.*got adam\("), plain.averaged_weights():
        pass


# ---- what else torch does with an optimizer

def test_scaled_gradients_of_mixed_precision():
    ours, plain = network(torch.float32), network(torch.float32)
    optimizer, twin = TorchOptimizer(ours.parameters(), adam(0.05)), TorchOptimizer(plain.parameters(), adam(0.05))
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for step in range(6):
        backward(ours, step, scaler.scale)
        if step == 3:   # overflow: the scaler leaves the step out
            ours[0].bias.grad[0] = float("inf")
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        if step != 3:
            train(plain, twin, [step])
    assert scaler.get_scale() == 512.0
    close(ours.parameters(), plain.parameters(), rtol=1e-5)


def own_rule():
    def shrink(lr, rate=0.5, steps=2):
        def update(g, state, w, lr):
            return -lr * (g + rate * w), {**state, "last": g, "calls": state["calls"] + 1, "mean": 0.5 * state["mean"] + g}

        return Rule("shrink", {"lr": lr, "rate": rate, "steps": steps},
                    lambda w: {"last": 0 * w, "calls": 0, "mean": 0.0}, update)
    return shrink(0.1)


@plain_alone   # compiled, an entry of the state keeps its shape
def test_a_rule_of_ones_own_works_and_resumes_but_must_be_registered_to_differ_by_group():
    ws = parameters()
    optimizer = TorchOptimizer([{"params": ws[:2]}, {"params": ws[2:], "lr": 0.05}], own_rule())
    drive(ws, optimizer, range(3))
    other_ws = copy.deepcopy(ws)
    other = TorchOptimizer(pair_of_groups(other_ws), own_rule())
    other.load_state_dict(saved_and_loaded(optimizer.state_dict()))
    for own, each in ((ws, optimizer), (other_ws, other)):
        drive(own, each, range(3, 6))
    assert same(snapshot(optimizer), snapshot(other)) and optimizer.state[ws[0]]["calls"] == 6
    refused(optimizer, ValueError, ["shrink", "register"],
            lambda: optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(1))], "rate": 0.1}))
    optimizer.param_groups[0]["rate"] = 0.7
    refused(optimizer, ValueError, ["shrink", "register"], optimizer.step)


def test_a_rule_without_a_rate_and_a_transform_with_memory():
    def center(g, state, w):
        return g - state["last"], {"last": g}

    last = Transform("difference", {}, lambda w: {"last": 0 * w}, center, whole_model=True)
    halve = Rule("halve", {}, lambda w: {}, lambda g, state, w, lr: (-0.5 * g, state))
    ws, starts = parameters(), parameters()
    optimizer = TorchOptimizer(ws, chain(last, halve))
    given = [[random(*w.shape, seed=10 * step + i) for i, w in enumerate(ws)] for step in range(2)]
    for gradients in given:
        for w, g in zip(ws, gradients):
            w.grad = g.clone()
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
    close(ws, [w - 0.5 * g for w, g in zip(starts, given[1])])
    with pytest.raises(ValueError, match="lr"):
        TorchOptimizer([{"params": parameters(), "lr": 0.1}], halve)


def test_settings_that_change_at_every_step_are_not_hoarded():
    ws = parameters()
    optimizer = TorchOptimizer(ws, adamw(0.01))
    for step in range(250):
        optimizer.param_groups[0]["weight_decay"] = 0.1 / (1 + step)
        drive(ws, optimizer, [step])
    assert len(optimizer._rule_of._made) <= 100
