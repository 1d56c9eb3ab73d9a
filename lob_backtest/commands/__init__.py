"""What the command line runs: each function takes the parsed arguments and gives an exit code."""
