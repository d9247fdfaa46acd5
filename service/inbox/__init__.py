"""The durable buffer of callbacks that were accepted and are not yet recorded."""
