"""Configs: layers that add, and everything that cannot be meant refused with its place."""

import importlib
import re
import sys

import gin
import pytest

from offpcc.config import registry
from offpcc.config.bindings import compose, configured, give, parse
from offpcc.config.catalog import algorithm_file, algorithms
from offpcc.config.config import Config
from offpcc.config.type_check import Macro
from offpcc.data import AgentSpec, Field
from offpcc.envs.adapter import EnvAdapter
from offpcc.envs.make_env import make_env
from offpcc.errors import ConfigError
from offpcc.networks import GRU
from offpcc.runs.training_config import TrainingConfig

RSAC = algorithm_file("rsac")


def rsac(*lines: str) -> Config:
    return compose([RSAC], lines)


@pytest.fixture
def write(tmp_path):
    """Writes a config; gives its path."""

    def of(text: str, name: str = "mine.gin"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return of


# Layers


def test_a_later_layer_overrides_an_earlier_one(write):
    config = write("discount = 0.5\nlearning_rate = 0.1")
    values = compose([RSAC, config], ["learning_rate = 0.2", "learning_rate = 0.3"]).values
    assert (values["SAC.discount"], values["SAC.learning_rate"]) == (0.5, 0.3)


def test_a_byte_order_mark_at_a_files_beginning_is_no_part_of_it(write):
    write("\ufefflearning_rate = 0.2", "inner.gin")
    values = compose([RSAC, write("\ufeffdiscount = 0.5\ninclude 'inner.gin'")]).values
    assert (values["SAC.discount"], values["SAC.learning_rate"]) == (0.5, 0.2)


def test_what_stands_in_a_file_overrides_what_it_includes(write):
    write("discount = 0.1\nlearning_rate = 0.1", "inner.gin")
    outer = write("learning_rate = 0.2\ninclude 'inner.gin'")
    values = compose([RSAC, outer]).values
    assert (values["SAC.discount"], values["SAC.learning_rate"]) == (0.1, 0.2)


@pytest.mark.parametrize("algo", ["sac", "ppo"])
def test_a_line_may_include_a_file(algo):
    lines = ["include 'memory/gru.gin'", "memory_hidden_size = 7", "recurrent_sequence_length = 5"]
    values = compose([algorithm_file(algo)], lines).values
    assert (values["GRU.hidden_size"], values[f"{algo.upper()}.summarizer"].name) == (7, "GRU")


def test_a_line_may_include_a_file_of_the_working_folder(write, tmp_path, monkeypatch):
    write("discount = 0.5", "mine.gin")
    monkeypatch.chdir(tmp_path)
    assert rsac("include 'mine.gin'").values["SAC.discount"] == 0.5


def test_defaults_are_among_the_values():
    values = rsac().values
    assert values["SAC.temperature"] == 1.0
    assert values["Training.max_skipped_updates"] == 10
    assert values["LSTM.skip_connection"] is True


def test_macros_lead_through_macros_and_stand_in_lists():
    values = rsac(
        "hidden_sizes = (%memory_hidden_size, %memory_num_layers)",
        "memory_hidden_size = %recurrent_batch_size",
        "recurrent_batch_size = 7",
    ).values
    assert values["SAC.hidden_sizes"] == (7, 1)
    assert values["LSTM.hidden_size"] == 7


def test_a_macro_of_ones_own_may_be_used(write):
    config = write("mine = 33\nLSTM.hidden_size = %mine")
    assert compose([RSAC, config]).values["LSTM.hidden_size"] == 33


def test_a_known_macro_of_a_file_may_go_unused(write):
    assert (
        "LSTM.hidden_size"
        not in compose([algorithm_file("sac"), write("memory_hidden_size = 7")]).values
    )


@pytest.mark.parametrize("algo", ["rsac", "lstm_ppo", "lstm_a2c"])
def test_another_memory_can_be_included_whatever_of_it_an_algorithm_uses(algo):
    config = compose([algorithm_file(algo)], ["include 'memory/gru.gin'"])
    assert "GRU.hidden_size" in config.values and "LSTM.hidden_size" not in config.values


@pytest.mark.parametrize(
    ("algo", "line", "complaint"),
    [
        ("sac", "memory_hidden_size = 7", "nothing in this run uses memory_hidden_size"),
        (
            "rsac",
            "batch_size = 7",
            "nothing in this run uses batch_size; here it is called recurrent_batch_size",
        ),
    ],
)
def test_a_macro_that_was_asked_for_is_used(algo, line, complaint):
    with pytest.raises(ConfigError, match=complaint):
        compose([algorithm_file(algo)], [line])


def test_a_macro_behind_another_is_used():
    values = rsac("mine = 7", "memory_hidden_size = %mine").values
    assert values["LSTM.hidden_size"] == 7


def test_a_block_binds_one_class(write):
    config = write("SAC:\n  num_critics = 3\n  policy_delay = 2\n")
    values = compose([RSAC, config]).values
    assert (values["SAC.num_critics"], values["SAC.policy_delay"]) == (3, 2)


def test_another_memory_leaves_the_first_ones_bindings_behind():
    config = compose([RSAC], ["summarizer = @GRU", "GRU.hidden_size = 9"])
    assert config.values["GRU.hidden_size"] == 9
    assert not [key for key in config.values if key.startswith("LSTM.")]


def test_a_scope_binds_one_of_two(write):
    config = write(
        "SAC.encoder = @actor/Encoder\nSAC.critic_encoder = @Encoder\n"
        "actor/Encoder.keys = ('observation',)\nEncoder.embedding_size = 5\n"
    )
    values = compose([RSAC, config]).values
    assert values["actor/Encoder.keys"] == ("observation",)
    assert values["Encoder.keys"] == []
    assert values["actor/Encoder.embedding_size"] == values["Encoder.embedding_size"] == 5


def test_an_integer_may_be_written_with_underscores_and_stands_for_a_number():
    values = rsac("buffer_size = 1_000", "learning_rate = 1", "max_grad_norm = 5").values
    assert (values["EpisodeReplay.buffer_size"], values["SAC.learning_rate"]) == (1000, 1)


# What is given to gin


@pytest.fixture(autouse=True)
def no_gin():
    yield
    gin.clear_config()


@pytest.mark.parametrize("algo", algorithms())
def test_a_config_written_out_comes_to_the_same(algo, write):
    once = compose([algorithm_file(algo)], ["hidden_sizes = (%eval_interval, 3)", "discount = 0.5"])
    again = compose([write(once.text())])
    assert again.values == once.values
    assert again.text() == once.text()
    assert again.fixed(()) == once.fixed(())


def test_gin_uses_just_what_the_config_says():
    config = rsac("previous_action = True", "memory_hidden_size = 5")
    give(config)
    training = configured(TrainingConfig)()
    spec = AgentSpec({"observation": Field((2,))}, 1)
    training.agent(spec, seed=1, device="cpu", critic_state=False)
    training.replay(spec, 0, store_states=0, seed=1, buffer_size=10)
    configured(make_env)("Pendulum-v1")
    used = {b.key: b.value for b in parse(gin.operative_config_str(), "gin") if b.argument}
    for given in ("render_mode", "copy"):
        del used[f"make_env.{given}"]
    made = (
        "TrainingConfig.",
        "SAC.",
        "EpisodeReplay.",
        "Encoder.",
        "critic/",
        "LSTM.",
        "make_env.",
    )
    said = {key: value.written for key, value in config.used.items() if key.startswith(made)}
    assert said.pop("EpisodeReplay.buffer_size") == Macro("buffer_size"), "the test gives its own"
    assert used == said


def test_nothing_is_left_of_the_config_before():
    env: EnvAdapter
    give(rsac("previous_action = True"))
    env = configured(make_env)("Pendulum-v1")
    assert "previous_action" in env.spec_of_agent.observation
    give(rsac())
    env = configured(make_env)("Pendulum-v1")
    assert "previous_action" not in env.spec_of_agent.observation


def test_a_refused_config_leaves_gin_as_it_was():
    give(rsac("num_envs = 3"))
    with pytest.raises(ConfigError):
        give(rsac("num_envs = 'three'"))
    assert configured(TrainingConfig)().num_envs == 3


# Classes of one's own


def test_a_config_may_import_and_refer_to_a_class_of_ones_own(write, tmp_path, monkeypatch):
    (tmp_path / "my_memory.py").write_text(
        "from offpcc.networks import LSTM\n"
        "from offpcc.config.registry import configurable\n\n"
        "@configurable\nclass Wide(LSTM):\n"
        "    def __init__(self, inputs: int, *, factor: int = 2) -> None:\n"
        "        super().__init__(inputs, hidden_size=factor * inputs)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = compose([RSAC, write("import my_memory\nsummarizer = @Wide\nWide.factor = 4")])
    give(config)
    spec = AgentSpec({"observation": Field((3,))}, 1)
    agent = configured(TrainingConfig)().agent(spec, seed=1, device="cpu", critic_state=False)
    assert agent.state_size == 2 * 4 * 3
    assert config.text().startswith("import my_memory\n"), "so that the run's own file knows it"
    registry.REGISTRY.pop("Wide")


def test_a_class_that_is_defined_again_takes_the_place_of_the_one_before(
    write, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(tmp_path)
    for factor in (2, 3):
        (tmp_path / "again.py").write_text(
            "from offpcc.networks import LSTM\n"
            "from offpcc.config.registry import configurable\n\n\n"
            "@configurable\nclass Again(LSTM):\n"
            "    def __init__(self, inputs: int) -> None:\n"
            f"        super().__init__(inputs, hidden_size={factor} * inputs)\n"
        )
        sys.modules.pop("again", None)
        importlib.invalidate_caches()
        give(compose([RSAC, write("import again\nsummarizer = @Again")]))
        spec = AgentSpec({"observation": Field((3,))}, 1)
        agent = configured(TrainingConfig)().agent(spec, seed=1, device="cpu", critic_state=False)
        assert agent.state_size == 2 * factor * 3
    registry.REGISTRY.pop("Again")


def test_a_name_can_be_registered_once():
    class LSTM: ...

    with pytest.raises(ValueError, match="configs know another LSTM"):
        registry.configurable(LSTM)
    assert registry.configurable(GRU) is GRU


# What is refused

REFUSED = [
    ("SAC.discont = 0.9", "SAC has no parameter 'discont'; did you mean discount"),
    ("SACC.discount = 0.9", "unknown class 'SACC'; did you mean SAC?"),
    ("agents.SAC.discount = 0.9", "unknown class 'agents.SAC'"),
    ("discont = 0.9", "unknown setting 'discont'; did you mean discount"),
    ("discount = %discont", "unknown macro %discont; did you mean discount"),
    (
        "hidden_sizes = (3, %memory_hiden_size)",
        "unknown macro %memory_hiden_size; did you mean memory_hidden_size",
    ),
    ("discount = %learning_rate\nlearning_rate = %discount", "the macro %.* leads back to itself"),
    ("summarizer = @LSMT", "unknown class @LSMT; did you mean LSTM"),
    ("TD3.policy_delay = 3", "TD3.policy_delay is never used: the run makes no @TD3"),
    (
        "actor/LSTM.hidden_size = 3",
        "actor/LSTM.hidden_size is never used: the run makes no @actor/LSTM",
    ),
    (
        "SAC.encoder = @actor/Encoder\nactr/Encoder.embedding_size = 3",
        "actr/Encoder.embedding_size is never used.*; did you mean @actor/Encoder",
    ),
    ("SAC.seed = 1", "SAC.seed is not for a config; the run fills it in"),
    ("SAC.spec = 1", "SAC.spec is not for a config"),
    ("make_env.env = 'x'", "make_env.env is not for a config"),
    (
        "buffer_size = 1e6",
        "EpisodeReplay.buffer_size is 1000000.0, .* a whole number; write 1_000_000",
    ),
    ("buffer_size = '10'", "EpisodeReplay.buffer_size is '10', which is not a whole number$"),
    ("buffer_size = True", "EpisodeReplay.buffer_size is True, which is not a whole number$"),
    ("recurrent_sequence_length = 1.5", "is 1.5, which is not a whole number or None$"),
    ("discount = '0.9'", "SAC.discount is '0.9', which is not a number$"),
    ("discount = 1.5", r"SAC.discount is 1.5; it must lie in \[0, 1\]$"),
    ("LSTM.hidden_size = 0", r"LSTM.hidden_size is 0; it must lie in \[1, 1_000_000\]$"),
    ("target = 5", "unknown setting 'target'"),
    ("SAC.target_entropy = 1e400", "SAC.target_entropy is inf; it must be finite$"),
    (
        "buffer_size = 99999999999999999999",
        "EpisodeReplay.buffer_size is 9+; it must fit into 64 bits$",
    ),
    ("discount = None", "SAC.discount is None, which is not a number$"),
    ("normalize_observations = 1", "SAC.normalize_observations is 1, which is not True or False$"),
    ("weight_sync = 1", "Collector.weight_sync is 1, which is not a text in quotes$"),
    ("hidden_sizes = 256", "SAC.hidden_sizes is 256, which is not a list of whole numbers$"),
    (
        "hidden_sizes = (256, 1.5)",
        r"SAC.hidden_sizes is \(256, 1.5\), which is not a list of whole numbers$",
    ),
    ("Encoder.keys = 'observation'", "which is not a list of texts in quotes$"),
    ("summarizer = @LSTM()", r"is @LSTM\(\), which is not a reference to a kind of Summarizer"),
    ("summarizer = @EpisodeReplay", "is @EpisodeReplay, .* to a kind of Summarizer, written @Name"),
    (
        "TrainingConfig.agent = @LSTM",
        "agent is @LSTM, which is not a reference to a kind of Learner",
    ),
    ("summarizer = 'LSTM'", "is 'LSTM', which is not a reference to a kind of Summarizer"),
    ("weight_sync = step", "Failed to parse token 'step'; a text needs quotes"),
    ("hidden_sizes = (1, 2", "a bracket or quote is not closed"),
    ("discount 0.9", "Couldn't parse statement"),
    ("discount =", "Unable to parse value"),
    ("include 'nothing.gin'", "the included file 'nothing.gin' is not in"),
    (
        "import nothing_of_this_name",
        "there is no module 'nothing_of_this_name'; modules are looked for in",
    ),
]


@pytest.mark.parametrize(("text", "complaint"), REFUSED)
def test_what_cannot_be_meant_is_refused_with_its_line(write, text, complaint):
    path = write(f"# A comment\n\n{text}\n")
    with pytest.raises(ConfigError, match=complaint) as error:
        compose([RSAC, path])
    assert str(error.value).partition(": ")[0] in [f"{path}:{line}" for line in (3, 4)]
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(("line", "complaint"), [pair for pair in REFUSED if "\n" not in pair[0]])
def test_what_cannot_be_meant_is_refused_on_the_command_line(line, complaint):
    with pytest.raises(ConfigError, match=complaint) as error:
        rsac("learning_rate = 0.1", line)
    assert str(error.value).startswith(f"--bind {line!r}:")


def test_a_name_bound_twice_in_one_file_is_refused_with_both_lines(write):
    path = write("learning_rate = 0.1\ndiscount = 0.9\nlearning_rate = 0.2\n")
    with pytest.raises(
        ConfigError, match=f"{path}:3: learning_rate is bound twice, first at {path}:1"
    ):
        compose([RSAC, path])


def test_a_wrong_value_is_named_where_it_stands_and_not_where_it_is_used(write):
    path = write("memory_learning_rate = 0.1\nlearning_rate = %memory_learning_rate\n")
    with pytest.raises(
        ConfigError,
        match=r"--bind \"memory_learning_rate = 'x'\":1: SAC.(memory_)?learning_rate is",
    ):
        compose([RSAC, path], ["memory_learning_rate = 'x'"])


def test_an_included_line_that_nothing_uses_is_blamed_on_ones_own_include(write):
    path = write("learning_rate = 0.1\ninclude 'memory/gru.gin'\nsummarizer = @LSTM\n")
    message = (
        rf"^{path}:2: GRU.forget_gate_bias, from .*gru.gin:6, is never used: the run makes no @GRU"
    )
    with pytest.raises(ConfigError, match=message):
        compose([RSAC, path])


def test_the_outermost_include_is_blamed(write):
    write("include 'memory/gru.gin'", "inner.gin")
    path = write("include 'inner.gin'\nsummarizer = @LSTM\n")
    with pytest.raises(
        ConfigError,
        match=rf"^{path}:1: GRU.forget_gate_bias, from .*gru.gin:6, is never used",
    ):
        compose([RSAC, path])


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        (["TD3.max_grad_norm = 3.0"], 3.0),
        (["DDPG.max_grad_norm = 2.0"], 2.0),
        (["ActorCritic.max_grad_norm = 4.0", "DDPG.max_grad_norm = 2.0"], 2.0),
        (["TD3.max_grad_norm = 3.0", "DDPG.max_grad_norm = 2.0"], 3.0),
        (["max_grad_norm = 1.0"], 1.0),
    ],
)
def test_a_binding_holds_for_derived_classes_unless_a_nearer_one_has_its_own(lines, value):
    assert compose([algorithm_file("td3")], lines).values["TD3.max_grad_norm"] == value


def test_a_line_that_an_earlier_nearer_one_outdoes_is_refused(write):
    path = write("TD3.max_grad_norm = 3.0")
    wrong = rf"OffPolicy.max_grad_norm has no effect: TD3.max_grad_norm is bound at {path}:1"
    with pytest.raises(ConfigError, match=wrong):
        compose([algorithm_file("td3"), path], ["OffPolicy.max_grad_norm = 5.0"])


def test_an_ancestor_of_nothing_in_the_run_is_refused():
    with pytest.raises(ConfigError, match=r"OnPolicy\.max_grad_norm is never used"):
        compose([algorithm_file("td3")], ["OnPolicy.max_grad_norm = 5.0"])


def test_every_value_is_explained_by_the_place_that_it_is_from():
    lines = compose([algorithm_file("rsac")], ["learning_rate = 0.5"]).explained().splitlines()
    found = {line.partition(" ")[0]: line for line in lines}
    assert re.search(
        r"^SAC.learning_rate = 0.5 +# --bind 'learning_rate = 0.5':1$", found["SAC.learning_rate"]
    )
    assert re.search(r"# configs/defaults\.gin:\d+$", found["LSTM.hidden_size"])
    assert found["SAC.policy_delay"].endswith("# default")


def test_a_file_that_includes_itself_is_refused(write):
    write("include 'b.gin'", "a.gin")
    with pytest.raises(ConfigError, match=r"b\.gin includes itself"):
        compose([RSAC, write("include 'a.gin'", "b.gin")])


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", None])
def test_a_file_that_cannot_be_read_is_refused(tmp_path, content):
    path = tmp_path / "odd.gin"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"config .*odd\.gin"):
        compose([RSAC, path])
    with pytest.raises(ConfigError, match="No such file"):
        compose([tmp_path / "missing.gin"])


# What may differ when a run is resumed


def test_a_macro_of_a_free_value_is_free_wherever_it_is_used():
    old, new = (
        rsac("buffer_size = %steps", "steps = 10"),
        rsac("buffer_size = %steps", "steps = 20"),
    )
    assert old.values["EpisodeReplay.buffer_size"] != new.values["EpisodeReplay.buffer_size"]
    assert old.fixed(("Training.steps",)) == new.fixed(("Training.steps",))
    assert old.fixed(()) != new.fixed(())


def test_a_value_behind_a_macro_is_compared():
    old, new = (
        rsac("memory_hidden_size = 5").fixed(("Training.steps",)),
        rsac().fixed(("Training.steps",)),
    )
    assert [key for key in old if old[key] != new[key]] == ["LSTM.hidden_size"]
