"""Native kernels: parts of a program as LLVM IR with explicit vectors, compiled by llvmlite (the extra `native`)."""
