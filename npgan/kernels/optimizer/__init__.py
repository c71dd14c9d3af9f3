"""One pass over a flat vector: the optimizers' updates, the average of weights, clipping."""
