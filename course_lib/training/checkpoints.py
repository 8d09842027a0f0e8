"""Everything a run needs to go on, in one file: written whole or not at all, read without running any of it.

The file is an `.npz`: a zip archive with one array to an entry, and everything else as JSON
in the entry `tree`. No pickle is written or read.
"""

import io
import json
import math
import os
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from course_lib.validation import count

_FORMAT = "course_lib checkpoint 1"
_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True)
class Checkpoint:
    """Where `fit` keeps its run, and how often.

    Parameters
    ----------
    path : str or Path
        A file in a folder that exists; the file itself need not. While it is written,
        `path` with `.tmp` at its end stands beside it.
    every : int, optional
        Steps from one writing to the next, besides the one at the end of the run. By
        default it is written at the end of every epoch.

    Raises
    ------
    TypeError, ValueError
        If path is none, is a folder or lies in none, or every is no whole number above 0.

    Examples
    --------
    >>> Checkpoint("run.npz", every=100).path.name
    'run.npz'
    """

    path: Path
    every: int | None = None

    def __post_init__(self):
        if not isinstance(self.path, (str, os.PathLike)):
            raise TypeError(f"checkpoint must be a path or a Checkpoint, got {self.path!r}")
        path = Path(self.path)
        if not path.parent.is_dir():
            raise ValueError(f"checkpoint must lie in a folder that exists, got {str(path)!r}")
        if path.is_dir():
            raise ValueError(f"checkpoint must be a file, got the folder {str(path)!r}")
        object.__setattr__(self, "path", path)
        if self.every is not None:
            object.__setattr__(self, "every", count("every", self.every))


def write_checkpoint(path, tree):
    """Write a tree to a file, so that a crash at any moment leaves the old file or the new.

    It is written to `path` with `.tmp` at its end, forced to the disk, and renamed.

    Parameters
    ----------
    path : str or Path
        The file, replaced if it exists.
    tree : dict, list, tuple, tensor, array, NumPy scalar, int, float, str, bool or None
        Dicts (with strings and ints as keys), lists and tuples may hold any of these.
        Tensors may have any dtype and device, but must be dense.

    Raises
    ------
    TypeError
        If the tree holds anything else. Nothing is written.
    OSError
        If the file cannot be written. The old one stays.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "mine.npz"
    ...     write_checkpoint(path, {"step": 7, "w": torch.ones(2, dtype=torch.bfloat16)})
    ...     read_checkpoint(path)
    {'step': 7, 'w': tensor([1., 1.], dtype=torch.bfloat16)}
    """
    arrays = []
    text = json.dumps({"format": _FORMAT, "tree": _packed(tree, arrays)}, allow_nan=False)
    entries = {str(i): array for i, array in enumerate(arrays)}
    path, temporary = Path(path), temporary_file(path)
    try:
        with open(temporary, "wb") as file:
            np.savez(file, tree=np.frombuffer(text.encode(), np.uint8), **entries)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    with suppress(OSError):  # the new name too; not every system can force a folder to the disk
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def read_checkpoint(path):
    """The tree that `write_checkpoint` wrote, exactly.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict, list, …
        With the types and dtypes that were written; every tensor on the CPU.

    Raises
    ------
    ValueError
        If it is another kind of file, or not a single bit of it could be trusted: the
        checksum of every entry is compared before anything is made of it.
    OSError
        If there is no such file, or it cannot be read.
    """
    data = Path(path).read_bytes()
    try:
        return _tree(data)
    except Exception as error:  # zip, zlib, JSON and NumPy have errors of their own each
        why = str(error) or type(error).__name__
        raise ValueError(f"{path} is no checkpoint, or is damaged: {why}") from error


def temporary_file(path):
    """What is written before it gets the name `path`."""
    return Path(f"{path}.tmp")


def raw_array(tensor):
    """A dense tensor as an array; as whole numbers of its bits where NumPy lacks the dtype.

    Parameters
    ----------
    tensor : tensor
        Of any shape, dtype and device.

    Returns
    -------
    array of its shape
    """
    if tensor.layout is not torch.strided or tensor.is_quantized:
        raise TypeError(f"a tensor of a checkpoint must be dense, got {tensor.layout}, {tensor.dtype}")
    tensor = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    try:
        return tensor.numpy()
    except TypeError:
        return tensor.view(_INTEGERS[tensor.itemsize]).numpy()


def _packed(value, arrays):
    """The value as JSON, whose objects are of one kind each; arrays are put into a list."""
    if isinstance(value, torch.Tensor):
        arrays.append(raw_array(value))
        return {"tensor": str(len(arrays) - 1), "dtype": str(value.dtype).removeprefix("torch.")}
    if isinstance(value, (np.ndarray, np.generic)):
        if value.dtype.kind not in "biufcSU" or value.dtype.isbuiltin == 2:
            raise TypeError(f"an array of a checkpoint must hold numbers, got dtype {value.dtype}")
        arrays.append(np.asarray(value))
        return {"array" if isinstance(value, np.ndarray) else "scalar": str(len(arrays) - 1)}
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):  # beyond 2⁵³ other readers of JSON would round it
        return value if abs(value) < 2**53 else {"int": hex(value)}
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, list):
        return [_packed(each, arrays) for each in value]
    if isinstance(value, tuple):
        return {"tuple": [_packed(each, arrays) for each in value]}
    if isinstance(value, dict):
        wrong = [key for key in value if not isinstance(key, (str, int))]
        if wrong:
            raise TypeError(f"a dict of a checkpoint must have strings and ints as keys, got {wrong[0]!r}")
        return {"dict": [[_packed(key, arrays), _packed(each, arrays)] for key, each in value.items()]}
    raise TypeError(
        "a checkpoint must be made of tensors, arrays, numbers, strings, None, dicts, lists and "
        f"tuples, got {type(value).__name__}"
    )


def _tree(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        # At the end of an entry zipfile compares its CRC-32; NumPy alone might stop earlier.
        entries = {name: archive.read(name) for name in archive.namelist()}
    if "tree.npy" not in entries:
        raise ValueError("it has no entry named tree")
    arrays = {
        name.removesuffix(".npy"): np.lib.format.read_array(io.BytesIO(entry), allow_pickle=False)
        for name, entry in entries.items()
    }
    head = json.loads(arrays.pop("tree").tobytes())
    if head.keys() != {"format", "tree"} or head["format"] != _FORMAT:
        raise ValueError(f"its format must be {_FORMAT!r}, got {head.get('format')!r}")
    tree = _unpacked(head["tree"], arrays)
    if arrays:
        raise ValueError(f"nothing names its entries {', '.join(arrays)}")
    return tree


def _unpacked(node, arrays):
    match node:
        case None | bool() | int() | float() | str():
            return node
        case list():
            return [_unpacked(each, arrays) for each in node]
        case {"tuple": list(nodes)}:
            return tuple(_unpacked(each, arrays) for each in nodes)
        case {"dict": list(pairs)}:
            return {_unpacked(key, arrays): _unpacked(each, arrays) for key, each in pairs}
        case {"int": str(digits)}:
            return int(digits, 16)
        case {"float": str(name)}:
            return float(name)
        case {"array": str(name)}:
            return arrays.pop(name)
        case {"scalar": str(name)}:
            return arrays.pop(name)[()]
        case {"tensor": str(name), "dtype": str(dtype)}:
            tensor, dtype = torch.from_numpy(arrays.pop(name)), getattr(torch, dtype)
            return tensor if tensor.dtype is dtype else tensor.view(dtype)
    raise ValueError(f"its tree holds {node!r}")
