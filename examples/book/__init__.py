"""The systems of the book *Deep Learning from Scratch*, built from typegrad's public parts."""
