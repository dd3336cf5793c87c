"""Raw Chinese and English text in, a cleaned corpus out; every document kept or rejected with a reason."""
