"""The product with a sparse matrix that keeps its transpose: what graph convolution spends its time on."""

import warnings
import weakref
from functools import cached_property

import torch

from course_lib.graphs.edges import edge_list, weights_of
from course_lib.graphs.normalization import gcn_norm

with warnings.catch_warnings():   # PyTorch says, once a process, that this layout is in beta
    warnings.simplefilter("ignore")
    torch.sparse_csr_tensor([0, 1], [0], [1.0], (1, 1), check_invariants=False)


def _nothing():
    return None


class Propagation:
    """The sparse matrix of the edges, made once and multiplied often: `P @ x`.

    Its entries stand row by row (CSR), so that a row of the result is finished before the
    next is begun and no message is ever stored; the gradient is the product with the
    transpose, which is made at the first backward pass and kept.

    Parameters
    ----------
    edge_index : tensor or array [2, edges] of integers
        Sources, then targets.
    edge_weight : tensor or array [edges], or None
        None: 1 each. May require gradients. Weights of a pair that stands twice are added.
    targets : int
        Rows of the matrix.
    sources : int, optional
        Columns, by default as many.
    dtype : torch.dtype, optional
        That of the weights.

    Attributes
    ----------
    shape : (targets, sources)
    values : tensor [entries]
        The weights, row by row.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, shape or range.

    Examples
    --------
    >>> P = Propagation.normalized([[0, 1], [1, 0]], nodes=2)
    >>> (P @ torch.tensor([[0.0], [2.0]])).round(decimals=3)
    tensor([[1.],
            [1.]])
    """

    def __init__(self, edge_index, edge_weight, targets, sources=None, *, dtype=None):
        sources = targets if sources is None else sources
        edges = edge_list(edge_index, targets, sources)
        weights = weights_of(edge_weight, edges, dtype)
        source, target = edges
        place, of_edge = torch.unique(target * sources + source, return_inverse=True)   # sorted by target
        values = weights.new_zeros(len(place)).index_add(0, of_edge, weights)
        self._set(values, _Layout(place // max(sources, 1), place % max(sources, 1), (targets, sources)))

    def _set(self, values, layout):
        self.values, self.layout, self.shape = values, layout, layout.shape
        self._turned, self._turned_from = None, _nothing

    @classmethod
    def normalized(cls, edge_index, nodes, edge_weight=None, **options):
        """The matrix of `gcn_norm`, which takes the same arguments."""
        return cls(*gcn_norm(edge_index, nodes, edge_weight, **options), nodes)

    @property
    def T(self):
        """The transpose: edges the other way. Kept, unless the weights require gradients."""
        known = self._turned or self._turned_from()
        if known is not None:
            return known
        layout, order = self.layout.transposed
        turned = object.__new__(Propagation)
        turned._set(self.values[order], layout)
        if not self.values.requires_grad:
            self._turned, turned._turned_from = turned, weakref.ref(self)   # no cycle: both go with the first
        return turned

    def __getstate__(self):
        return {**self.__dict__, "_turned": None, "_turned_from": _nothing}

    def dense(self):
        """The same matrix as a tensor [targets, sources]."""
        layout = self.layout
        return self.values.new_zeros(self.shape).index_put((layout.rows, layout.columns), self.values)

    def csr(self):
        """Its three arrays: where each row starts [targets + 1], the columns, the values [entries]."""
        values = self.values.to(torch.promote_types(self.values.dtype, torch.float32))   # NumPy has no bfloat16
        return tuple(each.detach().cpu().numpy() for each in (self.layout.starts, self.layout.columns, values))

    def __matmul__(self, x):
        """The product with x [sources], [sources, width] or [..., sources, width], in x's dtype."""
        if not isinstance(x, torch.Tensor) or not x.is_floating_point():
            raise TypeError(f"x must be a tensor of floats, got {getattr(x, 'dtype', type(x).__name__)}")
        if torch.promote_types(x.dtype, self.values.dtype) != self.values.dtype:
            raise TypeError(f"x must be no finer than the matrix, whose dtype is {self.values.dtype}, got {x.dtype}")
        nodes = x.shape[-2 if x.dim() > 1 else 0] if x.dim() else None
        if nodes != self.shape[1]:
            raise ValueError(f"x must have shape [{self.shape[1]}, width], got {list(x.shape)}")
        side_by_side = x[:, None] if x.dim() == 1 else x.movedim(-2, 0)
        flat = side_by_side.reshape(nodes, side_by_side.shape[1:].numel())
        out = _Product.apply(self.values.to(x.dtype), flat, self, not self.values.requires_grad)
        out = out.reshape(self.shape[0], *side_by_side.shape[1:])
        return out[:, 0] if x.dim() == 1 else out.movedim(0, -2)

    def __repr__(self):
        return f"Propagation({self.shape[0]} × {self.shape[1]}, {len(self.values)} entries, {self.values.dtype})"


class _Layout:
    """Where the entries of a sparse matrix stand: rows, ascending, and columns [entries], both int64."""

    def __init__(self, rows, columns, shape):
        self.rows, self.columns, self.shape = rows, columns, shape
        self.starts = torch.searchsorted(rows, torch.arange(shape[0] + 1, device=rows.device))

    @cached_property
    def transposed(self):
        """The layout of the transpose, and which of our entries each of its entries is."""
        order = torch.argsort(self.columns, stable=True)
        return _Layout(self.columns[order], self.rows[order], self.shape[::-1]), order


class _Product(torch.autograd.Function):
    """values [entries], x [sources, width] -> [targets, width], linear in both; the entries stand as in `matrix`.

    `own`: the values are the matrix's, and constant, so that those of its transpose can be used.
    """

    @staticmethod
    def forward(values, x, matrix, own):
        layout = matrix.layout
        if x.device.type not in ("cpu", "cuda"):
            out = x.new_zeros(layout.shape[0], x.shape[1])
            return out.index_add(0, layout.rows, values[:, None] * x[layout.columns])
        csr = torch.sparse_csr_tensor(layout.starts, layout.columns, values, layout.shape, check_invariants=False)
        return torch.sparse.mm(csr, x, "sum") if x.device.type == "cpu" else csr @ x

    @staticmethod
    def setup_context(ctx, inputs, output):
        values, x, ctx.matrix, ctx.own = inputs
        ctx.save_for_backward(values, x if ctx.needs_input_grad[0] else None)
        ctx.save_for_forward(values, x)

    @staticmethod
    def backward(ctx, g):
        values, x = ctx.saved_tensors
        to_values, to_x = None, None
        if ctx.needs_input_grad[1]:
            turned = ctx.matrix.T
            weights = turned.values.to(g.dtype) if ctx.own else values[ctx.matrix.layout.transposed[1]]
            to_x = _Product.apply(weights, g, turned, ctx.own)
        if ctx.needs_input_grad[0]:
            to_values = _dots(g, x, ctx.matrix.layout)
        return to_values, to_x, None, None

    @staticmethod
    def jvp(ctx, of_values, of_x, *others):
        values, x = ctx.saved_tensors
        parts = [] if of_x is None else [_Product.apply(values, of_x, ctx.matrix, ctx.own)]
        if of_values is not None:
            parts.append(_Product.apply(of_values, x, ctx.matrix, False))
        return sum(parts)

    @staticmethod
    def vmap(info, in_dims, values, x, matrix, own):
        if in_dims[0] is None:
            x = x.movedim(in_dims[1], 1)
            out = _Product.apply(values, x.reshape(len(x), x.shape[1:].numel()), matrix, own)
            return out.reshape(len(out), *x.shape[1:]), 1
        runs = range(info.batch_size)                              # weights of its own for every run: a product each
        each = [x if in_dims[1] is None else x.select(in_dims[1], run) for run in runs]
        return torch.stack([_Product.apply(values.select(in_dims[0], run), each[run], matrix, False) for run in runs]), 0


def _dots(g, x, layout, numbers=2**24):
    """g[row] · x[column] for every entry, so many numbers at a time."""
    entries = max(1, numbers // max(1, x.shape[1]))
    pieces = zip(layout.rows.split(entries), layout.columns.split(entries))
    return torch.cat([(g[rows] * x[columns]).sum(1) for rows, columns in pieces])
