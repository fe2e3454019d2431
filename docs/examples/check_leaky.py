"""The two rules of a memory, for LeakyIntegrators; a slip in `unroll` breaks one of them."""

import torch
from leaky import LeakyIntegrators

torch.manual_seed(0)
memory = LeakyIntegrators(3, hidden_size=5)
inputs, state = torch.randn(4, 7, 3), torch.randn(4, 5)
features, last = memory.unroll(inputs, state)
assert features.shape == (4, 7, memory.size) and last.shape == (4, memory.state_size)

# 1. T single steps equal one unroll of T steps.
stepped = state
for t in range(7):
    feature, stepped = memory.step(inputs[:, t], stepped)
    torch.testing.assert_close(feature, features[:, t])
torch.testing.assert_close(stepped, last)

# 2. No row of the batch depends on another.
for row in range(4):
    alone, _ = memory.unroll(inputs[row : row + 1], state[row : row + 1])
    torch.testing.assert_close(alone[0], features[row])

print("both rules hold")
