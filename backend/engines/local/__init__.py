"""The engine `local`: transformers and PEFT in this process."""
