"""Fit a PyTorch module to data with any rule, and keep what happened."""

from copy import deepcopy
from dataclasses import dataclass

import numpy as np

from course_lib.frameworks import TorchOptimizer
from course_lib.notebook import progress
from course_lib.schedules import Plateau
from course_lib.training.checkpoints import Checkpoint
from course_lib.training.early_stopping import EarlyStopping
from course_lib.training.fit_inputs import as_tensors, loss_for, trained_parameters
from course_lib.training.minimization import Divergence
from course_lib.training.module_state import in_training, seeded
from course_lib.training.run_files import RunFile, marks_of
from course_lib.training.running import Run
from course_lib.validation import count


@dataclass(frozen=True, eq=False)
class History:
    """What a fit did, step by step and epoch by epoch.

    Parameters
    ----------
    loss : array [steps]
        Mean over each batch, before its step.
    lr : array [steps]
        The learning rate of each step (of the first parameter group); NaN without one.
    grad_norm : array [steps]
        Euclidean length of the whole gradient, before any transform.
    validation_loss : array [epochs + 1]
        Before training and after each epoch; empty without validation data.
    validation_error : array [epochs + 1]
        Share of wrong labels; empty without validation data or for a regression.
    optimizer : TorchOptimizer
        As it stood at the end of training, to go on with or to read the averaged weights
        from; so it stands also where the module has the weights of an earlier epoch back.
    best_epoch : int or None
        The best epoch by early stopping's account (0: before training), whose weights the
        module now has if they were to be restored; None without early stopping, or
        where no validation loss was finite.
    stopped : bool
        Whether early stopping ended the fit before its last epoch.
    """

    loss: np.ndarray
    lr: np.ndarray
    grad_norm: np.ndarray
    validation_loss: np.ndarray
    validation_error: np.ndarray
    optimizer: TorchOptimizer
    best_epoch: int | None = None
    stopped: bool = False


def fit(
    module, train, rule, epochs, batch_size, seed, validation=None, stopping=None, checkpoint=None,
    *, plateau=None, loss=None, check_finite=True,
):
    """Fit a module by mini-batches, the same in every run of the same seed.

    Each epoch goes through all samples once, in a new order; the last batch of an epoch
    may be smaller. The seed decides the order and what the module itself draws (dropout);
    the initial weights are the module's own. The module is changed in place, and left in
    the mode (`train` or `eval`) it came in.

    With a checkpoint the fit may be interrupted at any moment: called again with the same
    arguments, it goes on from the file, and ends with the same weights and history as one
    that was not interrupted, to the last bit (on a GPU, if its operations are
    deterministic). So does a call with more epochs. A finished fit is read from the file.

    Parameters
    ----------
    module : torch.nn.Module
        Data are moved to the device and float dtype of its parameters.
    train : Split, or pair (x, y)
        Arrays or tensors, x [samples, …], y [samples, …].
    rule : Rule
    epochs, batch_size : int
        At least 1.
    seed : int
    validation : Split, or pair (x, y), optional
        Looked at before training and after every epoch, never trained on.
    stopping : EarlyStopping, optional
        Observes the validation loss, from the one before training on; when it says stop,
        or at the end, the module gets the weights and buffers of the best epoch back, if
        `restore_best`. A fresh copy is used; what is given is not changed.
    checkpoint : str, Path or Checkpoint, optional
        A file to keep the run in, and to go on from where it exists. A file of another
        run (rule, data, seed, …) is refused. A path alone is written after every epoch.
    plateau : Plateau, optional
        Says the learning rate, in place of the rule's: `plateau.lr` at first, then what
        its `observe(validation loss)` returns after each epoch. A copy is used.
    loss : callable, optional
        `loss(prediction, y)` -> 0-d tensor, the mean over a batch. By default the
        cross-entropy for whole-number y (labels), the mean squared error otherwise.
    check_finite : bool or "skip"
        As in `TorchOptimizer`.

    Returns
    -------
    History

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong: x and y differ in length, data hold NaN, the prediction
        does not have y's shape, stopping has no validation data to look at, the checkpoint
        is damaged or of another run. The module is then as it was.
    Divergence
        A `FloatingPointError`: if a gradient is not finite. It names the parameter and
        the step, and keeps the history so far as its `trace`; the module stays as it was
        before that step, and the checkpoint as it was last written.

    Examples
    --------
    >>> import torch
    >>> from course_lib import adam, load
    >>> data = load("iris")
    >>> with torch.random.fork_rng():
    ...     _ = torch.manual_seed(0)
    ...     layer = torch.nn.Linear(4, 3)
    >>> history = fit(layer, data.train, adam(lr=0.1), epochs=10, batch_size=30, seed=0,
    ...               validation=data.validation)
    >>> len(history.loss), len(history.validation_loss)
    (30, 11)
    >>> bool(history.validation_error[-1] < 0.2)
    True
    """
    trained = trained_parameters(module)
    like = trained[0][1]
    epochs, batch_size = count("epochs", epochs), count("batch_size", batch_size)
    seed = count("seed", seed, least=0)
    train = as_tensors("train", train, like)
    held_out = None if validation is None else as_tensors("validation", validation, like)
    optimizer = TorchOptimizer(trained, rule, check_finite=check_finite)
    stopping = _fresh(stopping, held_out)
    plateau = _own(plateau, held_out, rule)
    loss = loss_for(loss, train[1])
    run = Run(module, optimizer, loss, train, held_out, batch_size, seed, stopping, plateau)
    file = None
    if checkpoint is not None:
        checkpoint = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)
        file = RunFile(checkpoint, marks_of(run, rule, seed, check_finite))
    with in_training(module), seeded(seed, like.device):
        if file:
            file.resume(run, epochs)
        _train(run, epochs * run.per_epoch, file)
        run.restore_best()
    return _history(run, stopped=run.halted and len(run.steps) < epochs * run.per_epoch)


def _train(run, steps, file):
    if not run.steps:
        run.check()
    for made in progress(range(len(run.steps) + 1, steps + 1), "training"):
        if run.halted:
            break
        try:
            run.step()
        except FloatingPointError as error:
            raise Divergence(f"diverged at step {made}: {error}", made, _history(run)) from None
        if file:
            file.keep(run, last=run.halted or made == steps)


def _history(run, stopped=False):
    loss, lr, grad_norm = np.array(run.steps, dtype=float).reshape(-1, 3).T
    validation = [np.array(column) for column in zip(*run.checks)]
    validation += [np.array([])] * (2 - len(validation))
    best = None if run.stopping is None else run.stopping.best_index
    return History(loss, lr, grad_norm, *validation, run.optimizer, best, stopped)


def _fresh(stopping, held_out):
    if stopping is None:
        return None
    if not isinstance(stopping, EarlyStopping):
        raise TypeError(f"stopping must be an EarlyStopping, got {stopping!r}")
    if held_out is None:
        raise ValueError("stopping must have validation data to look at, got validation=None")
    stopping = deepcopy(stopping)
    stopping.reset()
    return stopping


def _own(plateau, held_out, rule):
    if plateau is None:
        return None
    if not isinstance(plateau, Plateau):
        raise TypeError(f"plateau must be a Plateau, got {plateau!r}")
    if held_out is None:
        raise ValueError("plateau must have validation data to look at, got validation=None")
    if rule.lr is None or callable(rule.lr):
        raise ValueError(f"plateau must have a rule with a number as its lr, got {rule!r}")
    return deepcopy(plateau)
