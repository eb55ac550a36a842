"""The mechanistic simulator of ADC response."""
