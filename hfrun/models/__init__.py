"""Models that the Auto classes know as soon as this package is imported."""

from hfrun.models.bilstm import BiLstmForSequenceClassification
from hfrun.models.configuration_bilstm import BiLstmConfig
from hfrun.models.configuration_deeplob import DeepLobConfig
from hfrun.models.configuration_linear import LinearConfig
from hfrun.models.configuration_llama_classifier import LlamaClassifierConfig
from hfrun.models.configuration_mlp import MlpConfig
from hfrun.models.deeplob import DeepLobForSequenceClassification
from hfrun.models.linear import LinearForSequenceClassification
from hfrun.models.llama_classifier import LlamaClassifier
from hfrun.models.mlp import MlpForSequenceClassification
from hfrun.models.registry import register_models

__all__ = [
    "BiLstmConfig",
    "BiLstmForSequenceClassification",
    "DeepLobConfig",
    "DeepLobForSequenceClassification",
    "LinearConfig",
    "LinearForSequenceClassification",
    "LlamaClassifier",
    "LlamaClassifierConfig",
    "MlpConfig",
    "MlpForSequenceClassification",
]

register_models()
