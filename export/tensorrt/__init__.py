"""TensorRT for RTX: engines of an artifact for cards that need not be there."""
