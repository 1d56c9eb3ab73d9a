"""The book models by the names that ``model.type`` takes, and the keys that each one's config has.

They and the LLaMA classifier are known to the Auto classes once ``hfrun.models`` is imported, and
the task ``lob-classification`` to ``pipeline``.
"""

import inspect
from dataclasses import dataclass
from types import MappingProxyType

from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModelForSequenceClassification,
    PreTrainedModel,
)
from transformers.pipelines import PIPELINE_REGISTRY

from hfrun.models.bilstm import BiLstmForSequenceClassification
from hfrun.models.book_config import FROM_THE_DATA, BookConfig
from hfrun.models.configuration_bilstm import BiLstmConfig
from hfrun.models.configuration_deeplob import DeepLobConfig
from hfrun.models.configuration_linear import LinearConfig
from hfrun.models.configuration_llama_classifier import LlamaClassifierConfig
from hfrun.models.configuration_mlp import MlpConfig
from hfrun.models.deeplob import DeepLobForSequenceClassification
from hfrun.models.feature_extractor import LobFeatureExtractor
from hfrun.models.linear import LinearForSequenceClassification
from hfrun.models.llama_classifier import LlamaClassifier
from hfrun.models.mlp import MlpForSequenceClassification

TASK = "lob-classification"
# By name, as transformers keeps its own: the code of a pipeline is imported when one is made.
_PIPELINE = "hfrun.evaluation.lob_pipeline.LobClassificationPipeline"

# Keyword arguments by which a config hands its own checks to the base: no keys of a config.
_CHECKS = ("minimum_window", "sizes", "choices", "wrong")


@dataclass(frozen=True, kw_only=True)
class BookModelType:
    """A config class and the model that is built from it."""

    config: type[BookConfig]
    model: type[PreTrainedModel]

    @property
    def config_keys(self) -> tuple[str, ...]:
        """What a run's YAML may set under ``model.config``: its own keys, then the shared ones."""
        own = inspect.signature(self.config.__init__).parameters
        shared = inspect.signature(BookConfig.__init__).parameters
        left_out = ("self", "kwargs", *FROM_THE_DATA, *_CHECKS)
        return tuple(name for name in {**own, **shared} if name not in left_out)


BOOK_MODELS = MappingProxyType(
    {
        "deeplob": BookModelType(config=DeepLobConfig, model=DeepLobForSequenceClassification),
        "mlp": BookModelType(config=MlpConfig, model=MlpForSequenceClassification),
        "bilstm": BookModelType(config=BiLstmConfig, model=BiLstmForSequenceClassification),
        "linear": BookModelType(config=LinearConfig, model=LinearForSequenceClassification),
    }
)


def register_models() -> None:
    """Let the Auto classes find every model by the ``model_type`` in its config.json."""
    models = [(kind.config, kind.model) for kind in BOOK_MODELS.values()]
    for config, model in (*models, (LlamaClassifierConfig, LlamaClassifier)):
        AutoConfig.register(config.model_type, config, exist_ok=True)
        AutoModelForSequenceClassification.register(config, model, exist_ok=True)


def register_pipeline() -> None:
    """Let ``pipeline`` know the task, and AutoFeatureExtractor how each book model reads a book.

    Not by ``PIPELINE_REGISTRY.register_pipeline``: it takes the class itself, and marks it so that
    what the pipeline saves would ask for remote code.
    """
    for kind in BOOK_MODELS.values():
        AutoFeatureExtractor.register(kind.config, LobFeatureExtractor, exist_ok=True)
    PIPELINE_REGISTRY.supported_tasks[TASK] = {
        "impl": _PIPELINE,
        "pt": (AutoModelForSequenceClassification,),
        "default": {},
        "type": "multimodal",
    }
