"""Two other designs that receive callbacks, as small as possible, for comparison."""
