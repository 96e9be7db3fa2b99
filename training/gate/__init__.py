"""What the gate learns to tell apart: heads by sequence, and drawn pictures of everything else.

What trains (`tuning`) and what is scored (`test`) share no kind of stranger, no film and no page layout.
"""
