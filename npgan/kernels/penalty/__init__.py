"""What a gradient penalty charges for the gradients that it is given."""
