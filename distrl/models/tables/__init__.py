"""Tables with named columns: which header is which of our columns, frames of other libraries, CSV files, and back."""
