"""The limit of waits that end by themselves: only a deadlock reaches it, however busy the machine is."""

HANG = 600  # seconds
