"""Speed and loss, measured: a folder each, run by `make bench-NAME`; never a timed test."""
