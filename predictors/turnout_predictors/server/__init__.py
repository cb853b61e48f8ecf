"""V2 over HTTP: the protocol's side of a predictor. Imports neither kserve nor any model's library."""
