"""Networks: encoder -> summarizer -> actor or critic, and running normalisation."""

from offpcc.networks.actor import Actor, DeterministicActor, GaussianActor, SquashedActor
from offpcc.networks.critic import Critic, DiscreteCritic
from offpcc.networks.distributions import (
    CategoricalActor,
    DistributionActor,
    NormalActor,
    distribution_actor,
)
from offpcc.networks.encoder import Encoder
from offpcc.networks.memory import Memory
from offpcc.networks.min_gru import MinGRU
from offpcc.networks.mlp import MLP, EnsembleMLP
from offpcc.networks.normalizer import Moments, Normalizer
from offpcc.networks.recurrent import GRU, LSTM, RNN
from offpcc.networks.summarizer import Identity, Stack, Summarizer
from offpcc.networks.transformer import Transformer

__all__ = [
    "GRU",
    "LSTM",
    "MLP",
    "RNN",
    "Actor",
    "CategoricalActor",
    "Critic",
    "DeterministicActor",
    "DiscreteCritic",
    "DistributionActor",
    "Encoder",
    "EnsembleMLP",
    "GaussianActor",
    "Identity",
    "Memory",
    "MinGRU",
    "Moments",
    "NormalActor",
    "Normalizer",
    "SquashedActor",
    "Stack",
    "Summarizer",
    "Transformer",
    "distribution_actor",
]
