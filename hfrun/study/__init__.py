"""Studies: many trainings of one config, compared honestly."""
