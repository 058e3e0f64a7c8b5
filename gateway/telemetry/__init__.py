"""What an operator sees: one line of log and one set of observations per turn, nothing per token."""
