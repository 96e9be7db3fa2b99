"""What people and workers may ask for: one short function each, and the ports they need."""
