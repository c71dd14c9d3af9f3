"""Images enlarged by whole factors, with the adjoints."""
