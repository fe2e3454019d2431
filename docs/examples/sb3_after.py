"""The same script with offpcc."""

from trolley import Trolley

import offpcc

STEPS = 4_000
ALGO = "sac"  # rsac: the same with an LSTM


class Episodes(offpcc.Callback):
    """Counts the episodes of the training."""

    count = 0

    def on_episode(self, training, score):
        self.count += 1


episodes = Episodes()
run = offpcc.run(
    Trolley,
    ALGO,
    run_id="migrated",
    steps=STEPS,
    learning_rate=1e-3,
    discount=0.99,
    tau=0.02,
    buffer_size=50_000,
    batch_size=256,
    temperature=0.1,
    learning_starts=1_000,
    hidden_sizes=(128, 128),
    normalize_observations=True,
    seed=1,
    eval_interval=1_000,
    eval_episodes=10,
    callbacks=[episodes],
)

result = run.evaluate(100)
print(f"{episodes.count} episodes of training, return {result['test_return']:.1f}")

policy, env = offpcc.load(run.path), offpcc.env_of(run.path)
(observation, _), state, total, ended = env.reset(seed=3), policy.initial_state(), 0.0, False
while not ended:
    action, state = policy.act(observation, state)
    observation, reward, terminated, truncated, _ = env.step(action)
    total, ended = total + reward, terminated or truncated
print(f"one episode: {total:.1f}")
