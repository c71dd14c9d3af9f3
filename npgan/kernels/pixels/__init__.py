"""Pictures: from bytes to numbers, and their augmentation."""
