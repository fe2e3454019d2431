"""Synonyms: what other libraries, and earlier versions of this one, call a setting.

A name may mean one thing off-policy and another on-policy; the first that the run uses counts.
"""

from collections.abc import Collection

from offpcc.config.names import nearest

ELSEWHERE = {
    "learning_rate": "lr actor_lr critic_lr policy_lr q_lr lr_actor lr_critic step_size rate",
    "memory_learning_rate": "rnn_lr lstm_lr encoder_lr memory_rate",
    "discount": "gamma discount_factor",
    "tau": "polyak target_update_tau soft_update_tau critic_tau",
    "hidden_sizes": "net_arch hidden hidden_dim hidden_dims hidden_units policy_kwargs layer_sizes",
    "buffer_size": "capacity replay_size replay_capacity memory_size replay_buffer_size",
    "replay_ratio": "ratio utd utd_ratio gradient_steps train_freq updates_per_step update_every",
    "learning_starts": "warm_up warmup warmup_steps start_steps start_timesteps random_steps",
    "recurrent_batch_size": "memory_batch rnn_batch_size batch_size",
    "batch_size": "batch minibatch_size mini_batch_size sgd_minibatch_size",
    "recurrent_sequence_length": "memory_segment sequence_length seq_len seq_length chunk_length",
    "memory_hidden_size": "width lstm_hidden_size rnn_hidden_size rnn_hidden_dim hidden_size",
    "memory_num_layers": "layers n_lstm_layers rnn_num_layers num_layers",
    "steps": "total_timesteps total_steps max_steps num_steps_total num_env_steps max_timesteps",
    "eval_interval": "epoch eval_freq eval_every evaluation_interval steps_per_epoch",
    "eval_episodes": "evaluation_episodes n_eval_episodes num_eval_episodes",
    "num_envs": "copies n_envs nenvs",
    "num_workers": "workers num_env_runners num_rollout_workers num_collectors",
    "async_envs": "vectorization_mode async_vector_env asynchronous subproc_vec_env parallel_envs",
    "num_threads": "threads torch_threads",
    "n_step": "n_steps nstep n_step_returns multi_step",
    "rollout_steps": "n_steps rollout num_steps horizon unroll_length rollout_length stretch",
    "num_epochs": "epochs n_epochs update_epochs ppo_epoch noptepochs",
    "critic_epochs": "value_epochs critic_iters train_v_iters",
    "gae_lambda": "trace lam lmbda gae_lam",
    "clip_range": "clip_ratio clip_coef clip_param cliprange clip_eps",
    "clip_range_vf": "value_clip vf_clip_param",
    "ent_coef": "entropy_weight entropy_coef entropy_coeff",
    "temperature": "alpha init_alpha init_temperature ent_coef entropy_coef",
    "vf_coef": "value_weight value_coef vf_loss_coeff",
    "target_kl": "most_divergence max_kl desired_kl",
    "max_grad_norm": "clip grad_clip gradient_clip clip_grad grad_norm_clip",
    "anneal_learning_rate": "decay anneal_lr lr_decay lr_schedule linear_schedule",
    "normalize_observations": "normalize normalize_obs norm_obs obs_norm",
    "normalize_rewards": "scale_rewards norm_reward normalize_reward",
    "reward_scale": "reward_scaling reward_scale_factor",
    "num_critics": "heads n_critics num_q num_qs ensemble_size",
    "policy_delay": "delay policy_freq policy_frequency actor_update_freq",
    "target_policy_noise": "smoothing policy_noise target_noise",
    "target_noise_clip": "smoothing_clip noise_clip",
    "exploration_noise": "noise action_noise act_noise expl_noise",
    "random_action_prob": "random epsilon eps_greedy exploration_fraction",
    "anneal_exploration": "fade",
    "random_action_repeat": "hold",
    "policy_ema_tau": "average ema ema_tau",
    "priority_alpha": "priority per_alpha prioritized_replay_alpha",
    "priority_beta": "importance per_beta prioritized_replay_beta",
    "forget_gate_bias": "forget_bias",
    "skip_connection": "shortcut",
    "embedding_size": "embedding encoder_size feature_dim features_dim",
    "actor_keys": "keys obs_keys",
    "weight_sync": "sync",
    "max_episode_steps": "time_limit episode_length max_ep_len",
    "num_quantiles": "atoms n_quantiles n_atoms",
    "top_quantiles_to_drop": "dropped top_quantiles_to_drop_per_net",
    "context_length": "context block_size",
    "num_heads": "attention_heads n_heads",
    "q_weight": "climb bc_alpha",
    "noise_type": "pull",
    "TrainingConfig": "Recipe",
    "make_env": "make_world",
}
ABSENT = {"precision": "; on-policy algorithms and baselines compute in fp32"}


def hint(name: str, known: Collection[str]) -> str:
    """What to put behind a complaint of an unknown name: what it is called here, or the nearest."""
    found = [ours for ours, theirs in ELSEWHERE.items() if name in theirs.split()]
    here = next((ours for ours in found if ours in known), None)
    return f"; here it is called {here}" if here else ABSENT.get(name, nearest(name, known))
