"""A gRPC streaming inference gateway; importing this package costs nothing."""

__version__ = "0.1.0"
