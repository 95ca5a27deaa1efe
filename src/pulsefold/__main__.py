"""``python -m pulsefold``, and the program ``pulsefold``."""

import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line; ended by Ctrl-C before it is loaded, it says so as it does later."""
    try:
        from pulsefold.cli import main as run  # noqa: PLC0415
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    return run()


if __name__ == "__main__":
    sys.exit(main())
