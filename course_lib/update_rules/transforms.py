"""Gradient transforms: what may be done to a gradient before a rule turns it into a step."""

from course_lib.update_rules.arrays import maximum, norm
from course_lib.update_rules.inputs import mask_setting, masked, setting
from course_lib.update_rules.registry import register
from course_lib.update_rules.rule import Transform


def _no_memory(w):
    return {}


@register
def clip_by_global_norm(max_norm):
    """Shorten the gradient to at most `max_norm`, keeping its direction.

        g ← g / max(‖g‖ / c, 1)

    The norm is taken over all that is passed in: the whole model, as one flat vector.

    Parameters
    ----------
    max_norm : float
        c > 0, in the units of the gradient's Euclidean norm.

    Returns
    -------
    Transform

    Raises
    ------
    TypeError, ValueError
        If max_norm is not a finite number above 0.

    References
    ----------
    R. Pascanu, T. Mikolov, Y. Bengio, On the difficulty of training recurrent neural
    networks, ICML 2013, Algorithm 1. `torch.nn.utils.clip_grad_norm_` adds 1e-6 to the
    norm; here a gradient within the bound is left exactly as it is.

    Examples
    --------
    >>> import numpy as np
    >>> g = np.array([3.0, 4.0])
    >>> clip_by_global_norm(1.0).update(g, {}, g)[0]
    array([0.6, 0.8])
    """
    max_norm = setting("max_norm", max_norm, above=0)

    def update(g, state, w):
        clipped = g / maximum(norm(g) / max_norm, 1.0)
        return clipped, state

    settings = {"max_norm": max_norm}
    return Transform("clip_by_global_norm", settings, _no_memory, update, whole_model=True)


@register
def add_decayed_weights(weight_decay, mask=None):
    """Add λw to the gradient: the gradient of a penalty ½λ‖w‖².

        g ← g + λ w

    In gradient descent this is weight decay. In an adaptive rule it is not: there the
    penalty's gradient is rescaled with the rest.

    Parameters
    ----------
    weight_decay : float
        λ ≥ 0.
    mask : array that broadcasts with w, or callable, optional
        Where to decay: 1 or True yes, 0 or False no. A callable is given w and returns
        this; see `matrices_only`. Everywhere, if it is None.

    Returns
    -------
    Transform

    Raises
    ------
    TypeError, ValueError
        If weight_decay is not a finite number of at least 0.

    References
    ----------
    A. Krogh, J. Hertz, A simple weight decay can improve generalization, NIPS 1991.
    `weight_decay` of `torch.optim.SGD`.

    Examples
    --------
    >>> import numpy as np
    >>> add_decayed_weights(0.1).update(np.zeros(2), {}, np.array([1.0, -2.0]))[0]
    array([ 0.1, -0.2])
    """
    weight_decay = setting("weight_decay", weight_decay, least=0)
    mask = mask_setting(mask)

    def update(g, state, w):
        return g + weight_decay * masked(w, mask), state

    settings = {"weight_decay": weight_decay, "mask": mask}
    return Transform("add_decayed_weights", settings, _no_memory, update)


@register
def matrices_only(w):
    """A mask for weight decay: arrays of two or more dimensions, and no others.

    Biases and the gains of normalisation are vectors; shrinking them towards 0 is rarely
    meant. For use where the parameters come one array at a time, as in `TorchOptimizer`
    and `KerasOptimizer`; a flat vector of all parameters has lost its shapes and needs a
    mask array.

    Parameters
    ----------
    w : array

    Returns
    -------
    float
        1 or 0.

    Examples
    --------
    >>> import numpy as np
    >>> matrices_only(np.zeros((3, 2))), matrices_only(np.zeros(3))
    (1.0, 0.0)
    """
    return 1.0 if len(w.shape) > 1 else 0.0
