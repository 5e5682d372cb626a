"""So that `python cli.py compile …` works from a checkout."""

from nmc.cli import main

if __name__ == "__main__":
    main()
