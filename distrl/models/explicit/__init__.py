"""What explicit model files have in common: text as bytes, tables of numbers, labels, choices, and the model they make.

A file is read whole and parsed as bytes by the kernels of `distrl._kernels.text`; an error names the file and the line.
The formats themselves are in `distrl.models.prism` and `distrl.models.storm`.
"""
