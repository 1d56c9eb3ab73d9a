"""The config of a run: one YAML, strict sections, every error at once.

`data`, `walk_forward`, `backtest` and `gates` are lob_backtest's; the rest is here. `training`
takes the fields of transformers.TrainingArguments by their own names, and beside them only what
they lack. A run is over an order book (`data.book`) or over texts (`hfrun.text_config`).
"""

import dataclasses
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from huggingface_hub.errors import StrictDataclassFieldValidationError
from transformers import TrainingArguments

from hfrun.models.book_config import FROM_THE_DATA
from hfrun.models.configuration_llama_classifier import LlamaClassifierConfig, wrong_keys
from hfrun.models.registry import BOOK_MODELS
from hfrun.study_config import StudyConfig, check_seeds
from hfrun.text_config import TextDataConfig, TextModelConfig
from hfrun.training.schedules import ScheduleOptions
from hfrun.training.stop_rules import stop_rules_from
from hfrun.training.values import ValueSchedule
from hfrun.training.weighting import LossOptions
from lob_backtest.config import (
    SECTION_NAMES,
    BacktestConfig,
    DataConfig,
    GatesConfig,
    JudgeConfig,
    WalkForwardConfig,
)
from lob_backtest.errors import ConfigError
from lob_backtest.strict_yaml import as_dict, build, convert, finish, load_yaml, unknown_keys

# Set by us for every run; a config that sets them would be silently overruled.
_OURS = ("output_dir", "seed", "data_seed", "remove_unused_columns", "logging_nan_inf_filter",
         "push_to_hub", "hub_model_id", "hub_token", "label_smoothing_factor",
         "lr_scheduler_type", "lr_scheduler_kwargs", "train_sampling_strategy",
         "length_column_name", "label_names", "prediction_loss_only", "batch_eval_metrics",
         "eval_do_concat_batches", "neftune_noise_alpha", "use_liger_kernel")  # fmt: skip
# What transformers takes without a word and fails by later, or trains uphill by, with the least.
_LEAST = {
    "per_device_train_batch_size": 1,
    "per_device_eval_batch_size": 1,
    "gradient_accumulation_steps": 1,
    "max_grad_norm": 0,
}
# Sections that only a run over a book has, and keys of data that only one over texts has.
_ONLY_BOOKS = ("walk_forward", "backtest")
_TEXT_KEYS = ("train", "validation", "test", "source", "text_column", "label_column", "template")
_INSTEAD = {
    "output_dir": "run.output_dir",
    "seed": "run.seed",
    "data_seed": "run.seed",
    "push_to_hub": "hub.push",
    "hub_model_id": "hub.repo",
    "hub_token": "the environment variable HF_TOKEN",
    "label_smoothing_factor": "training.loss.label_smoothing",
    "lr_scheduler_type": "training.schedule",
    "lr_scheduler_kwargs": "training.schedule",
    "train_sampling_strategy": "training.stretch (books), training.length_grouped (texts) or "
    "training.loss.balanced_sampler",
}


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What the run is called, where it is written, its seed, and its place in the tuning diary.

    ``question`` is what the run is to find out, ``parent`` the folder of the run it was changed
    from (default: the run before it in the diary). ``diary`` writes HISTORY.md beside the run's
    folder when it ends.
    """

    name: str
    output_dir: str
    seed: int = 0
    question: str = ""
    parent: str | None = None
    diary: bool = True

    def __post_init__(self) -> None:
        check_seeds([self.seed])


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The model: a registered type with its config keys, or weights to start from.

    ``pretrained`` is a folder or a hub id; ``config`` then only overrides (e.g. dropout).
    """

    type: Literal["deeplob", "mlp", "bilstm", "linear"] = "deeplob"
    pretrained: str | None = None
    config: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """How training weighs its samples; the evaluation loss is always plain cross-entropy."""

    label_smoothing: float = 0.0
    class_weights: Literal["none", "balanced"] | list[float] = "none"
    balanced_sampler: bool = False
    sample_weights: Literal["none", "move"] = "none"
    clip_sample_weights: list[float] = field(default_factory=lambda: [0.1, 10.0])
    allow_combined_weighting: bool = False

    def __post_init__(self) -> None:
        _ = self.options  # weightings that multiply are found with all other mistakes
        low_high = self.clip_sample_weights
        if len(low_high) != 2 or not 0 < low_high[0] <= low_high[1]:
            raise ConfigError(f"clip_sample_weights={low_high} needs 0 < low <= high")

    @property
    def options(self) -> LossOptions:
        """As the trainer takes them."""
        return LossOptions(
            label_smoothing=self.label_smoothing,
            class_weights=None if self.class_weights == "none" else self.class_weights,
            sample_weights=self.sample_weights != "none",
            balanced_sampler=self.balanced_sampler,
            allow_combined_weighting=self.allow_combined_weighting,
        )


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """TrainingArguments by their own names, plus the loss and the schedule."""

    arguments: dict[str, Any]
    loss: LossConfig = field(default_factory=LossConfig)
    schedule: ScheduleOptions = field(default_factory=ScheduleOptions)


@dataclass(frozen=True, kw_only=True)
class BookTrainingConfig(TrainingConfig):
    """As ``TrainingConfig``, with the stretch.

    ``stretch`` is how many neighbouring decisions are trained on together by a model whose windows
    share their computation (DeepLOB); a batch of 64 with 4 of them has 16 stretches. 1 draws every
    decision by itself.
    """

    stretch: int = 4

    def __post_init__(self) -> None:
        if self.stretch < 1:
            raise ConfigError(f"stretch={self.stretch} needs to be at least 1")


@dataclass(frozen=True, kw_only=True)
class TextTrainingConfig(TrainingConfig):
    """As ``TrainingConfig``, with batches and rates of text models.

    ``length_grouped`` draws batches of texts of about one length. ``head_learning_rate`` is the
    peak rate of a new head (default: that of all), and each layer below the top one takes
    ``layer_decay`` times the rate of the one above it.
    """

    length_grouped: bool = True
    head_learning_rate: float | None = None
    layer_decay: float = 1.0

    def __post_init__(self) -> None:
        if self.head_learning_rate is not None and self.head_learning_rate <= 0:
            raise ConfigError(f"head_learning_rate={self.head_learning_rate} needs to be above 0")
        if not 0 < self.layer_decay <= 1:
            raise ConfigError(f"layer_decay={self.layer_decay} needs to be above 0 and at most 1")


@dataclass(frozen=True, kw_only=True)
class CallbacksConfig:
    """What is measured and changed during a run.

    ``gap_samples`` is the size of the fixed part of train on which accuracy is measured in
    evaluation mode. A schedule gives a value by epoch or step, e.g.
    ``{points: {0: 0.1, 3: 0.3}, unit: epoch, between: hold}``; that of the dropout is for the
    layers whose name contains ``dropout_layers``, such as ``classifier_dropout``.
    """

    gap_samples: int = 1024
    dropout_schedule: ValueSchedule | None = None
    dropout_layers: str = ""
    weight_decay_schedule: ValueSchedule | None = None

    def __post_init__(self) -> None:
        if self.gap_samples < 1:  # the gates need the train accuracy
            raise ConfigError(f"gap_samples={self.gap_samples} needs to be at least 1")


@dataclass(frozen=True, kw_only=True)
class HubConfig:
    """Where ``hfrun push`` and ``push: true`` send the model."""

    repo: str | None = None
    endpoint: str | None = None
    private: bool = False
    push: bool = False
    require_gates: bool = False  # a model whose verdict is not pass stays here

    def __post_init__(self) -> None:
        if self.push and self.repo is None:
            raise ConfigError("push: true needs repo: NAMESPACE/NAME")


@dataclass(frozen=True, kw_only=True)
class AnyRunConfig:
    """The sections that every run has."""

    run: RunConfig
    training: TrainingConfig
    callbacks: CallbacksConfig = field(default_factory=CallbacksConfig)
    stop_rules: list[dict[str, Any]] = field(default_factory=list)
    gates: GatesConfig = field(default_factory=GatesConfig)
    hub: HubConfig = field(default_factory=HubConfig)
    study: StudyConfig | None = None


@dataclass(frozen=True, kw_only=True)
class TextRunConfig(AnyRunConfig):
    """A run over labelled texts."""

    data: TextDataConfig
    training: TextTrainingConfig
    model: TextModelConfig


@dataclass(frozen=True, kw_only=True)
class HfrunConfig(AnyRunConfig):
    """A run over an order book."""

    data: DataConfig
    training: BookTrainingConfig
    model: ModelConfig = field(default_factory=ModelConfig)
    walk_forward: WalkForwardConfig | None = None
    backtest: BacktestConfig | None = None

    @property
    def judge(self) -> JudgeConfig:
        """The sections that lob_backtest reads; needs a walk_forward section."""
        if self.walk_forward is None:
            raise ConfigError(
                "walk_forward: missing; a walk-forward needs the sizes of its train, validation "
                "and test blocks"
            )
        return JudgeConfig(
            data=self.data,
            walk_forward=self.walk_forward,
            backtest=self.backtest,
            gates=self.gates,
        )


def load_config(path: Path | str, overrides: Sequence[str] = ()) -> HfrunConfig | TextRunConfig:
    """Read and check a run's YAML with ``section.key=value`` overrides.

    Raises:
        ConfigError: lists every unknown key, wrong value and missing section at once.
    """
    return config_from(load_yaml(path, overrides), source=str(path))


def config_from(raw: dict[str, Any], *, source: str) -> HfrunConfig | TextRunConfig:
    """As ``load_config``, from sections that have been read; ``source`` is named in messages."""
    kind = TextRunConfig if _has_texts(raw) else HfrunConfig
    errors = unknown_keys(raw, SECTION_NAMES, "")
    sections = {name: raw[name] for name in raw if name in SECTION_NAMES}
    if kind is TextRunConfig:
        for name in [name for name in _ONLY_BOOKS if name in sections]:
            errors.append(f"{name}: is for order books, and data has texts; leave it out")
            del sections[name]
    own = _own_training(kind)
    sections["training"] = _training(sections.get("training", {}), own, errors)
    model = sections.get("model", {})
    errors += _text_model_errors(model) if kind is TextRunConfig else _model_errors(model)
    errors += _stop_rule_errors(sections.get("stop_rules", []))
    if kind is TextRunConfig:
        return finish(build(TextRunConfig, sections, "", errors), errors, source)
    return finish(build(HfrunConfig, sections, "", errors), errors, source)


def _has_texts(raw: dict[str, Any]) -> bool:
    """Whether the data section is of texts; without a sign of either it is taken for a book's."""
    data = raw.get("data")
    return isinstance(data, dict) and "book" not in data and any(key in data for key in _TEXT_KEYS)


def _own_training(kind: type[AnyRunConfig]) -> tuple[str, ...]:
    """The keys of ``training`` that are not of TrainingArguments."""
    section = typing.get_type_hints(kind)["training"]
    return tuple(item.name for item in dataclasses.fields(section) if item.name != "arguments")


def effective_yaml(config: AnyRunConfig) -> str:
    """The config with every default filled in, as YAML that loads back to the same config."""
    plain = effective_sections(config)
    present = {name: plain[name] for name in SECTION_NAMES if plain.get(name) is not None}
    return yaml.safe_dump(present, sort_keys=False, allow_unicode=True)


def effective_sections(config: AnyRunConfig) -> dict[str, Any]:
    """The sections with every default filled in, as a YAML would write them."""
    plain = as_dict(config)
    training = plain.pop("training")
    plain["training"] = {**training.pop("arguments"), **training}
    return plain


def _training(raw: Any, names: Sequence[str], errors: list[str]) -> Any:
    """Separate the fields of TrainingArguments, checked by name, from our own."""
    if not isinstance(raw, dict):
        return raw
    own = {key: raw[key] for key in names if key in raw}
    arguments = {key: value for key, value in raw.items() if key not in own}
    for key in [key for key in arguments if key in _OURS]:
        instead = _INSTEAD.get(key)
        errors.append(
            f"training.{key}: set {instead} instead" if instead else
            f"training.{key}: fixed by hfrun and cannot be set"
        )  # fmt: skip
        del arguments[key]
    known = [item.name for item in dataclasses.fields(TrainingArguments) if item.init]
    errors += unknown_keys(arguments, [*known, *names], "training")
    types = typing.get_type_hints(TrainingArguments)
    for key in [key for key in arguments if key in known]:
        arguments[key] = convert(types[key], arguments[key], f"training.{key}", errors)
    errors += [
        f"training.{key}: got {arguments[key]}; needs at least {least}"
        for key, least in _LEAST.items()
        if isinstance(arguments.get(key), int | float) and arguments[key] < least
    ]
    return {"arguments": arguments, **own}


def _model_errors(raw: Any) -> list[str]:
    """Misspelt keys of the model's config: transformers would keep them and change nothing."""
    if not isinstance(raw, dict) or not isinstance(raw.get("config", {}), dict):
        return []  # build() says what is needed
    kind, given = raw.get("type", ModelConfig.type), raw.get("config", {})
    if not isinstance(kind, str) or kind not in BOOK_MODELS:
        return []  # build() names the types that there are; the keys depend on it
    errors = [
        f"model.config.{name}: comes from the data and cannot be set"
        for name in FROM_THE_DATA
        if name in given
    ]
    rest = {name: value for name, value in given.items() if name not in FROM_THE_DATA}
    return errors + unknown_keys(rest, BOOK_MODELS[kind].config_keys, "model.config")


def _text_model_errors(raw: Any) -> list[str]:
    if not isinstance(raw, dict) or not isinstance(raw.get("config", {}), dict):
        return []  # build() says what is needed
    given = raw.get("config", {})
    wrong = wrong_keys(given, has_weights=raw.get("pretrained") is not None)
    return wrong + [
        f"model.config.{key}: {problem}"
        for key, value in given.items()
        if (problem := _wrong_type(key, value)) is not None
    ]


def _wrong_type(key: str, value: Any) -> str | None:
    """What transformers says of a value that is none for the key of a LLaMA's config."""
    try:
        LlamaClassifierConfig(**{key: value})
    except StrictDataclassFieldValidationError as error:
        return str(error.__cause__)
    except Exception:  # sizes that fit only together are looked at with the whole model
        return None
    return None


def _stop_rule_errors(raw: Any) -> list[str]:
    if not isinstance(raw, list):
        return []  # build() says what is needed
    try:
        stop_rules_from(raw)
    except ConfigError as error:
        return [str(error)]
    return []
