"""Adapters: this package's functions as steps of other libraries' pipelines."""
