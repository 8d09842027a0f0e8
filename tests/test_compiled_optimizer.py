"""TorchOptimizer(compiled=True) makes the steps of the plain one, over parameters and gradients that lie together."""

import copy
import gc
import io
import re
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_torch_optimizer import (
    backward, drive, network, pair_of_groups, parameters, random, same, snapshot, with_gradients,
)

from course_lib.frameworks import TorchOptimizer
from course_lib.schedules import cosine_decay
from course_lib.update_rules import (
    Rule, accumulate_gradients, adam, adamw, add_decayed_weights, chain, clip_by_global_norm, gradient_descent, lion,
    matrices_only, momentum, nadam, weight_ema,
)

BOTH = (False, True)
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True, params=[1 << 16, 5], ids=["", "some large"])
def programs(untraced, monkeypatch, request):
    """Run each program one operation at a time: then equal means bit for bit. Return the programs.

    Everything holds for small parameters, in one buffer, and where some are large and stay where they are.
    """
    monkeypatch.setattr("course_lib.kernels.flat_buffers.LARGE", request.param)
    return untraced


none_large = pytest.mark.parametrize("programs", [1 << 16], indirect=True, ids=[""])


def ends(run):
    """Run twice, plain and compiled, and assert that the ends are equal in every bit."""
    plain, fast = (run(compiled) for compiled in BOTH)
    assert same(plain, fast)
    return fast


def layer_wise(lr):
    """A reader's rule: every array makes a step of the length of the rate."""
    return Rule("layer_wise", {"lr": lr}, lambda w: {}, lambda g, state, w, lr: (-lr * g / (g.norm() + 1e-9), state))


def by_size(w):
    return float(w.numel() > 5)


RULES = {
    "adam": adam(0.05), "nadam": nadam(0.05), "layer_wise": layer_wise(0.1),
    "clipped": chain(clip_by_global_norm(0.5), adamw(0.05, weight_decay=0.3)),
    "masked": adamw(0.05, weight_decay=0.5, mask=matrices_only),
    "masked by size": chain(add_decayed_weights(0.3, mask=by_size), momentum(0.05)),
    "all": chain(clip_by_global_norm(2.0), accumulate_gradients(weight_ema(lion(0.05, mask=matrices_only)), 2)),
    "scheduled": chain(clip_by_global_norm(2.0), adam(cosine_decay(0.1, steps=9))),
}
every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


# ---- the programs

@every_rule
def test_what_is_traced_makes_the_plain_steps(rule, request):
    def run(compiled):
        ws = parameters(torch.float32)
        optimizer = TorchOptimizer(pair_of_groups(ws), rule, compiled=compiled)
        drive(ws, optimizer, range(5))
        with_gradients(ws)[0].grad[0, 0] = float("inf")
        optimizer.check_finite = "skip"
        optimizer.step()
        return optimizer.skipped, snapshot(optimizer)

    request.getfixturevalue("monkeypatch").undo()
    graphs = request.getfixturevalue("traced")
    assert ends(run)[0] == 1 and graphs


@none_large
@pytest.mark.parametrize("name, loops, largest", [
    ("adam", 1, 0),
    ("clipped", None, 9017),   # several runs: the gradients once more, as one vector
])
def test_what_is_compiled_is_few_loops_with_few_arrays_and_looks_for_nan(name, loops, largest, monkeypatch):
    from torch._inductor import config, utils

    monkeypatch.undo()

    def run(compiled):
        ws = [torch.nn.Parameter(random(n, seed=n, dtype=torch.float32)) for n in (6007, 5, 3001, 4)]
        groups = [{"params": ws}] if loops else pair_of_groups(ws)
        optimizer = TorchOptimizer(groups, RULES[name], compiled=compiled, check_finite="skip")
        for step in range(12):
            for i, w in enumerate(ws):
                w.grad = random(*w.shape, seed=10 * step + i, dtype=torch.float32)
            ws[2].grad[7] = float("nan") if step % 5 == 2 else 0.0
            optimizer.step()
        return optimizer.skipped, snapshot(optimizer)[1]

    with config.patch(force_disable_caches=True):
        (skipped, ws), [code] = utils.run_and_get_code(lambda: run(True))
    plain_skipped, plain = run(False)
    assert skipped == plain_skipped == 2
    torch.testing.assert_close(ws, plain, rtol=1e-5, atol=1e-5)
    arrays = [int(size) for size in re.findall(r"empty_strided\w*\(\((\d+),", code)]
    assert max(arrays, default=0) <= largest and len(arrays) <= 1
    if loops:
        assert len(re.findall(r"\bfor ?\(int64_t x0", code)) == loops


# ---- where things lie

@none_large
def test_parameters_gradients_and_states_are_views_of_one_buffer_each():
    net = network()
    optimizer = TorchOptimizer(net.parameters(), adam(0.05), compiled=True)
    pointers = [w.data_ptr() for w in net.parameters()]
    for step in range(3):
        optimizer.zero_grad(set_to_none=step != 1)
        torch.nn.functional.mse_loss(net(random(8, 3, seed=step)), random(8, 2)).backward()
        optimizer.step()
        ws = list(net.parameters())
        for arrays in (ws, [w.grad for w in ws], *([optimizer.state[w][key] for w in ws] for key in ("m", "v"))):
            assert len({x.untyped_storage().data_ptr() for x in arrays}) == 1
            ends = [x.data_ptr() + x.numel() * x.element_size() for x in arrays]
            assert [x.data_ptr() for x in arrays[1:]] == ends[:-1]
            assert [x.shape for x in arrays] == [w.shape for w in ws]
        assert [w.data_ptr() for w in ws] == pointers and all(w.is_leaf for w in ws)


@pytest.mark.parametrize("make, count", [(lambda: adam(0.1), 4), (lambda: momentum(0.1), 3), (lambda: lion(0.1), 3)])
def test_memory_is_what_the_arrays_need(make, count):
    net = torch.nn.Sequential(*[torch.nn.Linear(100, 100) for _ in range(4)])
    optimizer = TorchOptimizer(net.parameters(), make(), compiled=True)
    for _ in range(2):
        net(torch.ones(1, 100)).sum().backward()
        optimizer.step()
    held = [x for w in net.parameters() for x in (w, w.grad, *optimizer.state[w].values())]
    storages = {x.untyped_storage().data_ptr(): x.untyped_storage().nbytes() for x in held}
    needed = count * sum(w.nbytes for w in net.parameters())
    assert needed <= sum(storages.values()) <= 1.01 * needed


@none_large
@pytest.mark.parametrize("rule, count", [
    (adam(0.1), 1), (RULES["clipped"], 1), (RULES["masked"], 2), (RULES["masked by size"], 4), (layer_wise(0.1), 4),
], ids=["adam", "clipped", "masked", "masked by size", "layer_wise"])
def test_as_few_arrays_as_the_rule_allows(rule, count):
    net = network()
    optimizer = TorchOptimizer(net.parameters(), rule, compiled=True, check_finite=False)
    backward(net, 0)
    optimizer.step()
    assert len({w.untyped_storage().data_ptr() for w in net.parameters()}) == count


def test_large_parameters_stay_where_they_are_and_their_gradients_are_not_kept(monkeypatch):
    monkeypatch.setattr("course_lib.kernels.flat_buffers.LARGE", 10)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 4))
    weights, biases = [net[0].weight, net[1].weight], [net[0].bias, net[1].bias]
    pointers = [w.data_ptr() for w in weights]
    optimizer = TorchOptimizer(net.parameters(), adam(0.05), compiled=True)
    assert len({w.untyped_storage().data_ptr() for w in biases}) == 1
    for _ in range(3):
        net(torch.ones(1, 3)).sum().backward()
        optimizer.step()
        gradients = [weakref.ref(w.grad) for w in weights]
        optimizer.zero_grad()
        assert [each() for each in gradients] == [None, None]
    assert [w.data_ptr() for w in weights] == pointers


def test_while_backward_runs_gradients_are_moved_a_few_at_a_time(monkeypatch):
    monkeypatch.setattr("course_lib.kernels.flat_buffers.LARGE", 70)
    net = torch.nn.Sequential(*[torch.nn.Linear(8, 8) for _ in range(12)])
    optimizer = TorchOptimizer(net.parameters(), adam(0.05), compiled=True)
    places, own = optimizer._flat.buffers.places, []

    def count(_):
        own.append(sum(w.grad is not None and w.grad is not places[w].grad for w in net.parameters()))

    for w in net.parameters():
        w.register_post_accumulate_grad_hook(count)
    net(torch.ones(1, 8)).sum().backward()
    assert max(own) <= 3 and len(own) == 24, "of 24 gradients at most a matrix and two vectors are held twice"
    optimizer.step()
    assert all(w.grad is places[w].grad for w in net.parameters())


@pytest.mark.parametrize("check_finite", [True, False])
def test_states_that_were_joined_are_not_shared_when_a_run_is_made_anew(check_finite):
    def run(compiled):
        net = network()
        optimizer = TorchOptimizer(net.parameters(), adam(0.05), compiled=compiled, check_finite=check_finite)
        for step in range(4):
            backward(net, step)
            if step == 2:
                one_replaced(net)
            optimizer.step()
        return [optimizer.state[w]["t"].item() for w in net.parameters()]

    assert ends(run) == [4.0] * 4


@none_large
def test_parameters_of_two_kinds_that_alternate_make_two_runs(programs):
    net = torch.nn.Sequential(*[torch.nn.Linear(3, 3) for _ in range(4)])
    optimizer = TorchOptimizer(net.parameters(), RULES["masked"], compiled=True)
    net(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    assert len(programs) == 2


# ---- the same steps

@every_rule
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_training_with_gradients_that_come_and_go_is_the_plain_run(rule, dtype):
    def run(compiled):
        ws = parameters(dtype)
        optimizer = TorchOptimizer(pair_of_groups(ws), rule, compiled=compiled)
        if not callable(rule.lr):
            optimizer.param_groups[1]["lr"] *= 0.5
        drive(ws, optimizer, range(7))
        return snapshot(optimizer)

    ends(run)


@settings(max_examples=25)
@given(
    st.lists(st.integers(0, 31), min_size=3, max_size=8), st.sampled_from(["adam", "clipped", "masked", "all"]),
    st.booleans(),
)
def test_any_pattern_of_missing_gradients(patterns, name, two_groups):
    def run(compiled):
        ws = [torch.nn.Parameter(random(*shape, seed=i)) for i, shape in enumerate([(2, 3), (4,), (3, 1), (2,), (0,)])]
        groups = [{"params": ws[:2]}, {"params": ws[2:], "lr": 0.01}] if two_groups else ws
        optimizer = TorchOptimizer(groups, RULES[name], compiled=compiled)
        for step, pattern in enumerate(patterns):
            for i, w in enumerate(ws):
                w.grad = random(*w.shape, seed=10 * step + i) if pattern >> i & 1 else None
            optimizer.step()
        return snapshot(optimizer)

    if name == "all" and not two_groups:   # matrices and vectors lie apart: the norm is summed in another order
        (_, plain), (_, fast) = (run(compiled) for compiled in BOTH)
        torch.testing.assert_close(fast, plain, rtol=1e-12, atol=1e-12)
    else:
        ends(run)


def test_irregular_patterns_compile_few_programs(programs):
    ws = [torch.nn.Parameter(torch.ones(3)) for _ in range(8)]
    optimizer = TorchOptimizer(ws, adam(0.1), compiled=True)
    draw = torch.Generator().manual_seed(0)
    for _ in range(60):
        for w, there in zip(ws, torch.rand(8, generator=draw) < 0.7):
            w.grad = torch.ones(3) if there else None
        optimizer.step()
    assert len(programs) <= 20


def test_accumulation_over_two_backwards_and_both_ways_of_zeroing():
    def run(compiled):
        net = network()
        optimizer = TorchOptimizer(net.parameters(), adam(0.05), compiled=compiled)
        for step in range(4):
            for part in range(2):
                net(random(8, 3, seed=2 * step + part)).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=bool(step % 2))
        return snapshot(optimizer)

    ends(run)


def by_hand(w, step):
    w.grad = random(*w.shape, seed=step)


def sparse(w, step):
    w.grad = random(*w.shape, seed=step).to_sparse()


def transposed(w, step):
    w.grad = random(*w.shape[::-1], seed=step).permute(*range(w.ndim)[::-1])


def with_a_graph(w, step):
    w.grad = None
    (w.square().sum() * (step + 1)).backward(create_graph=True)


def in_place(w, step):
    w.grad = torch.zeros_like(w) if w.grad is None else w.grad
    w.grad.add_(random(*w.shape, seed=step))


@pytest.mark.filterwarnings("ignore:Using backward:UserWarning")
@pytest.mark.parametrize("give", [by_hand, sparse, transposed, with_a_graph, in_place])
def test_a_gradient_may_come_from_anywhere(give):
    def run(compiled):
        ws = [torch.nn.Parameter(random(*shape, seed=i)) for i, shape in enumerate([(4, 3), (5,), (2, 2)])]
        optimizer = TorchOptimizer(ws, adam(0.05), compiled=compiled)
        for step in range(4):
            for w in ws:
                give(w, step)
            optimizer.step()
        return snapshot(optimizer)

    ends(run)


def test_other_hooks_see_the_gradient_and_may_replace_it():
    def run(compiled):
        net, seen = network(), []
        optimizer = TorchOptimizer(net.parameters(), adam(0.05), compiled=compiled)
        net[0].weight.register_hook(lambda g: 2 * g)
        net[0].weight.register_post_accumulate_grad_hook(lambda w: seen.append(w.grad.clone()))
        net[2].weight.register_post_accumulate_grad_hook(lambda w: setattr(w, "grad", w.grad.sign()))
        for step in range(3):
            backward(net, step)
            optimizer.step()
        return seen, snapshot(optimizer)

    assert len(ends(run)[0]) == 3


def test_a_hook_may_step_in_backward_and_drop_the_gradient():
    def run(compiled):
        def step_and_drop(w):
            optimizers[w].step()
            w.grad = None

        net = network()
        for w in net.parameters():   # before the optimizer's own hook, which then finds no gradient
            w.register_post_accumulate_grad_hook(step_and_drop)
        optimizers = {w: TorchOptimizer([w], adam(0.05), compiled=compiled) for w in net.parameters()}
        whole = TorchOptimizer(net.parameters(), adam(0.05), compiled=compiled)
        for step in range(3):
            backward(net, step)
            whole.step()
        return [snapshot(each) for each in optimizers.values()], snapshot(whole)

    ends(run)


def test_second_derivatives_go_through_parameters_that_were_moved():
    def run(compiled):
        net = network()
        optimizer = TorchOptimizer(net.parameters(), adam(0.05), compiled=compiled)
        for step in range(3):
            optimizer.zero_grad()
            loss = net(random(8, 3, seed=step)).square().sum()
            first = torch.autograd.grad(loss, list(net.parameters()), create_graph=True)
            sum(g.square().sum() for g in first).backward()
            optimizer.step()
        return snapshot(optimizer)

    ends(run)


@pytest.mark.parametrize("compiled", BOTH)
def test_a_step_between_forward_and_backward_is_noticed(compiled):
    net = network()
    optimizer = TorchOptimizer(net.parameters(), adam(0.05), compiled=compiled)
    for step in range(2):
        backward(net, step)
        loss = net(random(8, 3)).square().sum()
        optimizer.step()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()


# ---- parameters of every kind

def kinds():
    made = torch.nn.Parameter
    shared, conv = random(4, 3, seed=3), torch.nn.Conv2d(2, 3, 2).double()
    with torch.no_grad():
        for i, w in enumerate(conv.parameters()):
            w.copy_(random(*w.shape, seed=i))
    return {
        "tied memory": [made(shared), made(shared), made(random(3))],
        "views of one array": [made(shared[0]), made(shared[2]), made(random(2))],
        "halves of one array": [made(x) for x in random(6).split(3)],
        "overlapping": [made(random(5)[:4]), made(shared.view(-1)[1:8]), made(shared)],
        "not contiguous": [made(shared.t()), made(random(3)), made(random(4))],
        "channels last": list(conv.to(memory_format=torch.channels_last).parameters()),
        "0-d": [made(random()), made(random(seed=1)), made(random(2))],
        "empty": [made(random(0)), made(random(3)), made(random(0, 4))],
        "all empty": [made(random(0)), made(random(0, 4))],
        "alone": [made(random(3))],
        "two dtypes": [made(random(3, dtype=d)) for d in (torch.float64, torch.float32) * 2],
        "plain tensors": [random(3, seed=i).requires_grad_() for i in range(2)],
    }


@pytest.mark.parametrize("rule", [RULES["adam"], RULES["masked"], RULES["clipped"]], ids=["adam", "masked", "clipped"])
@pytest.mark.parametrize("kind", kinds())
def test_parameters_of_every_kind(kind, rule):
    def run(compiled):
        ws = kinds()[kind]
        optimizer = TorchOptimizer(ws, rule, compiled=compiled)
        for step in range(4):
            optimizer.zero_grad()
            sum(((w - 1) ** 2).double().sum() * (i + 1) for i, w in enumerate(ws)).backward()
            optimizer.step()
        return snapshot(optimizer), [w.stride() for w in ws]

    if "clip" in repr(rule) or kind == "two dtypes":
        plain, fast = (run(compiled) for compiled in BOTH)
        for a, b in zip(plain[0][1], fast[0][1]):   # a norm is summed in another order
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)
    else:
        ends(run)


def test_memory_shared_with_something_else_stays_shared():
    held = random(6)
    w, other = torch.nn.Parameter(held[:3]), torch.nn.Parameter(random(4))
    optimizer = TorchOptimizer([w, other], gradient_descent(0.5), compiled=True)
    w.grad, other.grad = torch.ones(3, dtype=torch.float64), torch.ones(4, dtype=torch.float64)
    optimizer.step()
    assert torch.equal(held[:3], random(6)[:3] - 0.5) and w.data_ptr() == held.data_ptr()


def test_tied_weights_stay_tied():
    def run(compiled):
        net = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)).double()
        net[1].weight = net[0].weight
        with torch.no_grad():
            for i, w in enumerate(net.parameters()):
                w.copy_(random(*w.shape, seed=i))
        optimizer = TorchOptimizer(net.parameters(), adam(0.05), compiled=compiled)
        for step in range(4):
            optimizer.zero_grad()
            net(random(8, 3, seed=step)).square().sum().backward()
            optimizer.step()
        assert net[1].weight is net[0].weight
        return snapshot(optimizer)

    ends(run)


def test_frozen_unfrozen_and_added_in_the_middle():
    def run(compiled):
        net = network()
        net[0].requires_grad_(False)
        optimizer = TorchOptimizer(net[:2].parameters(), RULES["clipped"], compiled=compiled)
        for step in range(16):
            if step == 2:
                optimizer.add_param_group({"params": net[2].parameters(), "lr": 0.01, "weight_decay": 0.0})
            if step % 4 == 3:
                net[0].requires_grad_(step % 8 == 3)
            backward(net, step)
            optimizer.step()
        return snapshot(optimizer)

    ends(run)


# ---- what moves away

def doubled(net):
    net.double()


def replaced(net):
    for w in net.parameters():
        w.data = w.data.clone()


def one_replaced(net):
    net[2].weight.data = random(2, 4, seed=9, dtype=net[2].weight.dtype)


def loaded(net):
    net.load_state_dict({k: v + 1 for k, v in net.state_dict().items()})


@every_rule
@pytest.mark.parametrize("move", [doubled, replaced, one_replaced, loaded])
def test_what_replaces_the_weights_is_followed(move, rule):
    def run(compiled):
        net = network(torch.float32)
        optimizer = TorchOptimizer(net.parameters(), rule, compiled=compiled)
        for step in range(6):
            backward(net, step)
            if step in (2, 4):
                move(net)
            optimizer.step()
        assert all(w.grad is not None for w in net.parameters())
        return [w.detach().clone() for w in net.parameters()]

    plain, fast = (run(compiled) for compiled in BOTH)
    for a, b in zip(plain, fast):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_a_model_made_narrow_goes_on_and_learns():
    net = network(torch.float32)
    optimizer = TorchOptimizer(net.parameters(), adam(0.05), compiled=True)
    losses = []
    for step in range(60):
        if step == 30:
            net.bfloat16()
        losses.append(backward(net, 0).item())
        optimizer.step()
    assert losses[-1] < 0.7 * losses[30] < 0.7 * losses[0]
    assert {w.dtype for w in net.parameters()} == {torch.bfloat16}


# ---- saving

@every_rule
@pytest.mark.parametrize("first", BOTH)
def test_a_run_goes_on_with_and_without_compiling_bit_for_bit(rule, first):
    def made(ws, compiled):
        return TorchOptimizer(pair_of_groups(ws), rule, compiled=compiled)

    ws = parameters()
    optimizer = made(ws, first)
    drive(ws, optimizer, range(5))
    runs = []
    for compiled in BOTH:
        own, file = copy.deepcopy(ws), io.BytesIO()
        other = made(own, compiled)
        drive(own, other, range(50, 52))
        for w, v in zip(own, ws):
            w.data.copy_(v)
        torch.save(optimizer.state_dict(), file)
        file.seek(0)
        other.load_state_dict(torch.load(file, weights_only=True))
        assert same(snapshot(other), snapshot(optimizer))
        runs.append((own, other))
    for own, other in ((ws, optimizer), *runs):
        drive(own, other, range(5, 9))
    for _, other in runs:
        assert same(snapshot(other), snapshot(optimizer))


def test_a_saved_state_does_not_hold_the_whole_buffers():
    net = network()
    optimizer = TorchOptimizer(net.parameters(), adam(0.05), compiled=True)
    backward(net, 0)
    optimizer.step()
    files = [io.BytesIO(), io.BytesIO()]
    torch.save(optimizer.state_dict(), files[0])
    torch.save(copy.deepcopy(optimizer.state_dict()), files[1])
    assert files[0].tell() < 1.5 * files[1].tell()


@every_rule
def test_a_copy_goes_on_alone_and_compiled(rule):
    ws = parameters()
    optimizer = TorchOptimizer(pair_of_groups(ws), rule, compiled=True)
    drive(ws, optimizer, range(4))
    before = snapshot(optimizer)
    own, other = copy.deepcopy((ws, optimizer))
    assert other.compiled is True and same(snapshot(other), before)
    drive(own, other, range(4, 7))
    assert same(snapshot(optimizer), before)
    drive(ws, optimizer, range(4, 7))
    assert same(snapshot(other), snapshot(optimizer))


# ---- gradients that are not finite

@every_rule
@pytest.mark.parametrize("steps", [0, 3])
@pytest.mark.parametrize("where", [0, 3])
def test_nan_at_the_first_step_and_later_changes_nothing(rule, steps, where):
    ws = parameters()
    optimizer = TorchOptimizer(pair_of_groups(ws), rule, compiled=True)
    drive(ws, optimizer, range(steps))
    with_gradients(ws)[where].grad.view(-1)[1] = float("nan")
    before = snapshot(optimizer)
    with pytest.raises(FloatingPointError, match=f"parameter {where % 2} of group {where // 2}.*1 of .*no step"):
        optimizer.step()
    assert same(snapshot(optimizer), before)
    optimizer.check_finite = "skip"
    optimizer.step()
    assert same(snapshot(optimizer), before) and optimizer.skipped == 1
    plain_ws = copy.deepcopy([w.detach() for w in ws])
    plain = TorchOptimizer(pair_of_groups([w.requires_grad_() for w in plain_ws]), rule)
    plain.load_state_dict(optimizer.state_dict())
    for own, each in ((ws, optimizer), (plain_ws, plain)):
        with_gradients(own)
        each.step()
    assert same(snapshot(optimizer), snapshot(plain)) and optimizer.skipped == 1


# ---- rates and settings

@none_large
def test_neither_rates_nor_clocks_nor_schedulers_compile_again(programs):
    net = network()
    optimizer = TorchOptimizer(net.parameters(), adam(0.05), compiled=True)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    for step in range(20):
        backward(net, step)
        optimizer.step()
        scheduler.step()
    assert len(programs) == 1


@none_large
def test_settings_that_change_at_every_step_compile_few_programs(programs):
    def run(compiled):
        net = network()
        optimizer = TorchOptimizer(net.parameters(), adamw(0.05), compiled=compiled)
        for step in range(40):
            optimizer.param_groups[0]["weight_decay"] = 0.1 / (1 + step)
            backward(net, step)
            optimizer.step()
        return snapshot(optimizer)

    ends(run)
    assert len(programs) <= 2


def test_one_program_for_a_model_that_is_clipped_over_groups(programs):
    ws = [torch.nn.Parameter(random(3, seed=i, dtype=d)) for i, d in enumerate((torch.float64, torch.float32) * 2)]
    optimizer = TorchOptimizer(pair_of_groups(ws), RULES["clipped"], compiled=True)
    for _ in range(3):
        with_gradients(ws)
        optimizer.step()
    assert len(programs) == 1


@pytest.mark.parametrize("bad", ["yes", None, 1.5])
def test_wrong_compiled_is_named(bad):
    with pytest.raises(ValueError, match="compiled must be one of True, False, got"):
        TorchOptimizer(parameters(), adam(), compiled=bad)


# ---- what is left when it is gone

def test_nothing_keeps_the_buffers_and_backward_still_works():
    net = network()
    optimizer = TorchOptimizer(net.parameters(), adam(0.05), compiled=True)
    backward(net, 0)
    optimizer.step()
    gradients = next(each.gradients for each in optimizer._flat.buffers.places.values() if each.grad is not None)
    gone = [weakref.ref(optimizer._flat), weakref.ref(gradients)]
    del optimizer, gradients
    net.zero_grad()
    gc.collect()
    assert [each() for each in gone] == [None, None]
    reference = network()
    reference.load_state_dict(net.state_dict())
    for each in (net, reference):
        backward(each, 1)
    assert same([w.grad for w in net.parameters()], [w.grad for w in reference.parameters()])
    net.zero_grad()
    again = TorchOptimizer(net.parameters(), adam(0.05), compiled=True)
    plain = TorchOptimizer(reference.parameters(), adam(0.05))
    for each, own in ((net, again), (reference, plain)):
        backward(each, 2)
        own.step()
    assert same(snapshot(again), snapshot(plain))


def test_two_optimizers_over_the_same_parameters():
    def run(compiled):
        net = network()
        first = TorchOptimizer(net.parameters(), adam(0.05), compiled=compiled)
        second = TorchOptimizer(net.parameters(), momentum(0.05), compiled=compiled)
        for step in range(6):
            backward(net, step)
            (first, second)[step % 2].step()
        return snapshot(first), snapshot(second)

    ends(run)


BESIDE = """
import torch
def tensorflow():
    import tensorflow as tf
    assert float(tf.reduce_sum(tf.ones(3))) == 3
def ours():
    from course_lib import adam
    from course_lib.frameworks import TorchOptimizer
    w = torch.nn.Parameter(torch.ones(3))
    v = torch.nn.Parameter(torch.ones(2))
    optimizer = TorchOptimizer([w, v], adam(0.1), compiled=True)
    (w.sum() + v.sum()).backward()
    optimizer.step()
    assert torch.allclose(w, torch.tensor(0.9))
for name in "{order}".split():
    globals()[name]()
print("alive")
"""


@none_large
@pytest.mark.parametrize("order", ["tensorflow ours", "ours tensorflow"])
def test_beside_tensorflow_in_one_process(order):
    program = BESIDE.replace("{order}", order)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert done.stdout.strip() == "alive", done.stderr[-2000:]
