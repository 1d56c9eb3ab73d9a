"""What the pages of a hub show: cards made harmless, previews, verdicts, and their templates."""
