"""What a chapter shows of the library itself."""

import ast
import inspect
import textwrap
import time

__all__ = ["show_source", "show_error", "progress"]


def show_source(thing, *, docstring=False):
    """Show the source of a function or class, from the library itself, as a code block.

    Parameters
    ----------
    thing : function, class or method
    docstring : bool
        Show its docstring too.

    Raises
    ------
    TypeError
        If `thing` has no source (a number, a built-in).
    """
    from IPython.display import Markdown, display

    try:
        source = textwrap.dedent(inspect.getsource(thing)).rstrip()
    except (TypeError, OSError):
        raise TypeError(f"thing must be a function or class with source, got {thing!r}") from None
    if not docstring:
        source = _without_docstring(source)
    display(Markdown(f"```python\n{source}\n```"))


def show_error(call, *args, **kwargs):
    """Call something that is meant to fail, and print the error's type and first line.

    Parameters
    ----------
    call : callable
    *args, **kwargs
        Its arguments.

    Returns
    -------
    Exception
        The error, to look into.

    Raises
    ------
    AssertionError
        If nothing failed.

    Examples
    --------
    >>> error = show_error(int, "two")
    ValueError: invalid literal for int() with base 10: 'two'
    """
    try:
        call(*args, **kwargs)
    except Exception as error:
        message = str(error).partition("\n")[0]
        print(f"{type(error).__name__}: {message}" if message else type(error).__name__)
        return error
    raise AssertionError(f"{call!r} was meant to fail and did not")


def progress(items, label, every=0.2):
    """Go through `items` under a progress bar that leaves nothing behind.

    The bar is shown where somebody may be watching: in a notebook whose front end could
    answer a question. Print after the loop, not before: the bar clears what the cell has
    shown so far.

    Parameters
    ----------
    items : sized iterable
    label : str
        What is being done.
    every : float
        Seconds between two looks of the bar.

    Yields
    ------
    the items
    """
    from IPython import get_ipython
    from IPython.display import clear_output

    kernel = getattr(get_ipython(), "kernel", None)
    shown = kernel is not None and kernel.get_parent()["content"].get("allow_stdin", False)
    last = time.monotonic()
    try:
        for done, item in enumerate(items, start=1):
            yield item
            if shown and time.monotonic() - last > every:
                last = time.monotonic()
                filled = round(20 * done / len(items))
                clear_output(wait=True)
                print(f"{label} {'█' * filled}{'░' * (20 - filled)} {done}/{len(items)}")
    finally:  # also after a break
        if shown:
            clear_output()


def _without_docstring(source):
    try:
        node = ast.parse(source).body[0]
    except SyntaxError:  # a lambda inside a call: its lines are not a statement
        return source
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return source
    # A docstring that is the whole body stays: without it the rest would not be Python.
    if ast.get_docstring(node) is None or len(node.body) == 1:
        return source
    text = node.body[0]
    lines = source.splitlines()
    del lines[text.lineno - 1 : text.end_lineno]
    # A blank line left at the top of the body would look like a mistake.
    if not lines[text.lineno - 1].strip():
        del lines[text.lineno - 1]
    return "\n".join(lines)
