"""The page of the library, built where PyTorch and Keras are not installed."""

from importlib import import_module
from pkgutil import iter_modules
from types import SimpleNamespace

from sphinx.ext.autodoc.mock import _MockObject, mock

import course_lib


def load_library(app, config):
    """Load what the library loads late, while what it needs is mocked: the site is built without PyTorch."""
    _MockObject.__or__ = lambda self, other: self   # "torch.Tensor | None", where there is no PyTorch
    with mock(config.autodoc_mock_imports):
        import keras

        # A decorator that is mocked would hide the class.
        keras.saving = SimpleNamespace(register_keras_serializable=lambda *_, **__: lambda decorated: decorated)
        for each in iter_modules(course_lib.__path__):
            module = import_module(f"course_lib.{each.name}")
            for name in getattr(module, "__all__", ()):
                getattr(module, name)


def plain_bars(app, what, name, thing, options, lines):
    """In a docstring |g| is a length, and no substitution of Sphinx's."""
    for i, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            lines[i] = line.replace("|", "\\|")


def setup(app):
    """Called by Sphinx."""
    app.connect("config-inited", load_library)
    app.connect("autodoc-process-docstring", plain_bars)
