"""``python -m npgan``: the command line."""

from npgan.cli import main

if __name__ == "__main__":
    main()
