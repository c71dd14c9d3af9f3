"""Normalisation by mean and variance: the one operation of batch, instance and layer normalisation."""
