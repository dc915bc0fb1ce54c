"""Printers of programs: one a target."""
