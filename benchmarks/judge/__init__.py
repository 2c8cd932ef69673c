"""The judge put to the test: how often it is wrong about good releases, how soon it is right about bad ones."""
