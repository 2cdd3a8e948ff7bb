"""What is known: the vocabulary, the schema, and one repository per aggregate.

The only package that imports sqlalchemy. Everybody else speaks `store.models` and `store.unit`.
"""
