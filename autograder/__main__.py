"""The `deepul` command: a student's kit has its own commands only, the staff's has more."""

import importlib.util


def main() -> None:
    """Run it with what this kit has."""
    if importlib.util.find_spec("autograder.cli"):
        from autograder.cli import main as run
    else:
        from autograder.commands import main as run
    run()


if __name__ == "__main__":
    main()
