"""Exit codes that no error of Aspen's own has."""

INTERRUPTED = 130
PIPE_CLOSED = 141
