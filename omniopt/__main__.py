"""``python -m omniopt``."""

from omniopt.cli import main

if __name__ == "__main__":
    main()
