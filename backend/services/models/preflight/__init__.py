"""Before a run: is the model that is served the model that was meant?"""
