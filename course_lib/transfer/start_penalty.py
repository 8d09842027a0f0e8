"""L2 towards the start: a penalty on how far fine-tuning moves the weights."""

from course_lib.update_rules.inputs import mask_setting, masked, setting
from course_lib.update_rules.registry import register
from course_lib.update_rules.rule import Transform


@register
def pull_to_start(strength, mask=None):
    """Add α(w − w₀) to the gradient: that of a penalty ½α‖w − w₀‖², w₀ being the start.

        g ← g + α (w − w₀)

    The start is the w that `init` is given; it is kept in the state. With a start of 0
    it is `add_decayed_weights`.

    Parameters
    ----------
    strength : float
        α ≥ 0.
    mask : array that broadcasts with w, or callable, optional
        Which weights are pulled: 1 or True yes, 0 or False no; a new head has no start
        worth keeping. A callable is given w and returns this.

    Returns
    -------
    Transform
        Chain it before a rule.

    Raises
    ------
    TypeError, ValueError
        If strength is not a finite number of at least 0.

    References
    ----------
    X. Li, Y. Grandvalet, F. Davoine, Explicit inductive bias for transfer learning with
    convolutional networks, ICML 2018: "L2-SP", which pulls the layers taken over to their
    start with α, and the new ones to 0 with a strength of their own.

    Examples
    --------
    >>> import numpy as np
    >>> pull = pull_to_start(0.5)
    >>> state = pull.init(np.array([1.0, 1.0]))
    >>> pull.update(np.zeros(2), state, np.array([1.0, 3.0]))[0]
    array([0., 1.])
    """
    strength = setting("strength", strength, least=0)
    mask = mask_setting(mask)

    def init(w):
        return {"start": 1 * w}

    def update(g, state, w):
        return g + strength * masked(w - state["start"], mask), state

    settings = {"strength": strength, "mask": mask}
    return Transform("pull_to_start", settings, init, update)
