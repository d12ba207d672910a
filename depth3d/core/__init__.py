"""The ground floor: nouns and arithmetic on NumPy arrays. No files, no torch."""
