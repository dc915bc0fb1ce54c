"""`explain`: both modes of differentiation, step by step, on one page."""
