"""Pure rendering of Envoy configuration: one URL per model, the split, repeats. No I/O, no clock."""
