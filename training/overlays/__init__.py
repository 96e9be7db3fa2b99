"""A simulator of burnt-in text: viewers, fonts and cameras, with the truth of every glyph's pixels.

What trains or tunes (`tuning`) and what is scored (`test`) share no font and no layout.
"""
