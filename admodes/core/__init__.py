"""The ground: traced values, the registry of operations, the two modes."""
