"""Kinds of networks: whether the weights of one mean the same in another."""

import re

from torch import nn

ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # in the repr of a function
FAMILIAR = ("offpcc", "torch")  # packages whose classes are known by their names alone


def kind_of(network: nn.Module) -> dict[str, str]:
    """Classes, public attributes and shapes of weights of a network and its parts, by name.

    Networks of one kind compute the same from the same weights: the class of a part also tells an
    activation, and its attributes what the class leaves open.
    """
    found = {}
    for name, part in network.named_modules():
        found[name] = _class_of(part)
        for key, value in vars(part).items():
            if key != "training" and not key.startswith("_"):
                found[f"{name}.{key}".lstrip(".")] = ADDRESS.sub("", repr(value))
    return found | {key: str(tuple(value.shape)) for key, value in network.state_dict().items()}


def difference(old: nn.Module, new: nn.Module) -> str:
    """The first thing in which the kinds of two networks differ, in words; empty if in none."""
    there, here = kind_of(old), kind_of(new)
    for name in there | here:
        before, now = there.get(name, "missing"), here.get(name, "missing")
        if before != now:
            subject = f"{name} is " if name else ""
            return f"{subject}{before} in that run, {now} in this one"
    return ""


def _class_of(part: nn.Module) -> str:
    kind = type(part)
    familiar = kind.__module__.partition(".")[0] in FAMILIAR
    return kind.__name__ if familiar else f"{kind.__module__}.{kind.__name__}"
