"""What must hold for LowerBoundSAC, whatever the values are."""

import torch
from lower_bound_sac import LowerBoundSAC

from offpcc.envs.make_env import make_env


def agent_with(pessimism):
    """An agent for the pendulum without its velocity."""
    return LowerBoundSAC(make_env("pendulum-p-v0").spec_of_agent, pessimism=pessimism)


value = torch.randn(2, 3, 4, 1)  # two critics
torch.testing.assert_close(agent_with(pessimism=1.0).lower_bound(value), value.amin(0))
torch.testing.assert_close(agent_with(pessimism=0.0).lower_bound(value), value.mean(0))

agreed = torch.ones(2, 3, 4, 1, requires_grad=True)
agent_with(pessimism=0.5).lower_bound(agreed).sum().backward()
assert agreed.grad.isfinite().all()

print("β = 1 is the minimum, β = 0 the mean")
