"""A dataset folded on many machines: items of work, who does them, who asks for them."""
