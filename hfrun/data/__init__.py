"""From books to datasets of windows."""
