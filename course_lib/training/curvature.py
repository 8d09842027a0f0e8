"""The largest curvature of a loss, from products of its Hessian with a vector."""

import torch

from course_lib.validation import count


def sharpness(loss, w, steps=20, scale=None, start=None):
    """The largest eigenvalue of the Hessian at w, by power iteration.

    A product with the Hessian H costs a second backward pass, and no H is formed. Repeated
    products turn any vector to the eigenvector whose eigenvalue is largest in size.

    Parameters
    ----------
    loss : callable
        `loss(w) -> 0-d tensor`, twice differentiable.
    w : tensor [D]
        Where; it is not changed.
    steps : int
        How many products.
    scale : tensor [D], optional
        The unit that each weight is measured in: the eigenvalue is that of H with rows and
        columns multiplied by it. For a method that steps by −η p g with a factor p for each
        weight, √p makes it the preconditioned sharpness.
    start : tensor [D], optional
        A guess at the eigenvector, such as the one found at the last w, in the same units;
        all ones when left out.

    Returns
    -------
    value : float
        vᵀHv of the last unit vector v that was multiplied: never larger in size than the
        eigenvalue, and nearer to it with each step. It is negative where the curvature that
        is largest in size is, and NaN where a second derivative is.
    vector : tensor [D]
        The next v.

    Raises
    ------
    TypeError, ValueError
        If w is not a vector of floats, scale or start has another shape, start is zero, or
        steps is no whole number above 0.

    Examples
    --------
    >>> w = torch.tensor([1.0, 1.0])
    >>> value, vector = sharpness(lambda w: 3 * w[0] ** 2 + 0.5 * w[1] ** 2, w)
    >>> round(value, 6), vector.round(decimals=3).tolist()
    (6.0, [1.0, 0.0])
    """
    steps = count("steps", steps)
    v, scale = _vectors(w, start, scale)
    w = w.detach().requires_grad_()
    g, = torch.autograd.grad(loss(w), w, create_graph=True)
    value = 0.0
    for _ in range(steps * g.requires_grad):          # of a slope there is no derivative
        Hv, = torch.autograd.grad(g, w, scale * v, retain_graph=True)
        Hv = scale * Hv
        if not Hv.any():
            break
        value, v = (v @ Hv).item(), Hv / Hv.norm()
    return value, v


def _vectors(w, start, scale):
    """The start as a unit vector, and the scale, both checked."""
    if not isinstance(w, torch.Tensor) or w.dim() != 1 or not w.is_floating_point():
        raise TypeError(f"w must be a tensor [D] of floats, got {w!r}")
    for name, value in (("start", start), ("scale", scale)):
        if value is not None and getattr(value, "shape", None) != w.shape:
            raise ValueError(f"{name} must have the shape of w, {list(w.shape)}, got {value!r}")
    start = torch.ones_like(w) if start is None else start
    if not start.any():
        raise ValueError("start must not be zero")
    return start / start.norm(), 1.0 if scale is None else scale
