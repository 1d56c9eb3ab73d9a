"""Between wire and store: bodies within limits, answers in the clients' words, slow clients."""
