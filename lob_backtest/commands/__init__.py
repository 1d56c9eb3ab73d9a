"""What the command line runs: each function takes the parsed arguments and gives an exit code."""

EXIT_DONE, EXIT_BAD_INPUT, EXIT_GATES_FAILED, EXIT_INTERRUPTED = 0, 2, 3, 130
