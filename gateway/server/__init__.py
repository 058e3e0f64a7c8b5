"""The gRPC door: frames in and out, identity, the one error table, drain."""
