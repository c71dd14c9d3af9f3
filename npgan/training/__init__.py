"""The run: what is trained, what it writes, and how it goes on after an interruption."""
