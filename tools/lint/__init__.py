"""The rules that let one notebook serve four readers: the site, JupyterLab, Colab and GitHub.

A rule is a function of a chapter and the book that yields (cell number or None, what is wrong). To add one, write it in
`form.py` (what the file must look like) or `content.py` (what it says) under `@rule`, and a broken example in
`tests/test_notebook_lint.py`.
"""

from tools.lint import content, form
from tools.lint.reading import RULES, Book, Chapter, complaints

__all__ = ["RULES", "Book", "Chapter", "complaints", "content", "form"]
