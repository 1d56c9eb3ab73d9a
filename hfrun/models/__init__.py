"""Models that the Auto classes know as soon as this package is imported."""

from transformers import AutoConfig, AutoModelForSequenceClassification

from hfrun.models.configuration_deeplob import DeepLobConfig
from hfrun.models.deeplob import DeepLobForSequenceClassification

__all__ = ["DeepLobConfig", "DeepLobForSequenceClassification"]

AutoConfig.register(DeepLobConfig.model_type, DeepLobConfig, exist_ok=True)
AutoModelForSequenceClassification.register(
    DeepLobConfig, DeepLobForSequenceClassification, exist_ok=True
)
