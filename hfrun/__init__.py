"""Fine-tuning of order-book and text classifiers through the Hugging Face Trainer."""

__version__ = "0.1.0"
