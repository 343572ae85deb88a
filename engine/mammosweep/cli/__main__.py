"""``python -m mammosweep.cli``."""

from mammosweep.cli import main

if __name__ == "__main__":
    main()
