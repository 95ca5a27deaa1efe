"""From real scales to exact integer thresholds: rationals, square roots, half-lines. No epsilon anywhere."""
