"""What holds for every test."""

import signal

from hypothesis import settings

# The same examples in every run; `--hypothesis-profile=searching` looks for others. How long one takes says only
# how busy the machine is.
settings.register_profile("searching", deadline=None)
settings.register_profile("same", deadline=None, derandomize=True)
settings.load_profile("same")


def pytest_configure() -> None:
    """A shell starts background jobs deaf to Ctrl-C, which they pass on; the programs under test must hear it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
