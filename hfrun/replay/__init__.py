"""Stop rules, diagnosis and gates on recorded runs: what they would have said, and when."""
