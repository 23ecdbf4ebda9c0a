"""`python -m deploy.cli`."""

from deploy.cli.main import main

if __name__ == "__main__":
    main()
