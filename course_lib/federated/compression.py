"""Shorter messages: a few coordinates, or coarse ones. Bytes are those of a real encoding."""

from dataclasses import dataclass
from typing import Callable

import numpy as np
import torch

from course_lib.federated.bit_codes import GammaReader, gamma_widths, read, written
from course_lib.validation import count


@dataclass(frozen=True, eq=False, repr=False)
class Compressor:
    """What becomes of an update on its way to the server.

    Parameters
    ----------
    name : str
    settings : dict
        For display.
    send : callable
        `send(updates [m, D], seeds) -> (what arrives [m, D], bytes [m])`; `seeds` has a whole number for each.
    pack, unpack : callables
        The message itself: `pack(update [D], seed) -> bytes`, and `unpack(message, like [D]) -> what arrives [D]`, the
        numbers and the length that `send` says.
    """

    name: str
    settings: dict
    send: Callable
    pack: Callable
    unpack: Callable

    def __repr__(self):
        return f"{self.name}({', '.join(f'{k}={v!r}' for k, v in self.settings.items())})"


def top_k(k):
    """Send the k coordinates of the largest size, and where they stand; all others count as zero.

    What arrives lies nearer to zero than the update: it is biased, and wants `ErrorFeedback`. Each coordinate takes the
    bits of its value and ⌈log₂ D⌉ for its place.

    Parameters
    ----------
    k : int
        At most D; of equal sizes the first are sent.

    Returns
    -------
    Compressor

    Raises
    ------
    TypeError, ValueError
        If k is no whole number above 0; when used, if it is larger than D.

    References
    ----------
    S. U. Stich, J.-B. Cordonnier and M. Jaggi, Sparsified SGD with memory, NeurIPS 2018, arXiv:1809.07599.

    Examples
    --------
    Two numbers of four bytes, and two places of two bits:

    >>> top_k(2).send(torch.tensor([[3.0, -1.0, 0.5, -4.0]]), seeds=[0])
    (tensor([[ 3.,  0.,  0., -4.]]), array([9]))
    """
    k = count("k", k)

    def largest(updates):
        if k > updates.shape[-1]:
            raise ValueError(f"k must be at most {updates.shape[-1]}, the length of an update, got {k}")
        return updates.abs().sort(dim=-1, descending=True, stable=True).indices[..., :k]

    def widths(like):
        return np.full(k, max(1, (like.shape[-1] - 1).bit_length()))

    def send(updates, seeds):
        places = largest(updates)
        arrived = torch.zeros_like(updates).scatter(1, places, updates.gather(1, places))
        size = k * updates.element_size() + -(-int(widths(updates).sum()) // 8)
        return arrived, np.full(len(updates), size)

    def pack(update, seed):
        places = largest(update)
        return update[places].cpu().numpy().tobytes() + _bytes(written(places.cpu().numpy(), widths(update)))

    def unpack(message, like):
        split = k * like.element_size()
        values = np.frombuffer(message[:split], dtype=like.cpu().numpy().dtype)
        places = read(_bits(message[split:]), widths(like))
        arrived = torch.zeros_like(like)
        arrived[torch.tensor(places, device=like.device)] = torch.tensor(values).to(like)
        return arrived

    return Compressor("top_k", {"k": k}, send, pack, unpack)


def qsgd(levels):
    """Round each coordinate at random to one of s levels of the update's length, right in the mean.

        Q(v)ᵢ = ‖v‖ sign(vᵢ) ⌊s |vᵢ| / ‖v‖ + uᵢ⌋ / s        uᵢ ~ U[0, 1)

    E Q(v) = v, and E ‖Q(v) − v‖² ≤ min(D/s², √D/s) ‖v‖². A message is ‖v‖ and then, for each coordinate that is not zero,
    how many places it stands behind the last, its sign and its level: whole numbers in Elias's γ code. (The paper takes
    his ω code, which is shorter for large numbers alone.)

    Parameters
    ----------
    levels : int
        s ≥ 1.

    Returns
    -------
    Compressor

    Raises
    ------
    TypeError, ValueError
        If levels is no whole number above 0.

    References
    ----------
    D. Alistarh et al., QSGD: communication-efficient SGD via gradient quantization and encoding, NeurIPS 2017,
    arXiv:1610.02132, section 3.1.

    Examples
    --------
    >>> qsgd(2).send(torch.tensor([[3.0, 0.0, 0.0, -4.0]]), seeds=[0])
    (tensor([[ 5.,  0.,  0., -5.]]), array([6]))
    """
    s = count("levels", levels)

    def send(updates, seeds):
        length, level = quantized(updates, s, seeds)
        return length * level / s, _message_sizes(level.cpu().numpy(), updates.element_size())

    def pack(update, seed):
        length, level = quantized(update[None], s, [seed])
        numbers, widths = _fields(level[0].cpu().numpy())
        return length.cpu().numpy().tobytes() + _bytes(written(numbers, widths))

    def unpack(message, like):
        length = np.frombuffer(message[: like.element_size()], dtype=like.cpu().numpy().dtype)
        reader, level, at = GammaReader(_bits(message[like.element_size() :])), np.zeros(len(like)), -1
        while (at := at + reader.number()) < len(like):
            sign = -1 if reader.bit() else 1
            level[at] = sign * reader.number()
        return torch.tensor(length).to(like) * torch.tensor(level).to(like) / s

    return Compressor("qsgd", {"levels": s}, send, pack, unpack)


def quantized(updates, levels, seeds):
    """Updates v as whole numbers of levels: sign(vᵢ) ⌊s |vᵢ| / ‖v‖ + uᵢ⌋, as in `qsgd`.

    Parameters
    ----------
    updates : tensor [m, D]
    levels : int
        s.
    seeds : list of int
        One for each update; it decides its uᵢ.

    Returns
    -------
    length : tensor [m, 1]
        ‖v‖.
    level : tensor [m, D]

    Examples
    --------
    Three fifths of the length become one or two levels of two:

    >>> length, level = quantized(torch.tensor([[3.0, 0.0, 0.0, -4.0]]), levels=2, seeds=[0])
    >>> length, level
    (tensor([[5.]]), tensor([[ 2.,  0.,  0., -2.]]))
    """
    length = torch.linalg.vector_norm(updates, dim=1, keepdim=True, dtype=torch.float64).to(updates.dtype)
    u = np.stack([np.random.default_rng([int(seed), 1]).random(updates.shape[1]) for seed in seeds])
    part = torch.where((length > 0) & length.isfinite(), levels * updates.abs().double() / length, 0.0)
    level = (part + torch.tensor(u, device=updates.device)).floor().clamp(max=levels).to(updates.dtype)
    return length, updates.sign() * level + 0.0  # a zero has no sign in the message


def _fields(level):
    """The numbers of a message and their widths: of each level that is not zero its gap, sign and size; the gap to the end."""
    places = np.flatnonzero(level)
    gaps = np.diff(places, prepend=-1, append=len(level))
    sizes = np.abs(level[places]).astype(np.int64)
    one = np.ones_like(places)
    numbers = np.stack([gaps[:-1], (level[places] < 0).astype(np.int64), sizes], axis=1)
    widths = np.stack([gamma_widths(gaps[:-1]), one, gamma_widths(sizes)], axis=1)
    return np.append(numbers, gaps[-1]), np.append(widths, gamma_widths(gaps[-1]))


def _message_sizes(level, element_size):
    """Bytes of the messages that carry levels [m, D]."""
    return np.array([element_size + -(-int(_fields(each)[1].sum()) // 8) for each in level], dtype=int)


def _bytes(bits):
    return np.packbits(bits).tobytes()


def _bits(message):
    return np.unpackbits(np.frombuffer(message, dtype=np.uint8))
