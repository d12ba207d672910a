"""One file a command; each imports its heavy parts when it runs."""
