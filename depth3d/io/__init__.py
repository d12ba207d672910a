"""Files to core types and back: the only place that flips axes or scales units."""
