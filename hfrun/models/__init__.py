"""Models that the Auto classes know as soon as this package is imported, and their pipeline."""

from hfrun.models.bilstm import BiLstmForSequenceClassification
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
from hfrun.models.registry import register_models, register_pipeline

__all__ = [
    "BiLstmConfig",
    "BiLstmForSequenceClassification",
    "DeepLobConfig",
    "DeepLobForSequenceClassification",
    "LinearConfig",
    "LinearForSequenceClassification",
    "LlamaClassifier",
    "LlamaClassifierConfig",
    "LobFeatureExtractor",
    "MlpConfig",
    "MlpForSequenceClassification",
]

register_models()
register_pipeline()
