"""Programs that show typegrad at work; run one with ``python -m examples.book.chapter3``."""
