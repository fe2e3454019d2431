"""Memory: an encoder and a summarizer, from observations to features of the history."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from offpcc.networks.encoder import Encoder
from offpcc.networks.summarizer import Summarizer


class Memory(nn.Module):
    """What a network knows of the history h, from observations {key: (B, T, …)}."""

    def __init__(self, encoder: Encoder, summarizer: Callable[[int], Summarizer]) -> None:
        super().__init__()
        self.encoder = encoder
        self.summarizer = summarizer(encoder.size)
        self.size, self.state_size = self.summarizer.size, self.summarizer.state_size

    def unroll(
        self, observation: dict[str, Tensor], state: Tensor, burn_in: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Features (B, T, F) of a batch's window, and the state (B, S) after it.

        burn_in: see `Batch`; row i's state first reads burn_in[i] of the W columns in front of the
        window, W being their maximum, without gradient.
        """
        columns = 0 if burn_in is None else int(burn_in.max())
        if burn_in is not None and columns:
            with torch.no_grad():
                before = self.encoder({k: v[:, :columns] for k, v in observation.items()})
            state = self.summarizer.warm(before, state, burn_in)
            observation = {k: v[:, columns:] for k, v in observation.items()}
        return self.summarizer.unroll(self.encoder(observation), state)

    def step(self, observation: dict[str, Tensor], state: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, F) of one step's observation {key: (B, …)}, and the next state (B, S)."""
        one_step = {k: v.unsqueeze(1) for k, v in observation.items()}
        return self.summarizer.step(self.encoder(one_step).squeeze(1), state)
