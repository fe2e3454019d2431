"""Transformer: a memory that looks back at the last steps one by one."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from offpcc.config.ranges import Depth, Size, checked
from offpcc.networks.summarizer import Stack


class Transformer(Stack):
    """Causal attention over this step and the `context_length` before it, in pre-norm blocks.

    Vaswani et al. (2017, 1706.03762), normalised as by Xiong et al. (2020, 2002.04745), positions
    rotary (Su et al., 2021, 2104.09864). The state holds every layer's last keys and values, and
    how many of them there are.

    context_length: steps looked back at in each of the layers; num_heads: of attention.

    Raises ValueError for a hidden_size that heads of an even size do not share evenly.
    """

    @checked
    def __init__(
        self,
        inputs: int,
        *,
        hidden_size: Size = 128,
        num_layers: Depth = 1,
        context_length: Size = 64,
        num_heads: Size = 4,
        skip_connection: bool = True,
    ) -> None:
        super().__init__(inputs, hidden_size, num_layers, skip_connection)
        if hidden_size % (2 * num_heads):
            raise ValueError(
                f"hidden_size is {hidden_size}; it must be a multiple of {2 * num_heads}, twice "
                "num_heads"
            )
        self.embed = nn.Linear(inputs, hidden_size)
        self.blocks = nn.ModuleList(Block(hidden_size, num_heads) for _ in range(num_layers))
        self.norm = nn.LayerNorm(hidden_size)
        self.context_length = context_length
        self.state_size = 1 + num_layers * context_length * 2 * hidden_size

    def unroll(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, T, F): what the last layer says and, with a skip connection, the input."""
        whole = torch.full(inputs.shape[:1], inputs.shape[1])
        output, state = self._run(inputs, state, whole)
        return self.feature(output, inputs), state

    @torch.no_grad()
    def warm(self, inputs: Tensor, state: Tensor, lengths: Tensor) -> Tensor:
        """In one pass; rows of length 0 keep their state."""
        real = torch.arange(inputs.shape[1]) < lengths.unsqueeze(1)
        inputs = torch.where(real.unsqueeze(-1).to(inputs.device), inputs, 0.0)
        return self._run(inputs, state, lengths)[1]

    def _run(self, inputs: Tensor, state: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (B, T, hidden_size), and the state after the first lengths[i] steps of row i."""
        steps, device = inputs.shape[1], inputs.device
        held = state[:, 0]
        caches = state[:, 1:].unflatten(
            1, (len(self.blocks), self.context_length, 2 * self.hidden_size)
        )
        seen = self._seen(held, steps)
        lengths = lengths.to(device)
        kept = lengths.unsqueeze(1) + torch.arange(self.context_length, device=device)
        hidden, after = self.embed(inputs), []
        for block, cache in zip(self.blocks, caches.unbind(1), strict=True):
            hidden, known = block(hidden, cache, seen)
            index = kept.unsqueeze(-1).expand(-1, -1, 2 * self.hidden_size)
            after.append(known.float().gather(1, index))
        count = (held + lengths).clamp(max=self.context_length).unsqueeze(1)
        return self.norm(hidden), torch.cat((count, torch.stack(after, 1).flatten(1)), 1)

    def _seen(self, held: Tensor, steps: int) -> Tensor:
        """Whether step t of a row sees column j of its cache and steps: (B, 1, T, C + T)."""
        column = torch.arange(self.context_length + steps, device=held.device)
        now = column[self.context_length :].unsqueeze(1)
        near = (column <= now) & (column >= now - self.context_length)
        filled = column >= self.context_length - held.unsqueeze(1)
        return (near & filled.unsqueeze(1)).unsqueeze(1)


class Block(nn.Module):
    """Attention, then a layer of units, each added to what came in."""

    def __init__(self, hidden_size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(hidden_size) for _ in range(2))
        self.query, self.key_value = (
            nn.Linear(hidden_size, hidden_size),
            nn.Linear(hidden_size, 2 * hidden_size),
        )
        self.output = nn.Linear(hidden_size, hidden_size)
        self.expand, self.contract = (
            nn.Linear(hidden_size, 4 * hidden_size),
            nn.Linear(4 * hidden_size, hidden_size),
        )

    def forward(self, hidden: Tensor, cache: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden (B, T, H) and all keys and values (B, C + T, 2 H), cached ones first."""
        inputs = self.norms[0](hidden)
        known = torch.cat((cache, self.key_value(inputs).to(cache)), 1)
        key, value = (self._by_head(part) for part in known.chunk(2, -1))
        query = self._by_head(self.query(inputs).to(cache))
        place = torch.arange(known.shape[1], device=known.device)
        query, key = rotated(query, place[-query.shape[2] :]), rotated(key, place)
        found = scaled_dot_product_attention(query, key, value, attn_mask=seen)
        hidden = hidden + self.output(found.transpose(1, 2).flatten(2))
        return hidden + self.contract(gelu(self.expand(self.norms[1](hidden)))), known

    def _by_head(self, values: Tensor) -> Tensor:
        """(B, T, hidden_size) as (B, heads, T, hidden_size / heads)."""
        return values.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def rotated(values: Tensor, place: Tensor) -> Tensor:
    """Values (…, T, D) turned by angles that grow with their place (T,).

    A product of two then depends on how far apart they lie, not on where.
    """
    half = values.shape[-1] // 2
    pace = torch.exp(-math.log(10_000) * torch.arange(half, device=values.device) / half)
    angle = place.unsqueeze(1) * pace
    one, other = values.chunk(2, -1)
    cosine, sine = angle.cos(), angle.sin()
    return torch.cat((one * cosine - other * sine, one * sine + other * cosine), -1)
