"""Networks: encoder -> summarizer -> actor or critic, and running normalisation."""

from offpcc.networks.actor import Actor, DeterministicActor, GaussianActor
from offpcc.networks.critic import Critic
from offpcc.networks.encoder import Encoder
from offpcc.networks.memory import Memory
from offpcc.networks.mlp import MLP, EnsembleMLP
from offpcc.networks.normalizer import Normalizer
from offpcc.networks.summarizer import GRU, LSTM, RNN, Identity, Summarizer

__all__ = [
    "GRU",
    "LSTM",
    "MLP",
    "RNN",
    "Actor",
    "Critic",
    "DeterministicActor",
    "Encoder",
    "EnsembleMLP",
    "GaussianActor",
    "Identity",
    "Memory",
    "Normalizer",
    "Summarizer",
]
