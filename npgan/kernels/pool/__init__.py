"""Average and maximum of sliding windows, with their adjoints."""
