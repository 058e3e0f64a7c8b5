"""The commands of the `gateway` console script, one file each: `configure(parser)` and `run(args)`."""
