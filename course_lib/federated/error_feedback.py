"""A memory of what short messages leave out."""

from course_lib.federated.compression import Compressor


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

    >>> import torch
    >>> from course_lib.federated import top_k
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
