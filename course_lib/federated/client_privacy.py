"""Differential privacy for whole clients: a bound on each update, noise on their sum, and what both promise."""

from dataclasses import dataclass

import torch

from course_lib.federated.accounting import rdp_epsilon
from course_lib.validation import number


@dataclass(frozen=True)
class ClientPrivacy:
    """The server shortens each update to a length, adds noise to the sum, and divides by how many are expected.

        dᵢ ← dᵢ · min(1, S / ‖dᵢ‖)
        w ← w + (Σᵢ dᵢ + σ S z) / (q C)        z ~ N(0, 1), as long as w

    S is `clip`, σ the `noise_multiplier`, q the chance by which each of the C clients takes part in a round. All clients
    count alike. What is protected is whether a client is ever drawn, with all its samples; whoever knows all other clients'
    data and sees w after every round learns little of it. q C is a public number, the same with the client and without.
    An update that is not finite counts as zero, since an error would tell. The server itself sees the updates, and is
    trusted.

    Parameters
    ----------
    clip : float
        S > 0.
    noise_multiplier : float
        σ ≥ 0; 0 promises nothing.
    delta : float
        δ of (ε, δ), 0 < δ < 1; to be well below one in the number of clients.
    conversion : "classical" or "tight"
        From Rényi to (ε, δ), as in `rdp_epsilon`.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    References
    ----------
    H. B. McMahan et al., Learning differentially private recurrent language models, ICLR 2018, arXiv:1710.06963,
    Algorithm 1.

    Examples
    --------
    >>> privacy = ClientPrivacy(clip=1.0, noise_multiplier=1.12, delta=1e-5)
    >>> f"{privacy.epsilon(fraction=256 / 60000, rounds=14062):.2f}"
    '2.92'
    >>> privacy.clipped(torch.tensor([[3.0, 4.0], [0.3, 0.4]]))
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """

    clip: float
    noise_multiplier: float
    delta: float
    conversion: str = "classical"

    def __post_init__(self):
        number("clip", self.clip, above=0)
        number("noise_multiplier", self.noise_multiplier, least=0)
        self.epsilon(fraction=0.0, rounds=0)  # says what is wrong with δ or the conversion

    def clipped(self, updates):
        """The updates [m, D], none longer than S; zero for one that is not finite."""
        updates = torch.where(updates.isfinite().all(1, keepdim=True), updates, 0.0)
        lengths = torch.linalg.vector_norm(updates, dim=1, keepdim=True, dtype=torch.float64)
        return updates * (self.clip / lengths).clamp(max=1).to(updates.dtype)

    def noise(self, like, rng):
        """What is added to the sum: a tensor as `like`, drawn from a NumPy generator, which no real system would use."""
        drawn = rng.standard_normal(like.shape)
        return torch.tensor(self.noise_multiplier * self.clip * drawn).to(like)

    def epsilon(self, fraction, rounds):
        """ε after so many rounds, each client taking part in each by a coin of its own; infinite without noise."""
        return rdp_epsilon(fraction, self.noise_multiplier, rounds, self.delta, self.conversion)
