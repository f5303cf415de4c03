"""What a person can move in a notebook's cell, each beside a static result: groups, rows, cases, machines."""
