"""How good a model is, for which question, in whom, and what cannot be said."""
