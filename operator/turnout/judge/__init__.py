"""The judge: proven worse, proven good, or not yet known. Pure; increments in, verdict and memory out."""
