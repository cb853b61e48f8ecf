"""Our predictor server beside a floor and its peers, on one core each, in the same rounds."""
