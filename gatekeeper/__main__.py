"""``python -m gatekeeper`` is the command ``gatekeeper``."""

from gatekeeper.interface.cli import main

if __name__ == "__main__":
    main()
