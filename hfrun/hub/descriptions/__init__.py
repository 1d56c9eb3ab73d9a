"""What a repository says of itself, by its card and its model's files, and how it is found."""
