"""The state file: what is durable, and how."""
