"""The live filter: camera in, virtual camera out, failing closed."""
