"""Models as files: safetensors."""
