"""Who may do what: users, organisations, tokens, sessions of browsers, gates, signed addresses."""
