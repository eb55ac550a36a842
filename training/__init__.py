"""Feature table to validated models and tracked runs."""
