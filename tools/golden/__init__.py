"""Scripts that compute the golden values of cells with the code of their authors, or with other independent code."""
