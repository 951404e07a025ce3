"""`python -m cleanplate` and the console script `cleanplate`."""

from service.__main__ import main

if __name__ == "__main__":
    main()
