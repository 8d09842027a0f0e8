"""Gradients of several tasks as a matrix, and the small matrix of their products.

A combiner is told nothing of the gradients but their T × T products, the Gramian. What it
returns is one weight for each task; the step goes along the weighted sum of the gradients:

    M = G Gᵀ,    w = weigh(M),    d = Gᵀ w

G stays in its framework, dtype and device; M and w are NumPy's, in float64.
"""

import numpy as np

from course_lib.multi_task.inputs import loss_values
from course_lib.update_rules.arrays import cast_like, constant, framework

BLOCK = 1 << 12      # columns whose products are summed as the dtype sums
CHUNK = 1 << 18      # columns that are held in float64 at a time
LEAST = 1e-150       # what has a square in float64
DEPENDENT = 1e-2     # cosines with an eigenvalue below it need more than 32 bits


def gramian(G):
    """The products of all pairs of gradients.

        M = G Gᵀ,    Mᵢⱼ = gᵢ·gⱼ

    The diagonal holds the squared norms; an entry below 0 is a conflict: a small step
    against one gradient makes the other loss larger.

    Parameters
    ----------
    G : array or tensor [T, D]
        A row for each task; T, D ≥ 1.

    Returns
    -------
    array [T, T]
        float64. Products of 32 bits are summed in 64; where rows are nearly dependent or
        narrow, they are also multiplied in 64.

    Raises
    ------
    TypeError, ValueError
        If G is not a matrix of finite floats, or the norm of a row is neither 0 nor between
        1e-150 and 1e150.

    Examples
    --------
    >>> gramian(np.array([[1.0, 0.0], [-0.5, 1.0]]))
    array([[ 1.  , -0.5 ],
           [-0.5 ,  1.25]])
    """
    return _measured(_matrix(G))[0]


def combine(weights, G):
    """The weighted sum of the gradients.

        d = Gᵀ w = Σ wᵢ gᵢ

    Parameters
    ----------
    weights : sequence of T numbers
    G : array or tensor [T, D]

    Returns
    -------
    array or tensor [D]
        In the framework, dtype and device of G.

    Raises
    ------
    TypeError, ValueError
        If G is not a matrix of finite floats, or there is not one finite weight a task.

    Examples
    --------
    >>> combine([2, 1], np.array([[1.0, 0.0], [-0.5, 1.0]]))
    array([1.5, 1. ])
    """
    G = _matrix(G)
    return _weighted(loss_values(weights, len(G), name="weights"), G, wide=True)


def combined(G, weigh):
    """What every combiner is: the weights that `weigh` finds for the Gramian, times G."""
    G = _matrix(G)
    M, wide = _measured(G)
    return _weighted(weigh(M), G, wide)


def cosines(M):
    """The norms of the rows [T], and the cosines between them [T, T], 0 beside a zero row."""
    norms = np.sqrt(np.diag(M))
    inverse = inverted(norms)
    return norms, np.clip(M * inverse * inverse[:, None], -1, 1)


def inverted(x):
    """1/x, and 0 where x is 0."""
    return np.divide(1.0, x, out=np.zeros_like(x), where=x > 0)


def _matrix(G):
    lib = framework(G)
    if lib is np:
        G = np.asarray(G)
    if getattr(G, "ndim", None) != 2 or 0 in tuple(G.shape):
        shape = tuple(getattr(G, "shape", ()))
        raise ValueError(f"G must be a matrix [tasks, params] of at least one each, got shape {shape}")
    if lib.__name__ == "tensorflow":
        raise TypeError("G must be an array of NumPy or a tensor of PyTorch, got one of TensorFlow: G.numpy()")
    floating = G.dtype.kind in "fV" if lib is np else G.dtype.is_floating_point
    if not floating:
        raise TypeError(f"G must have a float dtype, got {G.dtype}")
    return G if lib is np else G.detach()


def _measured(G):
    """The Gramian, and whether products of 32 bits are too few for what follows."""
    wide = G.dtype.itemsize < 4
    M = _products(G, wide)
    if not wide and G.dtype.itemsize == 4 and _hard(M):
        wide, M = True, _products(G, True)
    _check(M, G)
    return M, wide


def _hard(M):
    squares = np.diag(M)
    within = (squares > 1e-25) & (squares < 1e25)
    return not within.all() or np.linalg.eigvalsh(cosines(M)[1])[0] < DEPENDENT


def _check(M, G):
    squares = np.diag(M)
    for i in np.flatnonzero(~((squares > LEAST**2) & (squares < LEAST**-2))):
        row = _numbers(G[int(i)])
        if not np.isfinite(row).all():
            raise ValueError(f"G must be finite, got NaN or infinity in row {i}")
        largest = np.abs(row).max()
        if largest:
            raise ValueError(
                f"G must have rows of norm 0, or from {LEAST} to {1 / LEAST}, got {largest} in row {i}"
            )


def _products(G, wide):
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        return sum(_of_blocks(x) for x in _chunks(G, wide))


def _of_blocks(x):
    """x xᵀ, the products of the blocks summed in float64."""
    T, D = x.shape
    whole = D - D % BLOCK
    blocks = x[:, :whole].reshape(T, -1, BLOCK).swapaxes(0, 1)
    rest = x[:, whole:]
    return _numbers(blocks @ blocks.swapaxes(1, 2)).sum(0) + _numbers(rest @ rest.T)


def _weighted(weights, G, wide):
    if wide:
        pieces = [constant(weights, like=x) @ x for x in _chunks(G, wide)]
        lib = framework(G)
        pieces = [cast_like(piece, like=G) for piece in pieces]
        return np.concatenate(pieces) if lib is np else lib.cat(pieces)
    return constant(weights, like=G) @ G


def _chunks(G, wide):
    for start in range(0, G.shape[1], CHUNK):
        x = G[:, start : start + CHUNK]
        yield _double(x) if wide else x


def _double(x):
    lib = framework(x)
    if lib is np:
        return x.astype(np.float64)
    return x.to(lib.float32 if x.device.type == "mps" else lib.float64)


def _numbers(x):
    """As a NumPy array of float64."""
    return np.asarray(x if framework(x) is np else x.cpu().double().numpy(), dtype=float)
