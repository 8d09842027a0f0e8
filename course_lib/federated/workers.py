"""What one client does in a round, whatever carries its messages: with PyTorch, or with Keras."""

import numpy as np
import torch

from course_lib.federated.algorithms import Algorithm
from course_lib.federated.client_data import ClientData, parameters
from course_lib.federated.local_training import local_updates, one_by_one


class TorchWorker:
    """A client's local steps with PyTorch: those that `simulate` makes.

    Parameters
    ----------
    loss : callable
        `loss(w, x, y) -> 0-d tensor`, or a `ModuleLoss`.
    clients : list of pairs (x, y)
        As in `simulate`.
    algorithm : Algorithm
    like : array or tensor [D]
        Parameters of the dtype and on the device to work with.

    Attributes
    ----------
    sizes : array [clients] of int
        How many samples each client has.
    buffers : int
        How many numbers at the end of w no optimizer sees.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    Examples
    --------
    >>> from course_lib.federated import fedavg
    >>> clients = [(torch.ones(1), torch.tensor([c])) for c in (0.0, 8.0)]
    >>> def parabola(w, x, y):
    ...     return (w * x - y).square().mean() / 2
    >>> worker = TorchWorker(parabola, clients, fedavg(1, lr=0.5), torch.zeros(1))
    >>> worker(1, np.array([4.0]), rate=0.5, seed=0)
    array([2.], dtype=float32)
    """

    def __init__(self, loss, clients, algorithm, like):
        if not callable(loss):
            raise TypeError(f"loss must be callable, got {loss!r}")
        _check(algorithm)
        self._like = parameters("like", like)
        self._data = ClientData(clients, like=self._like)
        self.loss, self.algorithm = loss, algorithm
        self.sizes, self.buffers = self._data.sizes, getattr(loss, "buffers", 0)

    def __call__(self, client, w, rate, seed, own=None, shared=None):
        """How far a client moves in its local steps.

        Parameters
        ----------
        client : int
        w : array [D]
            Where it starts.
        rate : float
            η.
        seed : int
            Of its batches.
        own, shared : arrays [D], optional
            What the algorithm keeps at this client and at the server.

        Returns
        -------
        array [D]
        """
        own = None if own is None else self._tensor(own)[None]
        shared = None if shared is None else self._tensor(shared)
        update = local_updates(
            self.loss, self._data, self.algorithm, self._tensor(w), np.array([client]), rate, [seed], own, shared, one_by_one
        )
        return update[0].cpu().numpy()

    def _tensor(self, array):
        return torch.tensor(array).to(self._like)


class KerasWorker:
    """A client's local steps with Keras on TensorFlow: the model's own gradients, the same batches and formulas.

    The vector w holds the model's trainable variables, then the others: moving means and variances of batch
    normalisation, which travel and are averaged with the rest. A local step replaces them by what the model makes of them.

    Parameters
    ----------
    make_model : callable
        `make_model() -> keras.Model` with weights: a `Sequential` needs an `Input`. It must not draw random numbers
        (dropout).
    clients : list of pairs (x, y)
        As in `simulate`.
    algorithm : Algorithm
    like : array or tensor [D], optional
        Parameters whose length the model must have.
    criterion : callable, optional
        `criterion(y, output)`: a mean over samples; None for cross-entropy of labels, from logits. The model's own
        penalties are added.

    Attributes
    ----------
    start : array [D]
        The model's own weights, as one vector.
    sizes, buffers
        As in `TorchWorker`.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, or the model draws random numbers.
    ImportError
        If Keras does not run on TensorFlow.

    Examples
    --------
    >>> import keras
    >>> from course_lib.federated import fedavg
    >>> def make_model():
    ...     layers = [keras.Input((2,)), keras.layers.Dense(3, kernel_initializer="zeros")]
    ...     return keras.Sequential(layers)
    >>> worker = KerasWorker(make_model, [([[1.0, 0.0]], [2])], fedavg(1, lr=3.0))
    >>> worker(0, worker.start, rate=3.0, seed=0).round(2)
    array([-1., -1.,  2.,  0.,  0.,  0., -1., -1.,  2.], dtype=float32)
    """

    def __init__(self, make_model, clients, algorithm, like=None, criterion=None):
        keras = _keras()
        if not callable(make_model):
            raise TypeError(f"make_model must be a function that returns a Keras model, got {make_model!r}")
        if criterion is not None and not callable(criterion):
            raise TypeError(f"criterion must be callable or None, got {criterion!r}")
        _check(algorithm)
        self.algorithm = algorithm
        self.model = make_model()
        if not isinstance(self.model, keras.Model) or not self.model.trainable_variables:
            raise TypeError(f"make_model must return a Keras model with weights to train, got {self.model!r}")
        for variable in self.model.non_trainable_variables:
            if "seed_generator" in variable.path:
                raise ValueError(f"make_model must return a model that draws no random numbers, got {variable.path!r}")
        self._criterion = criterion or keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self._trained = list(self.model.trainable_variables)
        self._kept = list(self.model.non_trainable_variables)
        self.start = _flat(self._trained + self._kept)
        self.buffers = sum(int(np.prod(v.shape)) for v in self._kept)
        if like is not None and len(like) != len(self.start):
            raise ValueError(f"like must have shape [{len(self.start)}], the model's weights, got [{len(like)}]")
        self._data = ClientData(clients, like=torch.tensor(self.start))
        self.sizes = self._data.sizes

    def __call__(self, client, w, rate, seed, own=None, shared=None):
        """How far a client moves in its local steps, array [D]; arguments as in `TorchWorker`."""
        many = len(self.start) - self.buffers
        start = np.asarray(w, dtype=self.start.dtype)
        own, shared = (None if each is None else each[:many] for each in (own, shared))
        rows, _ = self._data.batch_rows(np.array([client]), self.algorithm.local_steps, self.algorithm.batch_size, [seed])
        d = np.zeros_like(start)
        for batch in rows:
            x, y = (part[0].numpy() for part in self._data.fetch(batch))
            self._set(start + d)
            g = self._gradient(x, y)
            d[:many] = d[:many] - rate * self.algorithm.direction(g, d[:many], own, shared)
            if self.buffers:
                d[many:] = _flat(self._kept) - start[many:]
        return d

    def _gradient(self, x, y):
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = self._criterion(y, self.model(x, training=True))
            value = value + sum(self.model.losses)
        return _flat(tape.gradient(value, self._trained, unconnected_gradients=tf.UnconnectedGradients.ZERO))

    def _set(self, w):
        first = 0
        for variable in self._trained + self._kept:
            many = int(np.prod(variable.shape))
            variable.assign(w[first : first + many].reshape(variable.shape))
            first += many


def _check(algorithm):
    if not isinstance(algorithm, Algorithm):
        raise TypeError(f"algorithm must be one such as fedavg(5, lr=0.1), got {algorithm!r}")


def _flat(tensors):
    return np.concatenate([np.asarray(each).reshape(-1) for each in tensors])


def _keras():
    import keras

    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ImportError(f"KerasWorker needs Keras on TensorFlow, got {backend!r}: set KERAS_BACKEND before it is loaded")
    return keras
