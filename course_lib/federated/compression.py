"""Shorter messages: a few coordinates, or coarse ones, and a memory of what was left out. Bytes are those of a real encoding."""

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

    def rounded(updates, seeds):
        length = torch.linalg.vector_norm(updates, dim=1, keepdim=True, dtype=torch.float64).to(updates.dtype)
        u = np.stack([np.random.default_rng([int(seed), 1]).random(updates.shape[1]) for seed in seeds])
        part = torch.where((length > 0) & length.isfinite(), s * updates.abs().double() / length, 0.0)
        level = (part + torch.tensor(u, device=updates.device)).floor().clamp(max=s).to(updates.dtype)
        return length, updates.sign() * level + 0.0  # a zero has no sign in the message

    def send(updates, seeds):
        length, level = rounded(updates, seeds)
        return length * level / s, _message_sizes(level.cpu().numpy(), updates.element_size())

    def pack(update, seed):
        length, level = rounded(update[None], [seed])
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


class ErrorFeedback:
    """A client keeps what its message left out, and adds it to the next.

        p ← d + e
        send C(p)
        e ← p − C(p)

    Parameters
    ----------
    compressor : Compressor
        C, such as `top_k(100)`.

    Raises
    ------
    TypeError
        If it is none.

    References
    ----------
    F. Seide et al., 1-bit stochastic gradient descent, Interspeech 2014, doi:10.21437/Interspeech.2014-274; S. P.
    Karimireddy et al., Error feedback fixes SignSGD and other gradient compression schemes, ICML 2019, arXiv:1901.09847.

    Examples
    --------
    A coordinate that is never the largest arrives all the same, late:

    >>> feedback, memory = ErrorFeedback(top_k(1)), torch.zeros(1, 2)
    >>> for _ in range(3):
    ...     arrived, size, memory = feedback.send(torch.tensor([[2.0, 1.5]]), memory, seeds=[0])
    ...     print(arrived.tolist(), memory.tolist())
    [[2.0, 0.0]] [[0.0, 1.5]]
    [[0.0, 3.0]] [[2.0, 0.0]]
    [[4.0, 0.0]] [[0.0, 1.5]]
    """

    def __init__(self, compressor):
        if not isinstance(compressor, Compressor):
            raise TypeError(f"compressor must be one such as top_k(100), got {compressor!r}")
        self.compressor = compressor

    def __repr__(self):
        return f"ErrorFeedback({self.compressor!r})"

    def send(self, updates, memory, seeds):
        """What arrives of updates [m, D], its bytes [m], and the memory [m, D] after it."""
        wanted = updates + memory
        arrived, size = self.compressor.send(wanted, seeds)
        return arrived, size, wanted - arrived


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
