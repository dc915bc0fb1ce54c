"""Every way to a derivative, what it costs, and which is taken."""
