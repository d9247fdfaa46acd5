"""Named SQL, one module a subject. Queries never commit: the caller owns the transaction."""
