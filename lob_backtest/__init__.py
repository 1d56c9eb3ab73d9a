"""Order books, labels, time-safe splits, costs, portfolio, metrics and gates.

Any model, from any framework, is judged through the predictions table. Nothing here imports
torch or transformers, and importing the package imports nothing heavy.
"""

__version__ = "0.1.0"
