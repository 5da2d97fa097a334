"""The engine `openai`: models served elsewhere, by any server that speaks the OpenAI protocol."""
