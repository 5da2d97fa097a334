"""The engine `vllm`: servers started, spoken to over HTTP, and kept busy."""
