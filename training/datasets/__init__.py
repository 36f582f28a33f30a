"""Readers of data sets as their authors distribute them; each gives `store.Annotations` in parts.

A reader is a function `parts(request) -> Iterator[Annotations]`; `training.prepare` lists them.
"""
