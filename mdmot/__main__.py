"""`python -m mdmot`, and the command `mdmot`: nothing that takes long is loaded before Ctrl-C is heard."""

import os


def main() -> None:
    """Loads the command line, runs it and exits with its status."""
    try:
        import mdmot.interruption as interruption

        interruption.leave_on_interruption()
        from mdmot.cli.main import main as run
    except KeyboardInterrupt:  # before another handler is there
        os.write(2, b"mdmot: interrupted\n")
        os._exit(130)
    run()


if __name__ == "__main__":
    main()
