"""Looking after a hub's folder: check and repair it, drop what nothing needs, export it to git."""
