"""A rule of the book as an optimizer of Keras."""

from contextlib import contextmanager, nullcontext
from functools import partial

import keras
import numpy as np
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

from course_lib.frameworks.keras_schedule import KerasSchedule
from course_lib.update_rules import Rule, describe, rebuild
from course_lib.update_rules.arrays import cast_like, widen
from course_lib.validation import number, one_of

BACKEND = keras.config.backend()
if BACKEND == "tensorflow":
    import tensorflow as tf
else:
    tf = None


@keras.saving.register_keras_serializable(package="course_lib")
class KerasOptimizer(keras.optimizers.Optimizer):
    """Run any rule on the weights of a Keras model.

    It is used as Keras's own optimizers are: `compile` and `fit`, loops of one's own,
    callbacks, mixed precision, saved models. Transforms that look at the whole model, such
    as `clip_by_global_norm`, see all gradients of a step. A weight without a gradient is
    left alone, with its state, and Keras warns.

    `learning_rate` starts as the rule's `lr` and may be set, as callbacks do, unless it is
    a schedule. A schedule of the book is asked at the number of steps made; one of Keras
    at `iterations`, the number of batches seen.

    Parameters
    ----------
    rule : Rule
        Its `lr` may also be a schedule of Keras.
    check_finite : bool or "skip"
        What to do when a gradient holds NaN or infinity: raise an error that names the
        weight (True), leave the whole step out and count it in `skipped` ("skip"), or do
        not look (False). Code compiled by XLA, as `fit` is on a GPU unless told
        `jit_compile=False`, cannot raise: there True means "skip".
    **options
        Those of `keras.optimizers.Optimizer`: `name`, `clipnorm`, `clipvalue`,
        `global_clipnorm`, `weight_decay`, `use_ema`, `ema_momentum`,
        `ema_overwrite_frequency`, `loss_scale_factor`, `gradient_accumulation_steps`.
        Keras clips and decays before the rule is asked for a step. While it accumulates
        gradients, schedules count batches.

    Attributes
    ----------
    rule : Rule
    skipped : keras.Variable
        How many steps were left out.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong. On saving, if the rule is not registered.
    FloatingPointError, tf.errors.InvalidArgumentError
        From a step, before anything is changed, if a gradient is not finite: the first
        where operations run one by one, the second from a compiled `fit`.
    NotImplementedError
        If Keras runs on a backend other than TensorFlow and PyTorch, or under a
        `tf.distribute` strategy.

    References
    ----------
    https://keras.io/api/optimizers/

    Examples
    --------
    >>> from course_lib import adam
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile(KerasOptimizer(adam(lr=0.1)), loss="mean_absolute_error")
    >>> _ = model.fit(np.ones((4, 2)), np.full((4, 1), 9.0), verbose=0)
    >>> model.layers[0].bias.numpy().round(4)
    array([0.1], dtype=float32)

    A saved model goes on where it stopped. Import this class before you load one.
    """

    def __init__(self, rule, *, check_finite=True, **options):
        if not isinstance(rule, Rule):
            raise TypeError(f"rule must be a Rule, such as adam(lr=1e-3), got {rule!r}")
        one_of("check_finite", check_finite, (True, False, "skip"))
        if BACKEND not in ("tensorflow", "torch"):
            raise NotImplementedError(f"Keras must run on tensorflow or torch, got {BACKEND!r}")
        if "learning_rate" in options:
            raise TypeError(f"learning_rate must be given to the rule, as its lr, got {rule!r}")
        super().__init__(_learning_rate(rule), **options)
        self.rule = rule
        self.check_finite = check_finite
        self.skipped = self.add_variable((), dtype="int", name="skipped")

    def build(self, variables):
        """Make the state of every weight, once."""
        if self.built:
            return
        if tf and tf.distribute.has_strategy():
            strategy = type(tf.distribute.get_strategy()).__name__
            raise NotImplementedError(f"strategy must be that of one device, got {strategy}")
        # `fit` builds while it compiles its first step; variables are made outside of that.
        with tf.init_scope() if tf else nullcontext():
            super().build(variables)
            states = [self.rule.init(_tensor(v)) for v in variables]
            self._states = [
                {key: self._add_entry(v, key, value) for key, value in state.items()}
                for v, state in zip(variables, states)
            ]

    def _add_entry(self, v, key, value):
        value = ops.copy(value)  # A rule may begin with one array under two names.
        return self.add_variable(
            shape=tuple(value.shape),
            dtype=keras.backend.standardize_dtype(value.dtype),
            initializer=lambda shape, dtype: value,
            name=f"{_path(v).replace('/', '_')}_{key}",
        )

    def apply(self, grads, trainable_variables=None):
        """One step, with a gradient or None for every weight."""
        if trainable_variables is not None:
            trainable_variables = list(trainable_variables)
            self.build(trainable_variables)
        grads = [g if g is None else _tensor(g) for g in grads]
        variables = trainable_variables or self._trainable_variables
        step = partial(super().apply, grads, trainable_variables)
        pairs = [(g, v) for g, v in zip(grads, variables) if g is not None]
        if not self.check_finite or not pairs:
            return step()
        # Asked before Keras does anything, so that a step that is left out changes nothing.
        finite = ops.all(ops.stack([ops.all(ops.isfinite(g)) for g, _ in pairs]))
        if _in_graph():
            tf.cond(finite, step, partial(self._leave_out, pairs))
        elif finite:
            step()
        else:
            self._leave_out(pairs)

    def _leave_out(self, pairs):
        error = "the gradient of {} must be finite; no step was made"
        if self.check_finite == "skip":
            self.skipped.assign_add(1)
        elif _in_graph():
            checks = [tf.debugging.check_numerics(g, error.format(_path(v))) for g, v in pairs]
            with tf.control_dependencies(checks):
                self.skipped.assign_add(1)  # Only XLA, which drops the checks, comes here.
        else:
            wrong = next(v for g, v in pairs if not ops.all(ops.isfinite(g)))
            raise FloatingPointError(error.format(_path(wrong)))

    # Keras's public `update_step` is shown one weight at a time; a rule may look at them all.
    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        states = [self._states[self._get_variable_index(v)] for v in trainable_variables]
        before = [{key: _tensor(entry) for key, entry in state.items()} for state in states]
        ws = [_tensor(v) for v in trainable_variables]
        gs = [cast_like(g, like=widen(w)) for g, w in zip(grads, ws)]
        lr = None
        if self.rule.lr is not None:
            lr = [cast_like(_tensor(learning_rate), like=widen(w)) for w in ws]
        deltas, after = self.rule.update_all(gs, before, ws, lr)
        for v, delta, state, new in zip(trainable_variables, deltas, states, after):
            self.assign_add(v, delta)
            for key, value in new.items():
                self.assign(state[key], value)

    @contextmanager
    def averaged_weights(self):
        """Within the block the weights are their averages, which `weight_ema` keeps."""
        if not self.built or "average" not in self._states[0]:
            raise ValueError(f"rule must be weight_ema(…), after a step, got {self.rule!r}")
        weights = [_tensor(v) for v in self._trainable_variables]
        try:
            for v, state in zip(self._trainable_variables, self._states):
                self.assign(v, state["average"])
            yield
        finally:
            for v, w in zip(self._trainable_variables, weights):
                self.assign(v, w)

    def get_config(self):
        """What makes the same optimizer again, but for its variables, as JSON."""
        config, rule = super().get_config(), self.rule
        if rule.lr is None or isinstance(self._learning_rate, _RuleSchedule):
            config["learning_rate"] = None  # The rule says it.
        elif isinstance(self._learning_rate, LearningRateSchedule):
            rule = rule.replace(lr=0.0)  # Keras says it.
        return {**config, "rule": describe(rule), "check_finite": self.check_finite}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The optimizer that `get_config` described."""
        config = {**config, "rule": rebuild(**config["rule"])}
        rate = config.pop("learning_rate")
        optimizer = cls(**config)
        if isinstance(rate, dict):
            rate = keras.saving.deserialize_keras_object(rate, custom_objects=custom_objects)
        if rate is not None:
            optimizer.learning_rate = rate
        return optimizer


class _RuleSchedule(KerasSchedule):
    """The schedule of a rule, asked at the number of steps made; saved with the rule."""

    def __init__(self, rule):
        super().__init__(rule.lr)
        self.rule = rule

    def __call__(self, step):
        return super().__call__(step // _batches_per_step(self.rule))

    def get_config(self):
        return describe(self.rule)


def _batches_per_step(rule):
    if rule.name == "accumulate_gradients":
        return rule.settings["steps"]
    inner = rule.settings.get("rule", rule.settings.get("parts", [None])[-1])
    return _batches_per_step(inner) if isinstance(inner, Rule) else 1


def _learning_rate(rule):
    """A rule's learning rate as Keras takes it; 1 for a rule that has none."""
    if callable(rule.lr):
        return rule.lr if isinstance(rule.lr, LearningRateSchedule) else _RuleSchedule(rule)
    return 1.0 if rule.lr is None else number("lr", np.asarray(rule.lr))


def _in_graph():
    return tf is not None and not tf.executing_eagerly()


def _path(v):
    return getattr(v, "path", v.name)


def _tensor(x):
    """The value of a variable or a gradient: dense, and not to change with the variable."""
    return tf.convert_to_tensor(x) if tf else ops.copy(ops.convert_to_tensor(x))
