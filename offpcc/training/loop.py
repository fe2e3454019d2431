"""The training loop: steps the environments, makes the updates that are owed, closes epochs.

It is handed all its parts and builds none; what it learns from, and how often, the replay decides.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from offpcc.algorithms import Learner
from offpcc.config.ranges import NonNegativeInt, PositiveInt, check_fields
from offpcc.data import Episode
from offpcc.errors import CallbackError, DivergedError, EnvironmentFault, NoUpdateError, Stopped
from offpcc.processes.notices import say_once
from offpcc.replay import Replay
from offpcc.storage.checkpoint import Checkpoints
from offpcc.training.callbacks import Callback, notify
from offpcc.training.evaluator import Evaluator, Score, summary
from offpcc.training.experience_source import ExperienceSource
from offpcc.training.tracking import Recorder

CLOCK = ("seconds", "steps_per_second", "updates_per_second")
COUNTS = ("env_steps", "updates", "episodes")
MOST_SKIPPED = 0.05  # share of an epoch's updates that may be skipped without a word
SCORES = tuple(
    f"{side}_{what}"
    for side in ("train", "test")
    for what in ("return", "return_se", "length", "success")
)


def columns(agent: Learner, source: ExperienceSource | None = None) -> tuple[str, ...]:
    """The columns of progress.csv, in order; source: what experience comes from, if known."""
    waits = source is not None and source.waited is not None
    return (*COUNTS, *SCORES, *agent.columns, *CLOCK, *(["waited"] if waits else []))


@dataclass
class Training:
    """One run: `run` goes on until `steps`, or until `interrupt` raises.

    Each epoch ends with a checkpoint, an evaluation of the learner, and a row. Raises ValueError
    for settings that cannot work; in `run`, Stopped, EnvironmentFault,
    DivergedError, NoUpdateError.
    """

    agent: Learner
    replay: Replay
    collector: ExperienceSource
    evaluator: Evaluator
    recorder: Recorder
    checkpoints: Checkpoints | None = None
    interrupt: Callable[[], None] = lambda: None
    advance: Callable[[int], None] = lambda steps: None  # called with the number of steps just made
    callbacks: Sequence[Callback] = ()
    facts: dict[str, Any] = field(default_factory=dict)  # for the checkpoint's manifest
    _: KW_ONLY
    steps: PositiveInt = 100_000  # environment steps, over all copies
    eval_interval: PositiveInt = 1_000  # environment steps
    learning_starts: NonNegativeInt = 1_000  # uniform steps before the first update
    max_skipped_updates: PositiveInt = 10  # updates in a row that may be not finite

    def __post_init__(self) -> None:
        check_fields(self)
        self.epochs = self.updates = self.episodes = 0
        self.evaluation_due = False  # and a row
        self.scores: list[Score] = []  # of the training episodes since the last row
        self.best = float("-inf")
        self.seconds = 0.0
        self.row_at = {"seconds": 0.0, "env_steps": 0, "updates": 0}
        self.last_row: dict[str, float] = {}
        self.save_failed = False
        self.stop_reason = ""  # why a callback has ended the run
        self._since = time.perf_counter()
        self._waited = 0.0  # seconds, up to the last row

    def run(self) -> None:
        """Trains to the end; saves, whether it ends or is interrupted."""
        self._since = time.perf_counter()
        try:
            self.learn(0)  # the rest of what was owed when a stop came between two updates
            while True:
                if self.evaluation_due or self.collector.steps // self.eval_interval > self.epochs:
                    self.end_epoch()
                if self.collector.steps >= self.steps or self.stop_reason:
                    break
                self.interrupt()
                self.step()
            if self.row_at["env_steps"] < self.collector.steps:
                self.end_epoch()
        except (Stopped, EnvironmentFault, CallbackError):
            self.save()
            raise
        if not self.updates and not self.stop_reason:
            raise NoUpdateError(
                f"no update was made in {self.collector.steps:_} steps: {self._lack()}"
            )

    def step(self) -> None:
        """One step of every copy, and the updates that it is worth."""
        before = self.collector.steps
        finished: list[Score] = []
        for episode in self.collector.step(uniform=before < self.learning_starts):
            finished += self.take(episode)
        made = self.collector.steps - before
        self.learn(made)
        self.advance(made)
        for score in finished:
            notify(self.callbacks, "on_episode", self, score)
        notify(self.callbacks, "on_step", self)

    def stop(self, reason: str) -> None:
        """Ends the run after this step, as if it had been asked for no more; for callbacks."""
        self.stop_reason = reason

    def learn(self, made: int) -> None:
        """The updates that so many new steps are worth; a stop is heard between two of them."""
        if self.collector.steps <= self.learning_starts:
            return
        self.tell_progress()
        for batch in self.replay.batches(made):
            output = self.agent.update(batch)
            if output.td_error is not None:
                self.replay.update_priorities(batch, output.td_error)
            if self.agent.observe_after_update:
                keys = self.agent.policy.normalizer.keys  # nothing else leaves the device
                self.agent.observe(batch.real_observation(keys))
            self.recorder.add(output.metrics)
            self.updates += 1
            self._refuse_divergence()
            self.interrupt()

    def _refuse_divergence(self) -> None:
        # On a GPU a look waits for the device, so there is one in `max_skipped_updates`.
        bad, most = self.agent.consecutive_nonfinite, self.max_skipped_updates
        if (bad.is_cpu or self.updates % most == 0) and bad >= most:
            raise DivergedError(
                f"{int(bad)} updates in a row had a loss or gradient that is not finite; the "
                "weights are those before them. Lower learning_rate, set max_grad_norm, or scale "
                "rewards down"
            )

    def _lack(self) -> str:
        """Why nothing could be learned."""
        if self.collector.steps <= self.learning_starts:
            uniform = f"the first {self.learning_starts:_} are uniform (learning_starts)"
            return f"{uniform}; ask for more steps"
        return self.replay.lack

    def tell_progress(self) -> None:
        """Tells the agent how much of the training is done, once that has begun."""
        if self.collector.steps > self.learning_starts:
            self.agent.progress = min(self.collector.steps / self.steps, 1.0)

    def take(self, episode: Episode) -> list[Score]:
        """Takes an episode, or a segment of one, into normaliser and replay; gives its score.

        That of a segment comes with the last one.
        """
        if not self.agent.observe_after_update:
            self.agent.observe({key: values[:-1] for key, values in episode.observation.items()})
        self.replay.add(episode)
        if not episode.ended:
            return []
        self.episodes += 1
        total = episode.reward_before + float(episode.reward.sum())
        length = episode.steps_before + len(episode)
        self.scores.append(Score(total, length, episode.success, episode.reward_terms))
        return self.scores[-1:]

    def end_epoch(self) -> None:
        """Saves, evaluates what is deployed, and writes the row.

        An evaluation changes nothing that is saved, and may fail; a resumed run makes it again.
        """
        self.evaluation_due = True
        self.save()
        scores = self.evaluator(self.agent.deployed, self.interrupt)
        self.epochs = self.collector.steps // self.eval_interval
        self.last_row = self._row(scores)
        skipped = self.recorder.write(self.last_row).get("skipped", 0.0)
        self.evaluation_due = False
        if skipped > MOST_SKIPPED:
            say_once(
                "skipped",
                f"{skipped:.0%} of an epoch's updates were skipped: their loss or gradient was not "
                "finite. Look at the rewards' size and at the learning rate",
            )
        self.scores.clear()
        if scores and self.last_row["test_return"] > self.best:
            self.best = self.last_row["test_return"]
            self._keep(lambda kept: kept.save_best(self.agent.deployed.state_dict()))
        notify(self.callbacks, "on_evaluation", self, self.last_row)

    def _row(self, scores: list[Score]) -> dict[str, float]:
        self._tick()
        counts = {
            "env_steps": self.collector.steps,
            "updates": self.updates,
            "episodes": self.episodes,
        }
        now = {"seconds": self.seconds} | counts
        since = {key: now[key] - before for key, before in self.row_at.items()}
        self.row_at = {key: now[key] for key in self.row_at}
        span = max(since["seconds"], 1e-9)
        self.recorder.add_columns(self._term_columns())
        averages = summary("train", self.scores) | summary("test", scores)
        rates = {
            "steps_per_second": since["env_steps"] / span,
            "updates_per_second": since["updates"] / span,
        }
        if self.collector.waited is not None:
            rates["waited"] = (self.collector.waited - self._waited) / span
            self._waited = self.collector.waited
        known = {*columns(self.agent), *self._term_columns()}  # terms may come up later
        return now | {key: value for key, value in averages.items() if key in known} | rates

    def _term_columns(self) -> list[str]:
        """The columns of what the environment's rewards are the sum of."""
        return [
            f"{side}_reward_{term}"
            for side in ("train", "test")
            for term in self.collector.reward_terms
        ]

    def _tick(self) -> None:
        now = time.perf_counter()
        self.seconds += now - self._since
        self._since = now

    def save(self) -> None:
        """Writes a checkpoint; `save_failed` says whether the disk refused it."""
        self._tick()
        step, parts = self.collector.steps, self.parts()
        facts = self.facts | {"csv_offset": parts["run"]["recorder"]["offset"]}
        written = self._keep(lambda kept: kept.save(step, parts, self.replay, facts))
        self.save_failed = not written

    def _keep(self, write: Callable[[Checkpoints], object]) -> bool:
        """Whether the disk took it; if not that is reported, and training goes on."""
        try:
            if self.checkpoints is not None:
                write(self.checkpoints)
        except OSError as error:
            print(
                f"NOT SAVED: {error}; the checkpoints before stay, training goes on, and the "
                "next one will be tried",
                file=sys.stderr,
                flush=True,
            )
            return False
        return True

    def parts(self) -> dict[str, Any]:
        """All state, as files of a checkpoint; `policy` is the deployed network alone.

        `actions/…` are those of long episodes in progress, which never change.
        """
        own = {
            "eval_interval": self.eval_interval,
            "epochs": self.epochs,
            "evaluation_due": self.evaluation_due,
            "updates": self.updates,
            "episodes": self.episodes,
            "scores": [tuple(score) for score in self.scores],
            "best": self.best,
            "seconds": self.seconds,
            "row_at": dict(self.row_at),
            "last_row": dict(self.last_row),
        }
        collector = self.collector.state_dict()
        past = {f"actions/{name}": part for name, part in collector.pop("past", {}).items()}
        run = {
            "training": own,
            "collector": collector,
            "replay": self.replay.state_dict(),
            "recorder": self.recorder.state_dict(),
        }
        agent, policy = self.agent.state_dict(), self.agent.deployed.state_dict()
        return {"agent": agent, "policy": policy, "run": run, **past}

    def restore(self, parts: dict[str, Any]) -> None:
        """Continues from `parts`; the replay has its chunks already."""
        self.agent.load_state_dict(parts["agent"])
        run = parts["run"]
        past = {n.removeprefix("actions/"): p for n, p in parts.items() if n.startswith("actions/")}
        self.collector.load_state_dict({**run["collector"], "past": past})
        self.replay.load_state_dict(run["replay"])
        self.recorder.add_columns(self._term_columns())
        self.recorder.load_state_dict(run["recorder"])
        own = dict(run["training"])
        self.scores = [Score(*score) for score in own.pop("scores")]
        if own.pop("eval_interval") != self.eval_interval:  # a resumed run may have others
            own["epochs"] = self.collector.steps // self.eval_interval
        vars(self).update(own)
        self.tell_progress()
