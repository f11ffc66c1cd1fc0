"""Run the command line as `python -m coordbench`."""

from coordbench.harness.cli.main import main

if __name__ == "__main__":
    main()
