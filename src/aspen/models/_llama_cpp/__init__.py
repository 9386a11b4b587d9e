"""Language models through llama.cpp: GGUF files, without torch and without a compiler."""
