"""Speed, memory and quality, measured by hand (`scripts/bench`); no test asserts on time."""
