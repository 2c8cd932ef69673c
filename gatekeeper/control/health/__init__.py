"""Which backends may get requests, and which versions have lost their users' trust."""
