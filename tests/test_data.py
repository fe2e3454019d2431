import json

import numpy as np
import torch

from offpcc.data import AgentSpec, Episode, Field
from offpcc.replay.batch import Batch


def test_a_field_holds_the_product_of_its_sides_and_a_scalar_one_number() -> None:
    assert [Field(shape).size for shape in ((3, 84, 84), (4,), (), (0,))] == [21168, 4, 1, 0]


def test_a_spec_survives_json() -> None:
    spec = AgentSpec(
        {"pixels": Field((3, 8, 8), "uint8"), "speed": Field((2,)), "goal": Field(())}, 3
    )
    again = AgentSpec.from_dict(json.loads(json.dumps(spec.as_dict())))
    assert again == spec
    assert list(again.observation) == ["pixels", "speed", "goal"]
    choosing = AgentSpec({"speed": Field((2,))}, 5, (2, 3))
    assert AgentSpec.from_dict(json.loads(json.dumps(choosing.as_dict()))) == choosing


def test_an_episode_is_as_long_as_its_rewards() -> None:
    observation = {"observation": np.zeros((4, 2), np.float32)}
    numbers = np.zeros((3, 1), np.float32)
    assert len(Episode(observation, numbers, numbers[:, 0], True, numbers[:, :0])) == 3


def test_a_batch_moves_as_a_whole_but_for_its_burn_in() -> None:
    batch = Batch(
        observation={"pixels": torch.zeros(2, 5, 3, dtype=torch.uint8), "speed": torch.zeros(2, 5)},
        action=torch.zeros(2, 3, 1),
        reward=torch.zeros(2, 3),
        terminated=torch.zeros(2, 3),
        mask=torch.ones(2, 3),
        state=torch.zeros(2, 4),
        burn_in=torch.tensor([1, 0]),
        weight=torch.zeros(2, 3),
    )
    moved = batch.to("meta")
    plain = [v for v in vars(moved).values() if isinstance(v, torch.Tensor)]
    named = [*moved.observation.values()]
    assert {v.device.type for v in plain + named if v is not moved.burn_in} == {"meta"}
    assert moved.observation["pixels"].dtype == torch.uint8
    assert moved.burn_in is batch.burn_in


def test_rows_of_a_batch_are_of_everything_in_it() -> None:
    t = torch.arange(6.0).view(3, 2)
    batch = Batch({"seen": t}, t[..., None], t, t, t, t, torch.tensor([4, 5, 6]), t)
    rows = batch.rows(torch.tensor([2, 0]))
    expected = [[4, 5], [0, 1]]
    assert rows.observation["seen"].tolist() == rows.weight.tolist() == expected
    for name in ("reward", "terminated", "mask", "state"):
        assert getattr(rows, name).tolist() == expected
    assert rows.action.squeeze(-1).tolist() == expected and rows.burn_in.tolist() == [6, 4]
    parts = list(batch.split(2))
    assert [part.burn_in.tolist() for part in parts] == [[4, 5], [6]]
    assert [part.weight.tolist() for part in parts] == [[[0, 1], [2, 3]], [[4, 5]]]
