"""`logitherm` and `python -m logitherm`: the command line, quiet also when Ctrl-C comes while it is still loading."""

import sys


def main() -> None:
    """Run the command line."""
    try:
        from logitherm.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
