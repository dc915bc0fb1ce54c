"""Chains of Jacobians: their factors, their bracketings, the search for the cheapest."""
