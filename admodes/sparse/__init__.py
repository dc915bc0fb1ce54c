"""Sparse Jacobians and Hessians: patterns, colourings, decompression."""
