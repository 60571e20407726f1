"""The promises, each module about one thing."""
