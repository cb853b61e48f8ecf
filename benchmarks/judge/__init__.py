"""How often the judge condemns the innocent, how fast it finds the guilty, and what other rules do beside it."""
