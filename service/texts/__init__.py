"""Length, segments and smart encoding of texts."""
