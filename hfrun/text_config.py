"""The sections of a run over texts that differ from one over order books: data, model, training."""

from dataclasses import dataclass, field
from typing import Any, Literal

from hfrun.errors import ModelError
from lob_backtest.config import AuditConfig
from lob_backtest.errors import ConfigError

TEXT_PLACE = "{text}"


@dataclass(frozen=True, kw_only=True)
class TextSplitConfig:
    """Shares of one source's texts, drawn at random with ``seed`` and alike in every class.

    Texts that are equal after normalization stay in one part.
    """

    train: float = 0.8
    validation: float = 0.1
    test: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        shares = (self.train, self.validation, self.test)
        if min(shares) <= 0 or sum(shares) > 1 + 1e-9:
            raise ConfigError(
                f"train={self.train}, validation={self.validation}, test={self.test} need to be "
                "above 0 and at most 1 together"
            )


@dataclass(frozen=True, kw_only=True)
class TextDataConfig:
    """Labelled texts, in a file for each part or in one source, and how a model is shown them.

    ``train``, ``validation`` and ``test`` are files; or ``source`` is one file that is split by
    ``split``, or a folder or hub id of ``datasets``, whose own splits these three then name
    (environment variables are filled in). ``format`` follows from a file's name and content
    where it is ``auto``: ``bars`` is ``LABEL ||| text``, ``at`` is ``text@label``. ``labels``
    names the classes in the order of the logits; integer labels count into it.

    ``template`` is what the model reads, with the text in the place of ``{text}``: words after it
    ask for the label (`It was`). ``max_length`` is in tokens; of longer texts the text is cut,
    never the template.
    """

    train: str | None = None
    validation: str | None = None
    test: str | None = None
    source: str | None = None
    subset: str | None = None
    format: Literal["auto", "bars", "at", "csv", "jsonl", "parquet", "dataset"] = "auto"
    text_column: str = "text"
    label_column: str = "label"
    labels: list[str] | None = None
    split: TextSplitConfig = field(default_factory=TextSplitConfig)
    template: str = TEXT_PLACE
    max_length: int = 128
    audit: AuditConfig = field(default_factory=AuditConfig)

    def __post_init__(self) -> None:
        files = (self.train, self.validation, self.test)
        if self.source is None and None in files:
            raise ConfigError(
                "needs train, validation and test, each a file of labelled texts, or one source"
            )
        if self.template.count(TEXT_PLACE) != 1:
            raise ConfigError(f"template={self.template!r} needs {TEXT_PLACE} in it once")
        if self.max_length < 1:
            raise ConfigError(f"max_length={self.max_length} needs to be at least 1")
        if self.labels is not None and len(set(self.labels)) != max(len(self.labels), 2):
            raise ConfigError(f"labels={self.labels} needs at least two names, each once")


@dataclass(frozen=True, kw_only=True)
class FreezeConfig:
    """Weights that stay as they are: the token embedding, and the lowest ``layers`` layers."""

    embedding: bool = False
    layers: int = 0

    def __post_init__(self) -> None:
        if self.layers < 0:
            raise ModelError(f"layers={self.layers} needs to be at least 0")


@dataclass(frozen=True, kw_only=True)
class LoraConfig:
    """Low-rank adapters in place of whole weights (Hu et al., 2022); needs the extra ``peft``.

    ``targets`` are names of linear layers; ``all`` takes every one of the transformer.
    """

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    targets: Literal["all"] | list[str] = "all"

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha <= 0 or not 0 <= self.dropout < 1:
            raise ModelError(
                f"rank={self.rank}, alpha={self.alpha}, dropout={self.dropout}: need a rank of at "
                "least 1, an alpha above 0 and a dropout from 0 to below 1"
            )


@dataclass(frozen=True, kw_only=True)
class TextModelConfig:
    """A LLaMA classifier: from weights, or new with the sizes that ``config`` gives.

    ``pretrained`` is a folder or a hub id (environment variables are filled in), ``gguf_file`` a
    GGUF file in it. ``tokenizer`` defaults to ``pretrained``. ``label_words`` has one word for
    each class: the head starts as the language model's own opinion of these words after the
    template, which is also what the zero-shot baseline asks.
    """

    type: Literal["llama"] = "llama"
    pretrained: str | None = None
    gguf_file: str | None = None
    tokenizer: str | None = None
    label_words: list[str] | None = None
    freeze: FreezeConfig = field(default_factory=FreezeConfig)
    lora: LoraConfig | None = None
    config: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.pretrained is None and self.tokenizer is None:
            raise ModelError("a model without pretrained weights needs a tokenizer: a folder or id")
        if self.gguf_file is not None and self.pretrained is None:
            raise ModelError(f"gguf_file={self.gguf_file} needs pretrained: the folder it is in")
