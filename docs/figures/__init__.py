"""The pictures of the documentation, one function each; `docs/make_figures.py` writes them."""
