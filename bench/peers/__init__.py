"""The other ways to take a callback: what they are compared with, kept as small as they can be."""
