"""Training through the Hugging Face Trainer, with figures that mean what they say."""
