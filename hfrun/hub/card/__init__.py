"""The model card that goes with a pushed run, section by section."""
