"""SAC of Stable-Baselines3 on the trolley: the script before it moves to offpcc."""

from stable_baselines3 import SAC
from stable_baselines3.common.callbacks import BaseCallback, CallbackList, EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecNormalize
from trolley import Trolley

STEPS = 4_000


class Episodes(BaseCallback):
    """Counts the episodes of the training."""

    count = 0

    def _on_step(self):
        self.count += int(self.locals["dones"].sum())
        return True


env = VecNormalize(make_vec_env(Trolley, seed=1), norm_reward=False)
eval_env = VecNormalize(make_vec_env(Trolley, seed=2), norm_reward=False, training=False)
model = SAC(
    "MlpPolicy",
    env,
    learning_rate=1e-3,
    gamma=0.99,
    tau=0.02,
    buffer_size=50_000,
    batch_size=256,
    ent_coef="auto_0.1",
    learning_starts=1_000,
    policy_kwargs={"net_arch": [128, 128]},
    seed=1,
)
episodes = Episodes()
evaluation = EvalCallback(eval_env, n_eval_episodes=10, eval_freq=1_000, verbose=0)
model.learn(STEPS, callback=CallbackList([episodes, evaluation]))
model.save("sb3_sac")
env.save("sb3_moments.pkl")

model = SAC.load("sb3_sac")
env = VecNormalize.load("sb3_moments.pkl", make_vec_env(Trolley, seed=3))
env.training = False
mean, deviation = evaluate_policy(model, env, n_eval_episodes=100)
print(f"{episodes.count} episodes of training, return {mean:.1f}")

observation, total = env.reset(), 0.0
for _ in range(40):
    action, _ = model.predict(observation, deterministic=True)
    observation, reward, _, _ = env.step(action)
    total += float(reward[0])
print(f"one episode: {total:.1f}")
