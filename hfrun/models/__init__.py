"""Models that the Auto classes know as soon as this package is imported."""

from hfrun.models.configuration_deeplob import DeepLobConfig
from hfrun.models.deeplob import DeepLobForSequenceClassification
from hfrun.models.registry import register_book_models

__all__ = ["DeepLobConfig", "DeepLobForSequenceClassification"]

register_book_models()
