"""What the tests of cuts and of independent sets share: small graphs as lists of pairs, and what every solver keeps to."""

import random

import numpy as np
import torch
from hypothesis import strategies as st

from course_lib import karate_club


def both(pairs):
    """Each pair in both directions, a loop once."""
    return np.array([*pairs, *((j, i) for i, j in pairs if i != j)], dtype=np.int64).reshape(-1, 2).T


def pairs_of(edge_index):
    """Each undirected edge once, from an edge_index without loops and doubles."""
    return [(i, j) for i, j in np.asarray(edge_index).T.tolist() if i < j]


def ring(nodes):
    return [(i, (i + 1) % nodes) for i in range(nodes)]


@st.composite
def graphs(draw, least=1):
    """Few nodes: so there are loops, pairs that stand twice, parts without a connection, and lone nodes."""
    nodes = draw(st.integers(least, 9))
    node = st.integers(0, nodes - 1)
    return draw(st.lists(st.tuples(node, node), max_size=16)), nodes


KARATE = pairs_of(karate_club().edge_index), 34


def answers_for_no_nodes(solver):
    """An empty answer, or an error that speaks of nodes."""
    try:
        answer = solver(both([]), 0, seed=0)
    except ValueError as error:
        assert "nodes" in str(error)
    else:
        assert answer.shape == (0,) and answer.dtype == bool


def is_decided_by_its_seed(solver, edges, nodes):
    """The same seed gives the same, another one something else; neither the graph nor anybody's randomness is touched."""
    kept, before = edges.clone(), (torch.get_rng_state(), np.random.get_state(), random.getstate())
    first = [solver(edges, nodes, seed=seed).tolist() for seed in range(8)]
    after = torch.get_rng_state(), np.random.get_state(), random.getstate()
    torch.manual_seed(5)
    assert torch.equal(edges, kept) and first == [solver(edges, nodes, seed=seed).tolist() for seed in range(8)]
    assert len({tuple(answer) for answer in first}) > 1
    assert torch.equal(before[0], after[0]) and before[2] == after[2]
    assert (before[1][1] == after[1][1]).all() and before[1][2:] == after[1][2:]


def takes_any_form_of_a_graph(solver, pairs, nodes):
    """Lists, arrays and tensors, of any integers."""
    edges = both(pairs)
    expected = solver(edges.copy(), nodes, seed=2).tolist()
    for same in (edges.tolist(), edges.astype(np.int32), torch.from_numpy(edges), torch.from_numpy(edges).int()):
        assert solver(same, nodes, seed=np.int64(2)).tolist() == expected
    assert (edges == both(pairs)).all()


def leaves_out_loops(solver):
    loops = [(0, 0), (0, 0), (0, 0), (5, 5), (33, 33), (33, 33)]
    for seed in range(4):
        expected = solver(both(KARATE[0]), 34, seed=seed)
        assert solver(both(KARATE[0] + loops), 34, seed=seed).tolist() == expected.tolist()
