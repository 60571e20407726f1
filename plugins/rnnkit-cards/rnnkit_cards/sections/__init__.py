"""The sections of a card: each function returns Markdown for a kind and its measurements."""
