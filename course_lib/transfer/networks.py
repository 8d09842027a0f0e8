"""A network as a function of one flat vector of weights, whose layers can be told apart."""

from dataclasses import dataclass

import numpy as np
import torch

from course_lib.training.data_tasks import _layers
from course_lib.validation import count, finite_array


@dataclass(frozen=True)
class Network:
    """Fully connected layers with ReLU between them, all weights in one vector [D].

    The vector holds each layer's matrix [inputs, outputs] and then its biases.

    Parameters
    ----------
    *widths : int
        Inputs, hidden widths, outputs: at least two numbers.

    Attributes
    ----------
    sizes : list of pairs
        (inputs, outputs) of each layer.
    D : int
        How many weights there are.

    Raises
    ------
    TypeError, ValueError
        If there are fewer than two widths, or one is no whole number above 0.

    Examples
    --------
    >>> net = Network(3, 2, 1)
    >>> net.D, net.per_layer([0.0, 1.0])
    (11, array([0., 0., 0., 0., 0., 0., 0., 0., 1., 1., 1.]))
    """

    widths: tuple

    def __init__(self, *widths):
        if len(widths) < 2:
            raise ValueError(f"widths must be inputs, hidden widths and outputs, got {widths}")
        object.__setattr__(self, "widths", tuple(count("widths", width) for width in widths))

    @property
    def sizes(self):
        return list(zip(self.widths, self.widths[1:]))

    @property
    def D(self):
        return sum((m + 1) * n for m, n in self.sizes)

    def start(self, seed):
        """Random weights [D], float32: each layer's from U(±1/√inputs), as PyTorch draws them."""
        rng = np.random.default_rng(count("seed", seed, least=0))
        layers = [rng.uniform(-1, 1, (m + 1) * n) / np.sqrt(m) for m, n in self.sizes]
        return torch.tensor(np.concatenate(layers), dtype=torch.float32)

    def per_layer(self, values):
        """One value for each layer, repeated for all of its weights: an array [D]."""
        values = finite_array("values", values)
        if values.shape != (len(self.sizes),):
            raise ValueError(f"values must be one for each of {len(self.sizes)} layers, got shape {values.shape}")
        return np.repeat(values.astype(float), [(m + 1) * n for m, n in self.sizes])

    def with_new_head(self, w, seed):
        """The same weights [D] with the last layer drawn anew."""
        head = self.per_layer([0.0] * (len(self.sizes) - 1) + [1.0]) > 0
        return torch.where(torch.tensor(head), self.start(seed).to(w.dtype), w)

    def predict(self, w, x):
        """Outputs [samples, outputs] of x [samples, inputs]."""
        return _layers(self.sizes)(w, x)

    def features(self, w, x):
        """What the last layer sees, [samples, last hidden width]."""
        m, n = self.sizes[-1]
        return _layers(self.sizes[:-1])(w[: -(m + 1) * n], x).relu()

    def squared_error(self, w, x, y):
        """The mean of (prediction − y)², y [samples, outputs]: 0-d."""
        return (self.predict(w, x) - y).square().mean()

    def cross_entropy(self, w, x, y):
        """The mean of −log p(y), y [samples] of int: 0-d."""
        z = self.predict(w, x)
        z = z - z.detach().amax(1, keepdim=True)
        return (z.exp().sum(1).log() - z.gather(1, y[:, None])[:, 0]).mean()

    def error_rate(self, w, x, y):
        """The share of x whose largest output is not y: 0-d."""
        return (self.predict(w, x).argmax(1) != y).to(w.dtype).mean()
