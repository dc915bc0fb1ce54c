"""The Jacobian by elimination on the linearised computational graph, and how many multiplications each order takes.

Vertices are the scalars that a program computes, the edge (i, j) carries the local partial c_ji = ∂v_j/∂v_i, and the
Jacobian entry ∂y/∂x is the sum over all paths from x to y of the product of their partials (Bauer's formula).  To
eliminate a vertex v is to lead the paths past it,

    c_ki += c_kv · c_vi    for every predecessor i and every successor k of v,

at |predecessors| · |successors| multiplications, its Markowitz degree.  Forward and reverse mode are two of the orders.
"""

from .graph import ORDERS, Elimination, LinearizedGraph, Orders
from .orders import Remaining, lowest_degree
from .scalars import accumulation, linearized_graph

__all__ = [
    "ORDERS",
    "Elimination",
    "LinearizedGraph",
    "Orders",
    "Remaining",
    "accumulation",
    "linearized_graph",
    "lowest_degree",
]
