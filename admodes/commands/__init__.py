"""The command line: a function named on it, its arguments, and what each command prints."""
