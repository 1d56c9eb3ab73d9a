"""What a run's figures say of it, with the next experiment: one rule a finding, with its numbers."""
