"""Graph convolution: a linear layer whose inputs have been mixed with those of the neighbours."""

import torch

from course_lib.graphs.propagation import Propagation
from course_lib.validation import count


class GCNConv(torch.nn.Module):
    """X' = P X Wᵀ + b with P = D̂^(−½) Â D̂^(−½) (Kipf and Welling 2017, arXiv:1609.02907).

    Parameters, initial values and results are those of `torch_geometric.nn.GCNConv`: a
    `state_dict` of either loads into the other.

    Parameters
    ----------
    in_features, out_features : int
    add_self_loops : bool, optional
        See `gcn_norm`; by default as `normalize`.
    normalize : bool
        False: the edges' weights are used as they are.
    bias : bool

    Attributes
    ----------
    lin : torch.nn.Linear
        Without a bias; `lin.weight` [out_features, in_features], from U(±√(6/(in + out))).
    bias : parameter [out_features], or None
        From 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, here or when called.

    Examples
    --------
    >>> conv = GCNConv(3, 2)
    >>> conv(torch.ones(4, 3), torch.tensor([[0, 1], [1, 0]])).shape
    torch.Size([4, 2])
    """

    def __init__(self, in_features, out_features, *, add_self_loops=None, normalize=True, bias=True):
        super().__init__()
        self.in_features, self.out_features = count("in_features", in_features), count("out_features", out_features)
        self.normalize = normalize
        self.add_self_loops = normalize if add_self_loops is None else add_self_loops
        if self.add_self_loops and not normalize:
            raise ValueError("add_self_loops must be False where normalize is: loops come with the normalisation")
        self.lin = torch.nn.Linear(in_features, out_features, bias=False)
        self.bias = torch.nn.Parameter(torch.zeros(out_features)) if bias else None
        torch.nn.init.xavier_uniform_(self.lin.weight)
        self._last = None

    def forward(self, x, edge_index, edge_weight=None):
        """Apply the layer.

        Parameters
        ----------
        x : tensor [nodes, in_features] or [..., nodes, in_features]
        edge_index : int64 tensor [2, edges], or Propagation
            A `Propagation` is used as it is. Edges are normalised and sorted, and the matrix
            is kept: the same tensors, unchanged, are not prepared again. (A change made
            behind PyTorch's back, through NumPy, is not seen.)
        edge_weight : tensor [edges], optional
            May require gradients; then everything is prepared at each call.

        Returns
        -------
        tensor [..., nodes, out_features]
        """
        P = self.prepared(x, edge_index, edge_weight)
        out = self.lin(P @ x) if self.in_features < self.out_features else P @ self.lin(x)   # the narrower side
        return out if self.bias is None else out + self.bias

    def prepared(self, x, edge_index, edge_weight=None):
        """Return the `Propagation` that the arguments of a call stand for, made anew only where they have changed."""
        if not isinstance(x, torch.Tensor) or x.dim() < 2 or x.shape[-1] != self.in_features:
            shape = list(x.shape) if isinstance(x, torch.Tensor) else type(x).__name__
            raise ValueError(f"x must have shape [nodes, {self.in_features}], got {shape}")
        if x.dtype != self.lin.weight.dtype and not torch.is_autocast_enabled(x.device.type):
            raise TypeError(f"x must have the dtype of the weights, {self.lin.weight.dtype}, got {x.dtype}")
        if isinstance(edge_index, Propagation):
            if edge_weight is not None:
                raise TypeError("edge_weight must be None where edge_index is a Propagation, which has its own")
            return edge_index
        nodes, dtype = x.shape[-2], torch.promote_types(x.dtype, torch.float32)
        tensors = edge_index, edge_weight
        versions = [_version(tensor) for tensor in tensors] + [nodes, dtype]
        if self._last is not None:
            kept, kept_versions, P = self._last
            if all(a is b for a, b in zip(kept, tensors)) and kept_versions == versions:
                return P
        if self.normalize:
            loops = self.add_self_loops
            P = Propagation.normalized(edge_index, nodes, edge_weight, add_self_loops=loops, dtype=dtype)
        else:
            P = Propagation(edge_index, edge_weight, nodes, dtype=dtype)
        self._last = None if None in versions or P.values.is_inference() else (tensors, versions, P)
        return P

    def __getstate__(self):
        return {**self.__dict__, "_last": None}   # a copy prepares its own

    def extra_repr(self):
        return f"{self.in_features}, {self.out_features}"


def _version(tensor):
    """How often a tensor was written into, 0 for no tensor at all; None where nobody counts, or it is learned."""
    if tensor is None:
        return 0
    counted = isinstance(tensor, torch.Tensor) and not tensor.is_inference() and not tensor.requires_grad
    return tensor._version if counted else None


class GCN(torch.nn.Module):
    """Graph convolutions with ReLU between them.

    Parameters
    ----------
    widths : sequence of int
        Features of the input, of each hidden layer, of the output: two or more.

    Raises
    ------
    TypeError, ValueError
        If there are fewer, or one is no whole number above 0.

    Examples
    --------
    >>> P = Propagation.normalized([[0, 1], [1, 0]], nodes=2)
    >>> GCN([5, 16, 3])(torch.ones(2, 5), P).shape
    torch.Size([2, 3])
    """

    def __init__(self, widths):
        super().__init__()
        widths = [count("widths", width) for width in widths]
        if len(widths) < 2:
            raise ValueError(f"widths must name at least an input and an output, got {widths}")
        self.convs = torch.nn.ModuleList(GCNConv(a, b) for a, b in zip(widths, widths[1:]))

    def forward(self, x, edge_index, edge_weight=None):
        """Apply the layers; the arguments are those of `GCNConv`, or one `Propagation` for each layer in a list."""
        if isinstance(edge_index, list):
            graphs = edge_index
        else:   # prepared, and kept, by the first layer for all
            graphs = [self.convs[0].prepared(x, edge_index, edge_weight)] * len(self.convs)
        if len(graphs) != len(self.convs) or not all(isinstance(graph, Propagation) for graph in graphs):
            raise ValueError(f"edge_index must hold a Propagation for each of {len(self.convs)} layers, got {graphs!r}")
        for conv, graph in zip(self.convs[:-1], graphs):
            x = conv(x, graph).relu()
        return self.convs[-1](x, graphs[-1])
