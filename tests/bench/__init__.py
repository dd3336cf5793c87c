"""Measured speeds: MB or tokens per CPU-second, or ratios within one run. Printed, never asserted."""
