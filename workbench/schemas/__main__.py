"""Remakes the schemas of this package from the code."""

from workbench.schemas import path, texts

for name, text in texts().items():
    path(name).write_text(text, encoding="utf-8")
    print(path(name))
