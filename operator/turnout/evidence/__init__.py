"""Where the judge's numbers come from. Reads counters and says why it cannot; weighs nothing."""
