"""The elementary functions that GAN losses are sums of: value, slope and curvature at every logit."""
