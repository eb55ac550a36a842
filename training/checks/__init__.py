"""Doubts about data and plan, looked for before training: one declared rule each, with a code and a remedy."""
