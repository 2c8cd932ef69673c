"""Releases that go wrong, end to end: who notices, how soon, and how many users met it until then."""
