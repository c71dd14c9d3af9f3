"""Matrix products of a dense layer: y = x w."""
