"""The pages that people meet: Streamlit, speaking to the API over HTTP and to nothing else."""
