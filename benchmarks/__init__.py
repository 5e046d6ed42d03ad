"""Speed of imkernels and its rivals, measured side by side: ``python -m benchmarks``."""
